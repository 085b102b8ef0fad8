"""The terminal: its background, whose report Textual would take for keys; sequences through tmux; drawing in ASCII."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from rich.segment import Segment
from textual._xterm_parser import XTermParser
from textual.color import Color
from textual.drivers import linux_driver
from textual.filter import LineFilter
from textual.message import Message

from console.glyphs import to_ascii

BACKGROUND_QUERY = "\x1b]11;?\x07"
_REPLY = re.compile(r"\x1b\]11;([^\x07\x1b]*)(?:\x07|\x1b\\)")
_BEGUN = re.compile(r"\x1b(?:\](?:1(?:1(?:;[^\x07\x1b]{0,40}\x1b?)?)?)?)?$")
_REPLY_SECONDS = 1.0
"""A terminal that has not answered for so long is taken to be silent; a later reply changes nothing."""
_REST_SECONDS = 0.05  # a reply that was cut in two has its rest within this time; Esc alone has none


@dataclass
class BackgroundReported(Message):
    """The terminal said what its background is, such as ``rgb:1e1e/1e1e/1e1e``."""

    colour: str


class ReplyParser(XTermParser):
    """Textual's parser of a terminal's input, with the replies to the query taken out and posted as messages.

    Textual reads a reply as keys pressed, and among the digits of a colour is the key that launches every run.
    """

    asked_at = float("-inf")  # by time.monotonic(), of all parsers: a driver does not know its own

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._held = ""
        self._held_at = 0.0

    def feed(self, data: str) -> Iterable[Message]:
        """The messages that ``data`` means; an incomplete reply at its end waits for the rest."""
        text, self._held = self._held + data, ""
        for colour in _REPLY.findall(text):
            yield BackgroundReported(colour)
        text = _REPLY.sub("", text)
        begun = _BEGUN.search(text) if data else None
        if begun and (len(begun[0]) > 1 or is_awaited()):  # Esc waits for more only while there may be more
            self._held, self._held_at, text = begun[0], time.monotonic(), text[: begun.start()]
        if text or not data:
            yield from super().feed(text)

    def tick(self) -> Iterable[Message]:
        """Messages of input that was held back in vain, as it was Esc or Alt+]; then those of Textual's own timeouts."""
        if self._held and time.monotonic() - self._held_at > _REST_SECONDS:
            held, self._held = self._held, ""
            yield from super().feed(held)
        yield from super().tick()


class ConsoleDriver(linux_driver.LinuxDriver):
    """Textual's driver with ``ReplyParser``."""

    def run_input_thread(self) -> None:
        """Read input. The driver takes its parser from its module and has no parameter for another."""
        linux_driver.XTermParser = ReplyParser  # type: ignore[attr-defined]
        super().run_input_thread()


def ask_background(write: Callable[[str], object]) -> None:
    """Ask the terminal for its background by ``write``; ``BackgroundReported`` has the reply, if there is one."""
    ReplyParser.asked_at = time.monotonic()
    write(BACKGROUND_QUERY)


def is_awaited() -> bool:
    """Whether a reply may still come."""
    return time.monotonic() - ReplyParser.asked_at < _REPLY_SECONDS


def in_tmux(environ: Mapping[str, str]) -> bool:
    """Whether tmux is between the console and the terminal, also over SSH, by the environment variables."""
    return bool(environ.get("TMUX")) or environ.get("TERM", "").startswith("tmux")


def through_tmux(sequence: str) -> str:
    """``sequence`` so that tmux hands it on to its own terminal, if its ``allow-passthrough`` is on."""
    doubled = sequence.replace("\x1b", "\x1b\x1b")
    return f"\x1bPtmux;{doubled}\x1b\\"


class AsciiFilter(LineFilter):
    """Draws every sign in ASCII, frames and scrollbars too, one cell for one cell.

    Args:
        encoding: what the terminal is written in: of other letters, what it cannot write becomes ``?``.
    """

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """``segments`` with their signs replaced."""
        return [
            segment if segment.text.isascii() else Segment(self._writable(segment.text), segment.style, segment.control)
            for segment in segments
        ]

    def _writable(self, text: str) -> str:
        text = to_ascii(text)
        if text.isascii():
            return text
        from rich.cells import cell_len

        try:
            text.encode(self._encoding)
        except UnicodeEncodeError:
            return "".join(char if self._can_write(char) else "?" * cell_len(char) for char in text)
        return text

    def _can_write(self, char: str) -> bool:
        try:
            char.encode(self._encoding)
        except UnicodeEncodeError:
            return False
        return True
