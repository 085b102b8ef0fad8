"""What a view can write to a file, and the writing: a new file whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from console.plain_table import PlainTable, table_csv, table_markdown
from engine.contract.durable import write_durably


class Export(Struct, frozen=True):
    """Something that can be written to a file.

    Attributes:
        label: what it is, such as ``the runs as CSV``.
        name: file name without folder and experiment, such as ``runs.csv``.
        content: makes the file's bytes; called in a thread.
    """

    label: str
    name: str
    content: Callable[[], bytes]


def table_exports(what: str, name: str, table: Callable[[], PlainTable]) -> tuple[Export, ...]:
    """A table as CSV and as Markdown; ``name`` is the file's without suffix."""
    return (
        Export(f"{what} as CSV", f"{name}.csv", lambda: table_csv(table()).encode()),
        Export(f"{what} as Markdown", f"{name}.md", lambda: table_markdown(table()).encode()),
    )


def proposed_name(*parts: str) -> str:
    """A file name of ``parts`` in plain characters: ``scaling-demo-runs.csv``."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(filter(None, parts))).strip("-.") or "export"


def write_new(path: Path, content: bytes) -> None:
    """Write a file that must not exist yet, whole or not at all.

    Raises:
        FileExistsError: it exists, and is as it was.
        OSError: it cannot be written; nothing is left of it.
    """
    path.open("xb").close()  # takes the name, so that nobody else's file is replaced
    try:
        write_durably(path, content)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise
