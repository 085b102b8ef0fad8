"""Writes that survive a crash: a reader sees the old file whole or the new file whole, never a part."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

LEFT_BEHIND = ".*.tmp"
"""Matches the temporary files of writers that were killed, and of those still writing."""


def write_durably(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` by a temporary file, fsync and rename, then fsync the folder.

    Raises:
        OSError: the disk said no; ``path`` is then as it was, and no temporary file is left.
    """
    with writing_durably(path) as file:
        file.write(content)


@contextmanager
def writing_durably(path: Path) -> Iterator[BinaryIO]:
    """A file to write that becomes ``path`` when the block ends without an exception, as ``write_durably`` does it.

    Raises:
        OSError: the disk said no; ``path`` is then as it was, and no temporary file is left.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_dir_atomically(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write ``files`` by name beside ``folder`` and rename; an empty folder of that name gives way.

    Raises:
        OSError: the disk said no, or ``folder`` holds something; nothing is left beside it then.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, content in files.items():
            write_durably(beside / name, content)
        beside.chmod(0o755)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
