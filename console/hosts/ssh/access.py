"""Access to hosts for one session: SSH files, timeouts, unlocked keys, accepted passwords, and who asks the operator."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import asyncssh
from msgspec import Struct

from console.hosts.ssh.prompts import Nobody, Prompter, Question
from console.hosts.ssh.route import SshFiles, operators_files


class Timeouts(Struct, frozen=True):
    """Seconds, all of them.

    Attributes:
        dial: for a TCP connection to come about. Short: the kernel repeats an unanswered SYN after 1, 3 and 7 s, so that
            one long attempt would miss a host's return for longer than a new one.
        handshake: for the host to get from there to the next thing it says or asks; while the operator is asked
            something, no clock runs.
        keepalive, misses: a host that says nothing for ``misses`` keepalives in a row is lost.
        backoff: the shortest and the longest pause before the next attempt.
        knock: how often, in a pause, a port that did not answer is tried.
    """

    dial: float = 6.0
    handshake: float = 15.0
    keepalive: float = 5.0
    misses: int = 3
    backoff: tuple[float, float] = (1.0, 30.0)
    knock: float = 2.0

    @property
    def silence(self) -> float:
        """After so many seconds without a byte a host is lost."""
        return self.keepalive * self.misses

    @property
    def unanswered(self) -> int:
        """asyncssh counts the keepalives that may stay unanswered, and gives up at the next one."""
        return max(1, self.misses - 1)


TRIES = 3

AskPassphrase = Callable[[Path, bool], Coroutine[Any, Any, str | None]]


class Keyring:
    """What was unlocked so far."""

    def __init__(self) -> None:
        self.passwords: dict[str, str] = {}
        self._pairs: dict[Path, list[asyncssh.SSHKeyPair]] = {}

    def __repr__(self) -> str:
        return "Keyring()"

    def unlocked(self, file: Path, certificates: tuple[str, ...] = ()) -> list[asyncssh.SSHKeyPair] | None:
        """The pairs of a key file that needs no passphrase, or no longer does; None if it needs one. Blocking.

        A file that is missing or is no private key has no pairs, as with ssh.
        """
        if file not in self._pairs:
            try:
                self._pairs[file] = _load(file, None, certificates)
            except asyncssh.KeyEncryptionError:
                return None
            except asyncssh.KeyImportError as error:
                if "passphrase" in str(error).lower():
                    return None
                self._pairs[file] = []
            except (OSError, ValueError):
                return []
        return self._pairs[file]

    async def unlock(
        self, file: Path, ask: AskPassphrase, certificates: tuple[str, ...] = ()
    ) -> list[asyncssh.SSHKeyPair]:
        """The pairs of a key file, by asking for its passphrase if need be; none if the operator would rather not."""
        pairs = await asyncio.to_thread(self.unlocked, file, certificates)
        again = False
        for _ in range(TRIES):
            if pairs is not None:
                break
            passphrase = await ask(file, again)
            if not passphrase:
                return []
            again = True
            try:
                # a passphrase is slow to check, by intent
                pairs = self._pairs[file] = await asyncio.to_thread(_load, file, passphrase, certificates)
            except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
                continue
        return pairs or []


def _load(file: Path, passphrase: str | None, certificates: tuple[str, ...]) -> list[asyncssh.SSHKeyPair]:
    present = [str(path) for path in (Path(name).expanduser() for name in certificates) if path.is_file()]
    return list(asyncssh.load_keypairs([str(file)], passphrase, present))


class Access:
    """Kept for the length of a session, so that a reconnect at night asks for nothing that was answered by day.

    Args:
        files: the operator's own unless others are given.
        prompter: who asks the operator; nobody by default.

    Attributes:
        keyring: what was unlocked so far.
    """

    def __init__(
        self, files: SshFiles | None = None, prompter: Prompter | None = None, timeouts: Timeouts | None = None
    ) -> None:
        self.files = files or operators_files()
        self.timeouts = timeouts or Timeouts()
        self.keyring = Keyring()
        self._prompter: Prompter = prompter or Nobody()
        self._asking = 0
        self._asked = 0.0

    async def ask(self, question: Question) -> str | None:
        """The operator's answer; None if there would rather be none.

        Raises:
            NobodyToAsk: there is nobody to ask.
        """
        self._asking += 1
        try:
            return await self._prompter.ask(question)
        finally:
            self._asking -= 1
            self._asked = time.monotonic()

    @property
    def asked(self) -> float:
        """``time.monotonic()`` of when the operator was last asked something: now, while a question is open; or 0.0."""
        return time.monotonic() if self._asking else self._asked
