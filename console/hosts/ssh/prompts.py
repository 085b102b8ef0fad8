"""Asks the operator on the terminal itself, never on stdin, so that pipes and questions do not mix."""

from __future__ import annotations

import asyncio
import os
import termios
from pathlib import Path
from typing import Protocol

from msgspec import Struct


class Question(Struct, frozen=True):
    """One question; every text in it is safe to show.

    Attributes:
        title: what it is about, in a few words.
        lines: what the operator should know before answering.
        prompt: what stands before the answer.
        secret: the answer is not shown, kept or logged.
        consent: the word to be typed for "yes"; any other answer is "no". None where any answer will do.
    """

    title: str
    lines: tuple[str, ...] = ()
    prompt: str = ""
    secret: bool = False
    consent: str | None = None


class NobodyToAsk(Exception):
    """There is no operator within reach; the text says how to be asked."""


class Prompter(Protocol):
    """Who asks the operator. One question is open at a time; a cancelled one is taken back (the host hung up)."""

    async def ask(self, question: Question) -> str | None:
        """The answer; None if the operator would rather not.

        Raises:
            NobodyToAsk: there is nobody to ask.
        """
        ...


class Nobody:
    """For consoles without an operator: every question is refused."""

    def __init__(self, advice: str = "run `qllm-console status` in a terminal once") -> None:
        self._advice = advice

    async def ask(self, question: Question) -> str | None:
        raise NobodyToAsk(f"there is nobody to ask; {self._advice}")


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
