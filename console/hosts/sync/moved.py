"""What became of one batch of files."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from console.hosts.sync.failure import SyncFailed
from console.sanitize import sanitize_line


class Moved(Struct, frozen=True):
    """Bytes that travelled, files deleted at the target, and path -> why for each file that was not put in place."""

    failures: dict[str, str]
    bytes: int
    removed: int


def read_moved(answer: dict[str, Any]) -> Moved:
    """The host's answer to a batch.

    Raises:
        SyncFailed: it cannot be understood.
    """
    try:
        return msgspec.convert(answer, Moved)
    except msgspec.ValidationError as error:
        raise SyncFailed(f"the host's answer cannot be understood: {sanitize_line(str(error))}") from error
