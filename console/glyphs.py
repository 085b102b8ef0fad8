"""The signs that the console draws with: braille, blocks, or ASCII alone; which of them a terminal can show.

Texts are written with the signs of braille; ``to_ascii`` replaces them, one cell by one, where a terminal has ASCII alone.
"""

from __future__ import annotations

import codecs
import unicodedata
from typing import Literal

from msgspec import Struct

GlyphName = Literal["braille", "blocks", "ascii"]
_PLAIN_TERMINALS = ("dumb", "linux", "unknown", "ansi", "cygwin", "vt")
"""Beginnings of the TERMs whose fonts lack most signs, as Linux's own console, and that answer no question."""
STATE_NAMES = ("none", "queued", "running", "finished", "failed", "aborted", "lost")


class Glyphs(Struct, frozen=True):
    """One set of signs; all are one cell wide.

    Attributes:
        name: ``braille`` and ``blocks`` draw curves in 2 x 4 and 2 x 2 dots a cell, ``ascii`` in letters.
        states: of a run, in the order of ``STATE_NAMES``.
        levels: of a sparkline, from low to high.
        every, most, few, none: seeds that rank an item right.
        cursor, up, down, cut: the selected line, ascending, descending, cut text.
    """

    name: GlyphName
    states: str
    levels: str
    every: str
    most: str
    few: str
    none: str
    cursor: str
    up: str
    down: str
    cut: str

    def state(self, name: str) -> str:
        """Sign of a run's state."""
        return self.states[STATE_NAMES.index(name)]

    @property
    def is_ascii(self) -> bool:
        """Whether only ASCII is drawn."""
        return self.name == "ascii"


_SHAPES = {
    "states": "·◦▶✓✗■?",
    "levels": "▁▂▃▄▅▆▇█",
    "every": "●",
    "most": "◐",
    "few": "◔",
    "none": "○",
    "cursor": "▸",
    "up": "▲",
    "down": "▼",
    "cut": "…",
}
BRAILLE, BLOCKS = Glyphs("braille", **_SHAPES), Glyphs("blocks", **_SHAPES)
ASCII = Glyphs(
    "ascii",
    states=".o>+x#?",
    levels="_.-:=+*#",
    every="#",
    most="+",
    few="-",
    none=".",
    cursor=">",
    up="^",
    down="v",
    cut="~",
)
SETS: tuple[Glyphs, ...] = (BRAILLE, BLOCKS, ASCII)


def glyphs_for(encoding: str, term: str, chosen: str = "auto") -> Glyphs:
    """The signs for a terminal.

    Args:
        encoding: what it is written in, such as ``utf-8``.
        term: its ``TERM``.
        chosen: by the operator; ``auto``: the most that the terminal can show.
    """
    if chosen != "auto":
        return next(one for one in SETS if one.name == chosen)
    if not is_unicode(encoding) or is_plain_terminal(term):
        return ASCII
    return BRAILLE


def next_glyphs(glyphs: Glyphs) -> Glyphs:
    """The set that a key turns to: braille, blocks, ASCII, and braille again."""
    return SETS[(SETS.index(glyphs) + 1) % len(SETS)]


def is_plain_terminal(term: str) -> bool:
    """Whether a terminal of this ``TERM`` has few signs, and prints questions or ignores them."""
    return not term or term.startswith(_PLAIN_TERMINALS)


def is_unicode(encoding: str) -> bool:
    """Whether ``encoding`` can write every sign."""
    try:
        return codecs.lookup(encoding).name.startswith("utf")
    except LookupError:
        return False


_REPLACED = {
    "-": "─╌┄┈‐‑‒–—−▔╴╶",
    "=": "━═╍┅┉",
    "|": "│║┃╎┆┊▏▎▍▕╵╷▌▐",
    "+": "┌┐└┘├┤┬┴┼╭╮╰╯╔╗╚╝╠╣╦╩╬┏┓┗┛┣┫┳┻╋±◐✓",
    "#": "█▉▊▋▓▙▛▜▟■▪▮",
    ":": "░▒",
    "x": "×✗",
    "~": "…",
    "*": "●",
    "o": "○◌◦◔",
    "<": "←≤‹◀◂",
    ">": "→≥›▶▸►⏎↵",
    "^": "↑▲△▴",
    "v": "↓▼▾",
    "'": "‘’▘▝▀",
    '"': "“”",
    ".": "▖▗·•▁",
    "/": "▞",
    "\\": "▚",
    "_": "▂",
    "d": "Δ",
}


class _Replacements(dict[int, str]):
    """ASCII text for each code point; for a symbol that is in no list ``*``, in as many cells."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        is_symbol = code > 127 and unicodedata.category(char) in ("So", "Sm", "Sk", "Pd", "Po", "Pi", "Pf")
        text = "*" * (1 + (unicodedata.east_asian_width(char) in "WF")) if is_symbol else char
        self[code] = text
        return text


_ASCII = _Replacements({ord(sign): text for text, signs in _REPLACED.items() for sign in signs})
_ASCII.update(zip(map(ord, BRAILLE.levels), ASCII.levels, strict=True))
_ASCII.update(dict.fromkeys(range(10241, 10496), "*") | {0x2800: " "})
_ASCII[ord("🔎")] = "/ "  # of Textual's palette


def to_ascii(text: str) -> str:
    """``text`` with each sign replaced by one character of ASCII; letters of other scripts stay."""
    return text if text.isascii() else text.translate(_ASCII)
