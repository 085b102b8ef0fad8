"""A real disk that is too small."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

SIZE = 4 << 20
FILES = 400


@contextmanager
def mounted(folder: Path, size: int = SIZE, files: int = FILES) -> Iterator[Path]:
    """A file system of ``size`` bytes and ``files`` files at ``folder``."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder.mkdir()
    command = ["/bin/mount", "-t", "tmpfs", "-o", f"size={size},nr_inodes={files}", "tmpfs", str(folder)]
    mounting = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounting.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounting.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["/bin/umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, leave: int = 0) -> Path:
    """Fill ``disk`` but for ``leave`` bytes; returns the file that does it."""
    filler = disk / "filler"
    size = 1 << 16
    with open(filler, "wb", buffering=0) as file:
        while size:
            try:
                file.write(b"x" * size)
            except OSError as error:
                assert error.errno == errno.ENOSPC
                size //= 2
        file.truncate(max(0, file.tell() - leave))
    return filler


def fill_files(disk: Path) -> list[Path]:
    """Make as many files on ``disk`` as it takes; returns them."""
    made: list[Path] = []
    with suppress(OSError):
        while True:
            handle, path = tempfile.mkstemp(dir=disk)
            os.close(handle)
            made.append(Path(path))
    return made
