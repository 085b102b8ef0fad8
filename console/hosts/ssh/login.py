"""One attempt to log in to one server: offers keys, asks the operator for what only a person can give."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import asyncssh

from console.hosts.ssh.access import Access
from console.hosts.ssh.prompts import NobodyToAsk, Question
from console.hosts.ssh.route import Hop
from console.sanitize import sanitize_line

TRIES = 3


class Login(asyncssh.SSHClient):
    """What asyncssh turns to while it connects to ``hop``. It trusts no host key: only known_hosts files do.

    Attributes:
        offered: the host key that no file vouches for.
        asked: whether the operator was asked for anything.
        unasked: why the operator could not be asked.
    """

    def __init__(self, hop: Hop, access: Access, deadline: asyncio.Timeout) -> None:
        self.offered: asyncssh.SSHKey | None = None
        self.asked = False
        self.unasked = ""
        self._hop = hop
        self._access = access
        self._keyring = access.keyring
        self._deadline = deadline
        self._agent: asyncssh.SSHAgentClient | None = None
        self._pairs: AsyncIterator[asyncssh.SSHKeyPair] | None = None
        self._tried = 0
        self._password: str | None = None
        self._passwords = 0
        self._rounds = 0

    @property
    def tried(self) -> str:
        """What was tried, for the line that says that it did not help."""
        said = [f"{self._tried} key{'s' * (self._tried != 1)}"] if self._tried else ["no key"]
        if self._passwords:
            said.append("a password")
        return " and ".join(said) + (f"; {self.unasked}" if self.unasked else "")

    def connection_lost(self, exc: Exception | None) -> None:
        if self._agent is not None:
            self._agent.close()

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Asked of keys that no known_hosts file vouches for: keep it to be shown, and refuse it."""
        self.offered = key
        return False

    def begin_auth(self, username: str) -> None:
        self._host_spoke()

    def auth_completed(self) -> None:
        if self._password is not None:
            self._keyring.passwords[self._hop.where] = self._password

    async def public_key_auth_requested(self) -> list[asyncssh.SSHKeyPair] | None:
        """The next key to try; None when there is no other."""
        self._host_spoke()
        if self._pairs is None:
            self._pairs = self._candidates()
        async for pair in self._pairs:
            self._tried += 1
            return [pair]
        return None

    async def password_auth_requested(self) -> str | None:
        self._host_spoke()
        title = f"Password for {self._hop.where}"
        return await self._secret(Question(sanitize_line(title), (), "Password:", secret=True))

    def kbdint_auth_requested(self) -> str | None:
        self._rounds += 1
        return "" if self._rounds <= TRIES else None

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        """Answer each of the server's questions; None gives up."""
        self._host_spoke()
        words = tuple(sanitize_line(line, 400) for line in (name, *instructions.splitlines()) if line.strip())
        title = sanitize_line(f"{self._hop.where} asks")
        answers: list[str] = []
        for prompt, echo in prompts:
            question = Question(title, words, sanitize_line(prompt.strip(), 200), secret=not echo)
            alone = len(prompts) == 1 and "password" in prompt.lower()
            answer = await (self._secret(question) if alone else self._ask(question))
            if answer is None:
                return None
            answers.append(answer)
        return answers

    async def _secret(self, question: Question) -> str | None:
        """A password: the one accepted before, else the operator's; a few tries and no more."""
        if self._passwords >= TRIES:
            return None
        self._passwords += 1
        remembered = self._keyring.passwords.pop(self._hop.where, None)  # if it is refused, it is not tried again
        self._password = remembered if remembered is not None else await self._ask(question)
        return self._password

    async def _candidates(self) -> AsyncIterator[asyncssh.SSHKeyPair]:
        """Key pairs in order: the named ones, the agent's others, and at last those that need a passphrase."""
        in_agent = {pair.public_data: pair for pair in await self._agent_pairs()}
        locked: list[Path] = []
        plain: list[asyncssh.SSHKeyPair] = []
        for file in self._hop.identities:
            if (held := in_agent.pop(_public_data(file), None)) is not None:
                yield held
                continue
            pairs = await asyncio.to_thread(self._keyring.unlocked, file, self._hop.certificates)
            if pairs is None:
                locked.append(file)
            elif self._hop.explicit:
                for pair in pairs:
                    yield pair
            else:
                plain += pairs
        if not self._hop.only_identities:
            for pair in in_agent.values():
                yield pair
        for pair in plain:
            yield pair
        for file in locked:
            self._deadline.reschedule(None)  # checking a passphrase is slow, by intent
            unlocked = await self._keyring.unlock(file, self._ask_passphrase, self._hop.certificates)
            self._host_spoke()
            for pair in unlocked:
                yield pair

    async def _agent_pairs(self) -> Sequence[asyncssh.SSHKeyPair]:
        if self._hop.agent is None:
            return ()
        with contextlib.suppress(OSError, ValueError, asyncssh.Error):
            self._agent = await asyncssh.connect_agent(self._hop.agent)
            return await self._agent.get_keys()
        return ()

    async def _ask_passphrase(self, file: Path, again: bool) -> str | None:
        title = f"Passphrase of the key {file}"
        lines = (f"to log in to {self._hop.where}", *(["that was not it"] if again else []))
        question = Question(sanitize_line(title), tuple(map(sanitize_line, lines)), "Passphrase:", secret=True)
        answer = await self._ask(question)
        self._deadline.reschedule(None)
        return answer

    async def _ask(self, question: Question) -> str | None:
        """Ask the operator; no clock of ours runs meanwhile."""
        self._deadline.reschedule(None)
        try:
            answer = await self._access.ask(question)
        except NobodyToAsk as nobody:
            self.unasked = f"{question.title}: {nobody}"
            return None
        finally:
            self._host_spoke()
        self.asked = True
        return answer

    def _host_spoke(self) -> None:
        """Wait for the host's next word as long as for its first."""
        with contextlib.suppress(RuntimeError):  # the attempt is over
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._access.timeouts.handshake)


def _public_data(file: Path) -> bytes:
    """The public half beside a key file, by which the agent's copy is found; empty if there is none."""
    try:
        return asyncssh.read_public_key(file.with_name(f"{file.name}.pub")).public_data
    except (OSError, ValueError):
        return b""
