"""What a command prints. A reader that has gone changes nothing of what the command does, or of how it exits."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TextIO


def put(text: str) -> None:
    """Write ``text`` and a newline to stdout.

    Raises:
        OSError: it cannot be written, for want of room, say.
    """
    _write(sys.stdout, text)


def say(text: str) -> None:
    """A line for a person, on stderr; stdout is kept for what was asked for."""
    _write(sys.stderr, text)


def _write(stream: TextIO | None, text: str) -> None:
    """Write at once; what the stream's encoding lacks becomes ``?``."""
    if stream is None:  # closed by whoever started the command
        return
    encoding = stream.encoding or "utf-8"
    with suppress(BrokenPipeError):
        stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
        stream.flush()


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines of ``rows`` under ``header``, two spaces between columns, none at the end."""
    widths = [max(len(line[column]) for line in (header, *rows)) for column in range(len(header))]
    lines = (header, ["-" * width for width in widths], *rows)
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
