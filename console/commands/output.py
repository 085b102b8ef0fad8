"""Output of commands: lines on stdout and stderr, and plain text tables. A closed pipe never changes the exit code."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Literal, TextIO

from console.sanitize import sanitize_line

REPORT_EVERY_S = 2.0  # how often a transfer or a running run is reported
ProgressKind = Literal["message", "error", "link", "run", "transfer"]


def print_line(text: str) -> None:
    """Write ``text`` and a newline to stdout.

    Raises:
        OSError: it cannot be written, for example because the disk is full.
    """
    _write(sys.stdout, text)


def report(text: str, kind: ProgressKind = "message", **fields: Any) -> None:
    """Write a line of progress or an error to stderr; stdout holds only the result.

    Args:
        fields: further fields of ``ProgressLine``, used where stderr is NDJSON.
    """
    line = _Progress.as_line
    _write(sys.stderr, text if line is None else line(text, kind, fields))


def report_error(error: Exception) -> None:
    """Write ``error`` to stderr as one line that is safe to show, whatever was typed or read."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{name}: {error.strerror}" if (name := error.filename2 or error.filename) else error.strerror
    report(f"qllm-console: error: {sanitize_line(text)}", "error")


class _Progress:
    """How this process writes progress: its function makes a line of NDJSON; None: as text."""

    as_line: Callable[[str, ProgressKind, dict[str, Any]], str] | None = None


def progress_as_ndjson(as_line: Callable[[str, ProgressKind, dict[str, Any]], str] | None) -> None:
    """Write progress with ``as_line`` from now on; None: as text."""
    _Progress.as_line = as_line


def is_progress_ndjson() -> bool:
    """Whether progress is written for programs."""
    return _Progress.as_line is not None


def _write(stream: TextIO | None, text: str) -> None:
    """Write a line; characters that the stream cannot encode become ``?``."""
    write(stream, text + "\n")


def write(stream: TextIO | None, text: str) -> None:
    """Write and flush; characters that the stream cannot encode become ``?``."""
    if stream is None:  # the parent process closed it
        return
    encoding = stream.encoding or "utf-8"
    with suppress(BrokenPipeError):
        stream.write(text.encode(encoding, "replace").decode(encoding))
        stream.flush()


def output_width(default: int) -> int:
    """Columns of the terminal that stdout is; ``default`` where it is none or narrower."""
    stream = sys.stdout
    if stream is None or not stream.isatty():
        return default
    return max(default, shutil.get_terminal_size((default, 24)).columns)


def prints_ascii() -> bool:
    """Whether stdout cannot show more than ASCII."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        "├●┤±−≥".encode(encoding)
    except UnicodeEncodeError:
        return True
    return False


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines of ``rows`` under ``header``, two spaces between columns, none at the end."""
    widths = [max(len(line[column]) for line in (header, *rows)) for column in range(len(header))]
    lines = (header, ["-" * width for width in widths], *rows)
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
