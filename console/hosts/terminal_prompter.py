"""Asks the operator on the terminal itself, never on stdin, so that pipes and questions do not mix."""

from __future__ import annotations

import asyncio
import os
import termios
from pathlib import Path

from console.hosts.prompts import NobodyToAsk, Question

LONGEST_ANSWER = 4096


class TerminalPrompter:
    """A Prompter for commands.

    Waits for the answer on the event loop: a thread that reads a terminal could not be called off when the host hangs up.

    Args:
        terminal: the terminal's device.
    """

    def __init__(self, terminal: Path = Path("/dev/tty")) -> None:
        self._terminal = terminal

    async def ask(self, question: Question) -> str | None:
        try:
            tty = os.open(self._terminal, os.O_RDWR | os.O_NOCTTY)
        except OSError:
            raise NobodyToAsk("there is no terminal to ask on; run it in a terminal once") from None
        try:
            _write(tty, "\n".join(("", question.title, *(f"  {line}" for line in question.lines), question.prompt)))
            answer = await _line(tty, hidden=question.secret)
            if question.secret or answer is None:
                _write(tty, "\n")
        finally:
            os.close(tty)
        return answer


async def _line(tty: int, hidden: bool) -> str | None:
    """One line typed on ``tty``; None at its end. Echo is as it was afterwards, whatever happens."""
    before = termios.tcgetattr(tty)
    if hidden:
        silent = termios.tcgetattr(tty)
        silent[3] &= ~termios.ECHO
        termios.tcsetattr(tty, termios.TCSADRAIN, silent)
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(tty, readable.set)
    try:
        await readable.wait()
        said = os.read(tty, LONGEST_ANSWER)
    finally:
        loop.remove_reader(tty)
        termios.tcsetattr(tty, termios.TCSADRAIN, before)
    return said.decode("utf-8", "replace").rstrip("\r\n") if said else None


def _write(tty: int, text: str) -> None:
    os.write(tty, (text + ("" if text.endswith("\n") else " ")).encode())
