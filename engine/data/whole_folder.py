"""Writes a folder whole or not at all: a reader sees every file of it or no folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from engine.contract.durable import write_durably


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
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
