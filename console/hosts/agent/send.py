"""Sends files out as frames, many small ones in one piece, and notices when one changes meanwhile."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from console.hosts.agent.file_index import hash_of, same
from console.hosts.agent.frames import CHANGED, DATA, END, GONE, HEAD, MAX_DATA, SHRANK, WHOLE, file_head, frame
from console.hosts.agent.safe_dir import InTheWay, SafeDir

READ = 256 * 1024
PIECE = 128 * 1024  # small files are gathered up to this


class Outgoing(NamedTuple):
    """A file to send.

    Attributes:
        size: what it must be in all; None takes it as it is now.
        offset, prefix: go on from there, if what lies before has that SHA-256; an empty ``prefix`` is not looked at.
    """

    path: str
    size: int | None
    offset: int = 0
    prefix: str = ""


def send_files(root: SafeDir, files: Iterable[Outgoing]) -> Iterator[bytes]:
    """The frames of ``files``, numbered as they come, in pieces that are worth a write each."""
    gathered = bytearray()
    for number, file in enumerate(files):
        for piece in _frames(root, number, file):
            if len(piece) >= PIECE:
                if gathered:
                    yield bytes(gathered)
                    gathered.clear()
                yield piece
                continue
            gathered += piece
            if len(gathered) >= PIECE:
                yield bytes(gathered)
                gathered.clear()
    if gathered:
        yield bytes(gathered)


def _frames(root: SafeDir, number: int, file: Outgoing) -> Iterator[bytes]:
    try:
        handle = root.open_file(file.path)
    except (OSError, InTheWay):
        yield file_head(number, 0) + frame(END, bytes([GONE]))
        return
    try:
        before = os.fstat(handle)
        offset = _start(handle, file)
        yield file_head(number, offset)
        if offset > before.st_size:
            yield frame(END, bytes([SHRANK]))
            return
        left = (before.st_size if file.size is None else file.size) - offset
        fits = file.size in (None, before.st_size)
        while fits and left:
            length = min(MAX_DATA, left)
            yield HEAD.pack(DATA, length)
            fits = yield from _data(handle, length)
            left -= length
        may_grow = file.size is None
        whole = fits and not left and (may_grow or same(before, os.fstat(handle)))
        yield frame(END, bytes([WHOLE if whole else CHANGED]))
    except OSError:
        yield frame(END, bytes([CHANGED]))
    finally:
        os.close(handle)


def _data(handle: int, length: int) -> Generator[bytes, None, bool]:
    """``length`` bytes; False if the file could be read no further, and zeros took its place."""
    while length:
        chunk = b""
        with suppress(OSError):
            chunk = os.read(handle, min(READ, length))
        if not chunk:
            yield bytes(length)
            return False
        length -= len(chunk)
        yield chunk
    return True


def _start(handle: int, file: Outgoing) -> int:
    """The offset to go on from; ``handle`` is there then."""
    if file.offset and file.prefix:
        size, digest = hash_of(handle, file.offset)
        if size == file.offset and digest.hexdigest() == file.prefix:
            return file.offset
        os.lseek(handle, 0, os.SEEK_SET)
        return 0
    return os.lseek(handle, file.offset, os.SEEK_SET) if file.offset else 0
