"""The terminal's replies: none becomes a key, however it is cut; Esc stays Esc. Letters that it cannot write."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from functools import partial

import pytest
from rich.segment import Segment
from textual.color import Color
from textual.message import Message

from console.ui.terminal import AsciiFilter, ReplyParser, ask_background
from tests.console.terminal import Terminal

REPLIES = ("\x1b]11;rgb:aaaa/bbbb/ffff\x07", "\x1b]11;rgb:aaaa/bbbb/ffff\x1b\\")


def parsed(*pieces: str) -> list[str]:
    """The keys and colours that a parser makes of ``pieces``."""
    parser = ReplyParser()
    return names(message for piece in pieces for message in (*parser.feed(piece), *parser.tick()))


def names(messages: Iterable[Message]) -> list[str]:
    """The keys and the colours of ``messages``."""
    found = (getattr(one, "colour", getattr(one, "key", None)) for one in messages)
    return [one for one in found if one is not None]


@pytest.mark.parametrize("reply", REPLIES)
def test_a_reply_is_no_key_wherever_it_is_cut(reply: str) -> None:
    ask_background(lambda _: None)
    for at in range(1, len(reply)):
        assert parsed(f"x{reply[:at]}", f"{reply[at:]}r") == ["x", "rgb:aaaa/bbbb/ffff", "r"], at


@pytest.mark.parametrize("reply", REPLIES)
def test_a_reply_that_comes_unasked_is_no_key_either(reply: str) -> None:
    ReplyParser.asked_at = float("-inf")
    assert parsed(f"a{reply}b") == ["rgb:aaaa/bbbb/ffff", "a", "b"]


@pytest.mark.parametrize("is_asked", [True, False])
def test_escape_and_arrows_stay_what_they_are(is_asked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_asked:
        ask_background(lambda _: None)
    else:
        ReplyParser.asked_at = float("-inf")
    assert parsed("\x1b[A", "x") == ["up", "x"]
    parser, now = ReplyParser(), time.monotonic()
    found = list(parser.feed("\x1b"))
    for _ in range(3):  # as the driver does, ten times a second
        now += 0.1
        monkeypatch.setattr(time, "monotonic", partial(float, now))
        monkeypatch.setattr("textual._parser.get_time", partial(float, now))
        found += parser.tick()
    assert names(found) == ["escape"]


def written(text: str, encoding: str) -> str:
    """``text`` as the filter draws it."""
    return "".join(segment.text for segment in AsciiFilter(encoding).apply([Segment(text)], Color(0, 0, 0)))


def test_signs_become_ascii_and_letters_stay_where_the_terminal_can_write_them() -> None:
    assert written("│ ✓ Gerät 東 │", "utf-8") == "| + Gerät 東 |"
    assert written("│ ✓ Gerät 東 │", "iso8859-1") == "| + Gerät ?? |"
    assert written("│ ✓ Gerät 東 │", "ascii") == "| + Ger?t ?? |"


CONSOLE = """
import threading
from console.ui.app import ConsoleApp
from engine.contract.experiment_reader import read_experiment
from engine.contract.toml_file import find_config

ConsoleApp(lambda _: threading.Event().wait(), read_experiment(find_config("scaling.toml")), "demo", "box", False).run()
"""


def test_the_real_console_asks_its_terminal_after_the_first_paint_and_follows_the_answer() -> None:
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with Terminal([sys.executable, "-c", CONSOLE], environ) as terminal:
        terminal.wait_for("not known yet", 30)
        terminal.wait_for_bytes(b"\x1b]11;?\x07", 30)
        terminal.write("\x1b]11;rgb:ffff/ffff/aaaa\x1b\\")
        terminal.wait_for_bytes(b"48;2;246;246;244", 30)  # the background of the light theme
        terminal.press("5", ">5 Items<", 30)
        assert b"still starting" not in terminal.painted  # as the a of the colour would have it
