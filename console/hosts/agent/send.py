"""Sends files as frames, many small ones in one piece, and detects a file that changes while it is sent."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from console.hosts.agent.file_index import hash_prefix, unchanged
from console.hosts.agent.frames import CHANGED, COMPLETE, DATA, HEAD, MAX_DATA, MISSING, SHRANK, file_end, file_head
from console.hosts.agent.safe_dir import SafeDir, UnexpectedFile

READ = 256 * 1024
PIECE = 128 * 1024  # bytes; frames are collected up to this, for each write to the channel costs


class OutgoingFile(NamedTuple):
    """A file to send.

    Attributes:
        size: that it must have, in bytes; None takes it as it is now, and it may grow meanwhile.
        offset, prefix: start there if the bytes before have this SHA-256, else at 0; an empty ``prefix`` is not compared.
    """

    path: str
    size: int | None
    offset: int = 0
    prefix: str = ""


def send_files(root: SafeDir, files: Iterable[OutgoingFile]) -> Iterator[bytes]:
    """Yield the frames of ``files``, numbered in their order, in pieces of about 128 KiB or more."""
    collected = bytearray()
    for number, file in enumerate(files):
        for piece in _frames(root, number, file):
            if len(piece) >= PIECE:
                if collected:
                    yield bytes(collected)
                    collected.clear()
                yield piece
                continue
            collected += piece
            if len(collected) >= PIECE:
                yield bytes(collected)
                collected.clear()
    if collected:
        yield bytes(collected)


def _frames(root: SafeDir, number: int, file: OutgoingFile) -> Iterator[bytes]:
    try:
        handle = root.open_file(file.path)
    except (OSError, UnexpectedFile):
        yield file_head(number, 0) + file_end(MISSING)
        return
    try:
        before = os.fstat(handle)
        offset = _seek(handle, file)
        yield file_head(number, offset)
        if offset > before.st_size:
            yield file_end(SHRANK)
            return
        left = (before.st_size if file.size is None else file.size) - offset
        fits = file.size in (None, before.st_size)
        while fits and left:
            length = min(MAX_DATA, left)
            yield HEAD.pack(DATA, length)
            fits = yield from _data(handle, length)
            left -= length
        complete = fits and not left and (file.size is None or unchanged(before, os.fstat(handle)))
        yield file_end(COMPLETE if complete else CHANGED)
    except OSError:
        yield file_end(CHANGED)
    finally:
        os.close(handle)


def _data(handle: int, length: int) -> Generator[bytes, None, bool]:
    """Yield exactly ``length`` bytes; returns False if the file ended early and zeros were sent for the rest."""
    while length:
        chunk = b""
        with suppress(OSError):
            chunk = os.read(handle, min(READ, length))
        if not chunk:
            yield bytes(length)  # the frame's length is sent already: END reports the file as changed
            return False
        length -= len(chunk)
        yield chunk
    return True


def _seek(handle: int, file: OutgoingFile) -> int:
    """Move ``handle`` to the offset to start from, and return it."""
    offset = file.offset
    if offset and file.prefix:
        size, digest = hash_prefix(handle, offset)
        if (size, digest.hexdigest()) != (offset, file.prefix):
            offset = 0
    return os.lseek(handle, offset, os.SEEK_SET)
