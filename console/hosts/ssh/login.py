"""SSH login: offers keys and passwords, and asks the operator for passphrases, passwords and codes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import asyncssh
from asyncssh.packet import PacketDecodeError, SSHPacket

from console.format import counted
from console.hosts.ssh.access import MAX_TRIES, Access
from console.hosts.ssh.key_files import by_public_key, public_key_of, with_certificates
from console.hosts.ssh.prompts import OperatorUnavailable, Question
from console.hosts.ssh.route import Hop
from console.sanitize import sanitize_line

HOST_KEYS = "HostKeyAlgorithms"
NEGOTIATED = ("KexAlgorithms", HOST_KEYS, "Ciphers", "Ciphers", "MACs", "MACs")
"""Options of ssh for the lists of an SSH_MSG_KEXINIT, in its order (RFC 4253, section 7.1); two are for one direction each."""
MARKERS = ("ext-info-", "kex-strict-")  # among the key exchanges, and none of them


class Login(asyncssh.SSHClient):
    """asyncssh's callbacks during one attempt to log in to ``hop``. It trusts no host key: only known_hosts files do.

    Args:
        deadline: of the attempt; suspended while the operator is asked, and restarted whenever the host answers.

    Attributes:
        unknown_key: the host's key, if no known_hosts file has it.
        operator_asked: whether the operator was asked for anything.
    """

    _connection: asyncssh.SSHClientConnection | None = None

    def __init__(self, hop: Hop, access: Access, deadline: asyncio.Timeout) -> None:
        self.unknown_key: asyncssh.SSHKey | None = None
        self.operator_asked = False
        self._hop = hop
        self._access = access
        self._deadline = deadline
        self._agent: asyncssh.SSHAgentClient | None = None
        self._pairs = self._key_pairs()
        self._keys_tried = 0
        self._password: str | None = None
        self._passwords_tried = 0
        self._kbdint_rounds = 0
        self._not_asked = ""

    @property
    def attempts_text(self) -> str:
        """What was tried, such as ``2 keys and a password``, and what could not be asked for."""
        keys = counted(self._keys_tried, "key") if self._keys_tried else "no key"
        password = " and a password" if self._passwords_tried else ""
        return f"{keys}{password}{f'; {self._not_asked}' if self._not_asked else ''}"

    def no_algorithm_text(self, error: Exception) -> str:
        """The algorithms that the host and this console do not have in common, if that is why ``error`` came; else "".

        asyncssh leaves the host's key to the server: one that cannot show such a key closes the connection without a word.
        """
        if self._connection is None or not isinstance(error, (ConnectionError, asyncssh.DisconnectError)):
            return ""
        # of asyncssh's own: nothing public says what the host offered
        offers = _algorithms(self._connection._server_kexinit), _algorithms(self._connection._client_kexinit)
        for keyword, theirs, ours in zip(NEGOTIATED, *offers, strict=False):
            if not set(theirs) & set(ours) and (keyword == HOST_KEYS or isinstance(error, asyncssh.KeyExchangeFailed)):
                sides = f"the host has {','.join(theirs) or 'none'}, this console {','.join(ours) or 'none'}"
                return f"no algorithm in common for {keyword}: {sides}"
        return ""

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._connection = conn

    def connection_lost(self, exc: Exception | None) -> None:
        if self._agent is not None:
            self._agent.close()

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Called for a key that no known_hosts file has: refuse it, and keep it to be shown."""
        self.unknown_key = key
        return False

    def begin_auth(self, username: str) -> None:
        self._restart_deadline()

    def auth_completed(self) -> None:
        if self._password is not None:  # only a password that was accepted is kept
            self._access.keyring.passwords[self._hop.login] = self._password

    async def public_key_auth_requested(self) -> list[asyncssh.SSHKeyPair] | None:
        """The next key to try; None if there are no more."""
        self._restart_deadline()
        async for pair in self._pairs:
            self._keys_tried += 1
            return [pair]
        return None

    async def password_auth_requested(self) -> str | None:
        self._restart_deadline()
        title = sanitize_line(f"Password for {self._hop.login}")
        return await self._password_for(Question(title, prompt="Password:", secret=True))

    def kbdint_auth_requested(self) -> str | None:
        self._kbdint_rounds += 1
        return "" if self._kbdint_rounds <= MAX_TRIES else None

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        """Answers to the server's questions; None gives up."""
        self._restart_deadline()
        lines = tuple(sanitize_line(line, 400) for line in (name, *instructions.splitlines()) if line.strip())
        title = sanitize_line(f"{self._hop.login} asks")
        answers: list[str] = []
        for prompt, echo in prompts:
            question = Question(title, lines, sanitize_line(prompt.strip(), 200), secret=not echo)
            # PAM asks for the password in this way: it is kept like one, while codes and other answers are not
            is_password = len(prompts) == 1 and "password" in prompt.lower()
            answer = await (self._password_for(question) if is_password else self._ask(question))
            if answer is None:
                return None
            answers.append(answer)
        return answers

    async def _password_for(self, question: Question) -> str | None:
        """A password: the one accepted earlier, else the operator's; None after a few tries."""
        if self._passwords_tried >= MAX_TRIES:
            return None
        self._passwords_tried += 1
        # removed, so that a password that is now refused is not tried again
        accepted_before = self._access.keyring.passwords.pop(self._hop.login, None)
        self._password = accepted_before if accepted_before is not None else await self._ask(question)
        return self._password

    async def _key_pairs(self) -> AsyncIterator[asyncssh.SSHKeyPair]:
        """Key pairs in the order to try: named files, the agent's other keys, default files, files with a passphrase.

        A server closes the connection after a few wrong keys (MaxAuthTries), so the likely ones come first.
        """
        in_agent = by_public_key(await self._agent_pairs())
        locked: list[Path] = []
        defaults: list[asyncssh.SSHKeyPair] = []
        for file in self._hop.identities:
            if agent_pairs := in_agent.pop(await asyncio.to_thread(public_key_of, file), None):
                for pair in await asyncio.to_thread(with_certificates, agent_pairs, self._hop.certificates, file):
                    yield pair
                continue
            pairs = await asyncio.to_thread(self._access.keyring.unlocked, file, self._hop.certificates)
            if pairs is None:
                locked.append(file)
            elif self._hop.identities_named:
                for pair in pairs:
                    yield pair
            else:
                defaults += pairs
        others = [] if self._hop.only_identities else [pair for pairs in in_agent.values() for pair in pairs]
        for pair in (*await asyncio.to_thread(with_certificates, others, self._hop.certificates), *defaults):
            yield pair
        for file in locked:
            self._deadline.reschedule(None)  # checking a passphrase is slow by design
            unlocked = await self._access.keyring.unlock(file, self._ask_passphrase, self._hop.certificates)
            self._restart_deadline()
            for pair in unlocked:
                yield pair

    async def _agent_pairs(self) -> Sequence[asyncssh.SSHKeyPair]:
        if self._hop.agent is None:
            return ()
        with contextlib.suppress(OSError, ValueError, asyncssh.Error):
            self._agent = await asyncssh.connect_agent(self._hop.agent)
            return await self._agent.get_keys()
        return ()

    async def _ask_passphrase(self, file: Path, was_wrong: bool) -> str | None:
        title = f"Passphrase of the key {file}"
        lines = (f"to log in to {self._hop.login}", *(["wrong passphrase, try again"] if was_wrong else []))
        question = Question(sanitize_line(title), tuple(map(sanitize_line, lines)), "Passphrase:", secret=True)
        answer = await self._ask(question)
        self._deadline.reschedule(None)
        return answer

    async def _ask(self, question: Question) -> str | None:
        """Ask the operator; the deadline is suspended meanwhile."""
        self._deadline.reschedule(None)
        try:
            answer = await self._access.ask(question)
        except OperatorUnavailable as unavailable:
            self._not_asked = f"{question.title}: {unavailable}"
            return None
        finally:
            self._restart_deadline()
        self.operator_asked = True
        return answer

    def _restart_deadline(self) -> None:
        """Give the host the full timeout again for its next answer."""
        with contextlib.suppress(RuntimeError):  # the attempt is over
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._access.timeouts.handshake)


def _algorithms(kexinit: bytes) -> list[list[str]]:
    """The lists of an SSH_MSG_KEXINIT, in the order of ``NEGOTIATED``; none if it did not arrive."""
    packet = SSHPacket(kexinit)
    try:
        packet.get_bytes(17)  # its number and a random cookie
        lists = [packet.get_namelist() for _ in NEGOTIATED]
    except PacketDecodeError:
        return []
    return [
        [name for one in names if not (name := one.decode("ascii", "replace")).startswith(MARKERS)] for names in lists
    ]
