"""Questions on a real terminal: the answer is read from it and from nowhere else, secrets are not echoed."""

from __future__ import annotations

import asyncio
import os
import pty
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.hosts.ssh.access import Access
from console.hosts.ssh.prompts import OperatorUnavailable, Question, TerminalPrompter

QUESTION = Question("Unknown host ramp", ("It shows SHA256:x.",), "Type yes to trust it:", confirm_word="yes")
SECRET = Question("Password for me@ramp", (), "Password:", secret=True)


@pytest.fixture
def terminal() -> Iterator[tuple[int, Path]]:
    """The operator's side of a terminal, and the device that a program opens."""
    operator, device = pty.openpty()
    yield operator, Path(os.ttyname(device))
    os.close(operator)
    os.close(device)


async def shown(operator: int, until: bytes) -> bytes:
    """What the terminal shows up to ``until``."""
    shown = b""
    async with asyncio.timeout(5):
        while until not in shown:
            shown += await asyncio.to_thread(os.read, operator, 4096)
    return shown


@pytest.mark.parametrize("question", [QUESTION, SECRET], ids=["plain", "secret"])
async def test_a_question_is_shown_and_its_answer_read(terminal: tuple[int, Path], question: Question) -> None:
    operator, device = terminal
    asking = asyncio.create_task(TerminalPrompter(device).ask(question))
    text = await shown(operator, question.prompt.encode())
    assert question.title.encode() in text and all(line.encode() in text for line in question.lines)
    os.write(operator, "naïve yes\n".encode())
    async with asyncio.timeout(5):
        assert await asking == "naïve yes"
    os.write(operator, b"done\n")
    after = await shown(operator, b"done")
    assert (b"yes" in after) != question.secret


async def test_the_end_of_input_is_no_answer(terminal: tuple[int, Path]) -> None:
    operator, device = terminal
    asking = asyncio.create_task(TerminalPrompter(device).ask(QUESTION))
    await shown(operator, b"trust it:")
    os.write(operator, b"\x04")
    async with asyncio.timeout(5):
        assert await asking is None


async def test_a_withdrawn_question_restores_the_terminal(terminal: tuple[int, Path]) -> None:
    operator, device = terminal
    before = termios.tcgetattr(operator)
    asking = asyncio.create_task(TerminalPrompter(device).ask(SECRET))
    await shown(operator, b"Password:")
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert termios.tcgetattr(operator) == before


async def test_without_a_terminal_the_operator_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(OperatorUnavailable, match="in a terminal"):
        await TerminalPrompter(tmp_path / "none").ask(QUESTION)
    with pytest.raises(OperatorUnavailable, match="in a terminal"):
        await Access().ask(SECRET)
