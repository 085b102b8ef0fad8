"""Access to hosts for one session: SSH files, timeouts, unlocked keys, accepted passwords, and who asks the operator."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
from msgspec import Struct

from console.hosts.ssh.key_files import load_key_pairs
from console.hosts.ssh.prompts import OperatorUnavailable, Prompter, Question
from console.hosts.ssh.ssh_config import SshFiles, default_ssh_files

MAX_TRIES = 3


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

    def unlocked(self, file: Path, certificates: tuple[Path, ...]) -> list[asyncssh.SSHKeyPair] | None:
        """Key pairs of a file that needs no passphrase, or no longer; None if it needs one. Blocking.

        A file that is missing or holds no private key has no pairs, as with ssh.
        """
        if file not in self._pairs:
            try:
                self._pairs[file] = load_key_pairs(file, None, certificates)
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
        self, file: Path, ask: Callable[[Path, bool], Awaitable[str | None]], certificates: tuple[Path, ...]
    ) -> list[asyncssh.SSHKeyPair]:
        """Key pairs of a file; ``ask(file, was_wrong)`` gives the passphrase if it needs one, None if declined."""
        pairs = await asyncio.to_thread(self.unlocked, file, certificates)
        tries = 0
        while pairs is None and tries < MAX_TRIES:
            passphrase = await ask(file, tries > 0)
            if not passphrase:
                break
            tries += 1
            with contextlib.suppress(asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
                # in a thread: checking a passphrase is slow by design
                pairs = self._pairs[file] = await asyncio.to_thread(load_key_pairs, file, passphrase, certificates)
        return pairs or []


@dataclass
class Access:
    """Everything a session needs to log in; kept between connections, so a reconnect does not ask again.

    Attributes:
        files: SSH files to use; the operator's own by default.
        prompter: asks the operator; None refuses every question.
        keyring: what was unlocked so far.
    """

    files: SshFiles = field(default_factory=default_ssh_files)
    prompter: Prompter | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    keyring: Keyring = field(default_factory=Keyring, init=False)
    _open_questions: int = field(default=0, init=False)
    _last_question_at: float = field(default=0.0, init=False)

    async def ask(self, question: Question) -> str | None:
        """The operator's answer; None if the operator declines.

        Raises:
            OperatorUnavailable: nobody can be asked.
        """
        if self.prompter is None:
            raise OperatorUnavailable("nobody can be asked; run `qllm-console status` in a terminal once")
        self._open_questions += 1
        try:
            return await self.prompter.ask(question)
        finally:
            self._open_questions -= 1
            self._last_question_at = time.monotonic()

    @property
    def last_question_at(self) -> float:
        """``time.monotonic()`` when the operator was last busy with a question: now while one is open, 0.0 if never."""
        return time.monotonic() if self._open_questions else self._last_question_at
