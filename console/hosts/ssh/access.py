"""How hosts are reached in one session: with whose files, asking whom, how patiently, and what was unlocked so far."""

from __future__ import annotations

import time

from console.hosts.ssh.keys import Keyring
from console.hosts.ssh.prompts import Nobody, Prompter, Question
from console.hosts.ssh.route import SshFiles, operators_files
from console.hosts.ssh.timeouts import Timeouts


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
