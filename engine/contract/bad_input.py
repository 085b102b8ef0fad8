"""Error for input that a person can correct; it names the file, the line and the field."""

from __future__ import annotations

from pathlib import Path


class BadInput(Exception):
    """Wrong usage or unusable input; a command line prints it as one line and exits with 2.

    Args:
        message: what is wrong and, where it helps, what is expected.
        file: the file at fault, if there is one.
        line: its line, counted from 1.
        field: the dotted name of the setting at fault, such as ``training.epochs``.
    """

    def __init__(
        self, message: str, *, file: Path | None = None, line: int | None = None, field: str | None = None
    ) -> None:
        self.message = " ".join(message.split())
        self.file = file
        self.line = line
        self.field = field
        super().__init__(str(self))

    def __str__(self) -> str:
        where = "" if self.file is None else f"{self.file}:{self.line}: " if self.line else f"{self.file}: "
        what = f"{self.field}: " if self.field else ""
        return f"{where}{what}{self.message}"


def printable(text: str) -> str:
    """``text`` without control characters: an error may quote a file that holds terminal escapes."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
