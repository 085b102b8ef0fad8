"""Atomic, durable writes: a reader sees the old file whole or the new file whole, never a part.

Standard library and Python 3.8 only: this module is also shipped to the host, inside the agent.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

TEMPORARY_FILES = ".*.tmp"
"""Glob pattern of the temporary files of writers that were killed, and of those still writing."""


def write_durably(path: Path, content: bytes, wait: bool = True, private: bool = False) -> None:
    """Replace ``path`` by ``content``.

    Args:
        wait: until the disk holds it, so that it survives a power cut; without it only a crash of the process.
        private: no other user can read it at any moment, whatever the umask.

    Raises:
        OSError: it cannot be written; ``path`` is then as it was, and no temporary file is left.
    """
    with writing_durably(path, wait, private) as file:
        file.write(content)


@contextmanager
def writing_durably(path: Path, wait: bool = True, private: bool = False) -> Iterator[BinaryIO]:
    """A file to write that replaces ``path`` when the block ends without an exception; as ``write_durably``."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb", opener=_open_private if private else None) as file:
            yield file
            file.flush()
            if wait:
                os.fsync(file.fileno())  # before the rename: else a power cut may leave the new name with no content
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    if wait:
        sync_folder(path.parent)


def _open_private(path: str, flags: int) -> int:
    with suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108 - left by a process with this pid, perhaps with other rights
    return os.open(path, flags | os.O_EXCL, 0o600)


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_dir_atomically(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make ``folder`` with ``files`` by name: all of them, or no folder; as ``making_dir``."""
    with making_dir(folder) as temporary:
        for name, content in files.items():
            write_durably(temporary / name, content)


@contextmanager
def making_dir(folder: Path) -> Iterator[Path]:
    """A folder to fill that becomes ``folder`` when the block ends without an exception. An empty ``folder`` is replaced.

    Raises:
        OSError: it cannot be made, or ``folder`` is not empty; nothing is left beside it then.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
