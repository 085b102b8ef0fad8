"""Where files are on their way into a folder: beside their places, under names that say which content they are of."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress

from console.hosts.agent.file_index import Entry, hash_of
from console.hosts.agent.safe_dir import InTheWay, SafeDir
from console.hosts.agent.safe_names import RESERVED
from engine.contract.file_lock import take_lock

STAGING = (RESERVED, "staging")
GO_ON = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Busy(Exception):
    """Another sync writes into the same folder."""


def staged_name(entry: Entry) -> str:
    """The name of a file on its way: another content of the same path has another."""
    text = f"{entry.path}\0{entry.size}\0{entry.sha256}\0{int(entry.executable)}"
    return hashlib.sha256(text.encode()).hexdigest()


def staged(root: SafeDir) -> dict[str, tuple[int, str]]:
    """What a broken sync left on its way: staged name -> bytes that came, and their SHA-256."""
    found: dict[str, tuple[int, str]] = {}
    try:
        folder = root.folder(STAGING)
    except (OSError, InTheWay):
        return found
    for name in os.listdir(folder):  # noqa: PTH208 - a descriptor
        with suppress(OSError):
            handle = os.open(name, GO_ON, dir_fd=folder)
            try:
                size, digest = hash_of(handle, os.fstat(handle).st_size)
            finally:
                os.close(handle)
            if size:
                found[name] = (size, digest.hexdigest())
    return found


def lock(root: SafeDir) -> int:
    """A descriptor that keeps every other batch out of ``root`` as long as it is open.

    Raises:
        Busy: another batch has one.
    """
    handle = take_lock("lock", wait=False, dir_fd=root.folder(STAGING[:1]))
    if handle is None:
        raise Busy(f"another sync writes into {root.path}")
    return handle
