"""What a command prints. A reader that has gone changes nothing of what the command does, or of how it exits."""

from __future__ import annotations

import sys
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
