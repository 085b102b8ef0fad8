"""The signs that the console draws with: braille, blocks, or ASCII alone; which of them a terminal can show.

Texts are written with the signs of braille; ``to_ascii`` replaces them, one cell by one, where a terminal has ASCII alone.
"""

from __future__ import annotations

import codecs
import unicodedata
from typing import Literal

from msgspec import Struct

GlyphName = Literal["braille", "blocks", "ascii"]
_ASCII_TERMINALS = ("dumb", "linux", "unknown", "ansi", "cygwin", "vt")
"""Beginnings of the TERMs whose fonts lack most signs: Linux's own console has 256 or 512 of them."""


STATE_NAMES = ("none", "queued", "running", "finished", "failed", "aborted", "lost")


class Glyphs(Struct, frozen=True):
    """One set of signs; all are one cell wide.

    Attributes:
        name: ``braille`` and ``blocks`` draw curves in 2 x 4 and 2 x 2 dots a cell, ``ascii`` in letters.
        states: of a run, in the order of ``STATE_NAMES``.
        bar: of a progress bar: what is done, parts of a cell from little to much, what is left.
        levels: of a sparkline, from low to high.
        horizontal, vertical, corner, tick_right, tick_left, tick_up, tick_down: of axes and frames.
        dashes: level lines, one for each that is drawn.
        band: between two curves.
        every, most, few, none: seeds that rank an item right.
        cursor, up, down, cut: the selected line, ascending, descending, cut text.
        point, left_end, right_end: of an interval.
    """

    name: GlyphName
    states: str
    bar: tuple[str, str, str]
    levels: str
    horizontal: str
    vertical: str
    corner: str
    tick_right: str
    tick_left: str
    tick_up: str
    tick_down: str
    dashes: str
    band: str
    every: str
    most: str
    few: str
    none: str
    cursor: str
    up: str
    down: str
    cut: str
    point: str
    left_end: str
    right_end: str

    def state(self, name: str) -> str:
        """Sign of a run's state."""
        return self.states[STATE_NAMES.index(name)]

    @property
    def is_ascii(self) -> bool:
        """Whether no sign of ours may be beyond ASCII."""
        return self.name == "ascii"


_SHAPES = {
    "states": "·◦▶✓✗■?",
    "bar": ("█", "▏▎▍▌▋▊▉", "·"),
    "levels": "▁▂▃▄▅▆▇█",
    "horizontal": "─",
    "vertical": "│",
    "corner": "└",
    "tick_right": "├",
    "tick_left": "┤",
    "tick_up": "┴",
    "tick_down": "┬",
    "dashes": "┄┈╌",
    "band": "░",
    "every": "●",
    "most": "◐",
    "few": "◔",
    "none": "○",
    "cursor": "▸",
    "up": "▲",
    "down": "▼",
    "cut": "…",
    "point": "●",
    "left_end": "├",
    "right_end": "┤",
}
BRAILLE = Glyphs("braille", **_SHAPES)  # type: ignore[arg-type]
BLOCKS = Glyphs("blocks", **_SHAPES)  # type: ignore[arg-type]
ASCII = Glyphs(
    "ascii",
    states=".o>+x#?",
    bar=("#", "|", "."),
    levels="_.-:=+*#",
    horizontal="-",
    vertical="|",
    corner="+",
    tick_right="+",
    tick_left="+",
    tick_up="+",
    tick_down="+",
    dashes="-~_",
    band=":",
    every="#",
    most="+",
    few="-",
    none=".",
    cursor=">",
    up="^",
    down="v",
    cut="~",
    point="o",
    left_end="[",
    right_end="]",
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
    if not is_unicode(encoding) or not term or term.startswith(_ASCII_TERMINALS):
        return ASCII
    return BRAILLE


def next_glyphs(glyphs: Glyphs) -> Glyphs:
    """The set that a key turns to: braille, blocks, ASCII, and braille again."""
    return SETS[(SETS.index(glyphs) + 1) % len(SETS)]


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
    """What stands for each code point; of a symbol that is in no list, ``*``, in as many cells."""

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
