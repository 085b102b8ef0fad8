"""Access to hosts for one session: SSH files, timeouts, unlocked keys, accepted passwords, and who asks the operator."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import asyncssh
from msgspec import Struct

from console.hosts.ssh.prompts import OperatorUnavailable, Prompter, Question
from console.hosts.ssh.route import SshFiles, default_ssh_files

MAX_TRIES = 3

AskPassphrase = Callable[[Path, bool], Coroutine[Any, Any, str | None]]
"""Asks for the passphrase of a key file; the flag says whether the previous answer was wrong."""


class Timeouts(Struct, frozen=True):
    """Timeouts and pauses of a connection, all in seconds.

    Attributes:
        connect: for the TCP connection. Short: the kernel repeats an unanswered SYN after 1, 3 and 7 s, so one long
            attempt would miss a host's return for longer than a new attempt.
        handshake: for each step of the SSH handshake and login; it does not run while the operator is being asked.
        keepalive, misses: a host that sends nothing for ``misses`` keepalives in a row is lost.
        backoff: the shortest and the longest pause before the next attempt.
        probe: how often, during a pause, a port that did not answer is probed.
    """

    connect: float = 6.0
    handshake: float = 15.0
    keepalive: float = 5.0
    misses: int = 3
    backoff: tuple[float, float] = (1.0, 30.0)
    probe: float = 2.0

    @property
    def silence(self) -> float:
        """Seconds without a byte after which a host is lost."""
        return self.keepalive * self.misses

    @property
    def keepalive_count_max(self) -> int:
        """asyncssh's limit: it counts the keepalives that may stay unanswered, and gives up at the next one."""
        return max(1, self.misses - 1)


class Keyring:
    """Keys unlocked and passwords accepted in this session: in memory only, never written, logged or passed on.

    Attributes:
        passwords: by ``user@address:port``.
    """

    def __init__(self) -> None:
        self.passwords: dict[str, str] = {}
        self._pairs: dict[Path, list[asyncssh.SSHKeyPair]] = {}

    def __repr__(self) -> str:
        return "Keyring()"

    def unlocked(self, file: Path, certificates: tuple[str, ...] = ()) -> list[asyncssh.SSHKeyPair] | None:
        """Key pairs of a file that needs no passphrase, or no longer; None if it needs one. Blocking.

        A file that is missing or holds no private key has no pairs, as with ssh.
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
        """Key pairs of a file, asking for its passphrase if it needs one; none if the operator declines."""
        pairs = await asyncio.to_thread(self.unlocked, file, certificates)
        was_wrong = False
        for _ in range(MAX_TRIES):
            if pairs is not None:
                break
            passphrase = await ask(file, was_wrong)
            if not passphrase:
                return []
            was_wrong = True
            try:
                # in a thread: checking a passphrase is slow by design
                pairs = self._pairs[file] = await asyncio.to_thread(_load, file, passphrase, certificates)
            except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
                continue
        return pairs or []


def _load(file: Path, passphrase: str | None, certificates: tuple[str, ...]) -> list[asyncssh.SSHKeyPair]:
    present = [str(path) for path in (Path(name).expanduser() for name in certificates) if path.is_file()]
    return list(asyncssh.load_keypairs([str(file)], passphrase, present))


class Access:
    """Everything a session needs to log in; kept between connections, so a reconnect does not ask again.

    Args:
        files: SSH files to use; the operator's own by default.
        prompter: asks the operator; by default every question is refused.

    Attributes:
        keyring: what was unlocked so far.
    """

    def __init__(
        self, files: SshFiles | None = None, prompter: Prompter | None = None, timeouts: Timeouts | None = None
    ) -> None:
        self.files = files or default_ssh_files()
        self.timeouts = timeouts or Timeouts()
        self.keyring = Keyring()
        self._prompter = prompter
        self._open_questions = 0
        self._last_question_at = 0.0

    async def ask(self, question: Question) -> str | None:
        """The operator's answer; None if the operator declines.

        Raises:
            OperatorUnavailable: nobody can be asked.
        """
        if self._prompter is None:
            raise OperatorUnavailable("nobody can be asked; run `qllm-console status` in a terminal once")
        self._open_questions += 1
        try:
            return await self._prompter.ask(question)
        finally:
            self._open_questions -= 1
            self._last_question_at = time.monotonic()

    @property
    def last_question_at(self) -> float:
        """``time.monotonic()`` when the operator was last busy with a question: now while one is open, 0.0 if never."""
        return time.monotonic() if self._open_questions else self._last_question_at
