"""Questions to the operator during a login, and the prompter that asks them on the terminal.

The terminal device is used, never stdin, so that pipes and questions do not mix.
"""

from __future__ import annotations

import asyncio
import os
import termios
from pathlib import Path
from typing import Protocol

from msgspec import Struct

MAX_ANSWER_BYTES = 4096


class Question(Struct, frozen=True):
    """One question; every text in it is safe to show.

    Attributes:
        title: the subject, in a few words.
        lines: what the operator should know before answering.
        prompt: text in front of the answer.
        secret: the answer is not shown, kept or logged.
        confirm_word: word to be typed for "yes", any other answer means "no"; None where any answer will do.
    """

    title: str
    lines: tuple[str, ...] = ()
    prompt: str = ""
    secret: bool = False
    confirm_word: str | None = None


class OperatorUnavailable(Exception):
    """Nobody can be asked; the text says how to be asked."""


class Prompter(Protocol):
    """Asks the operator one question at a time; cancelling ``ask`` withdraws the question (the host hung up)."""

    async def ask(self, question: Question) -> str | None:
        """The answer; None if the operator declines.

        Raises:
            OperatorUnavailable: nobody can be asked.
        """
        ...


class TerminalPrompter:
    """A Prompter for commands, on the terminal device ``terminal``."""

    def __init__(self, terminal: Path = Path("/dev/tty")) -> None:
        self._terminal = terminal

    async def ask(self, question: Question) -> str | None:
        try:
            tty = os.open(self._terminal, os.O_RDWR | os.O_NOCTTY)
        except OSError:
            raise OperatorUnavailable("there is no terminal to ask on; run it in a terminal once") from None
        try:
            text = "\n".join(("", question.title, *(f"  {line}" for line in question.lines), f"{question.prompt} "))
            os.write(tty, text.encode())
            answer = await _read_line(tty, hidden=question.secret)
            if question.secret or answer is None:
                os.write(tty, b"\n")
        finally:
            os.close(tty)
        return answer


async def _read_line(tty: int, hidden: bool) -> str | None:
    """One line typed on ``tty``; None at its end. The echo setting is always restored.

    It waits on the event loop, since a thread that reads a terminal could not be cancelled when the host hangs up.
    """
    settings = termios.tcgetattr(tty)
    if hidden:
        no_echo = termios.tcgetattr(tty)
        no_echo[3] &= ~termios.ECHO
        termios.tcsetattr(tty, termios.TCSADRAIN, no_echo)
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(tty, readable.set)
    try:
        await readable.wait()
        line = os.read(tty, MAX_ANSWER_BYTES)
    finally:
        loop.remove_reader(tty)
        termios.tcsetattr(tty, termios.TCSADRAIN, settings)
    return line.decode("utf-8", "replace").rstrip("\r\n") if line else None
