"""Frames of a transfer: messages, and files in pieces, one after the other on one channel in either direction.

A frame is a kind (one byte), a length (four bytes, big endian) and that many bytes. A file is FILE (its number in the
list both sides know, and the offset it goes on from), any number of DATA, and END (how it went).
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

MESSAGE, FILE, DATA, END = 1, 2, 3, 4
WHOLE, CHANGED, GONE, SHRANK = 0, 1, 2, 3

HEAD = struct.Struct(">BI")
FILE_HEAD = struct.Struct(">IQ")
MAX_DATA = 16 << 20
MAX_PACKED = 64 << 20
MAX_MESSAGE = 512 << 20


class Garbled(Exception):
    """What came is no frame."""


class Frame(NamedTuple):
    """A frame that came; of DATA, as much as has come."""

    kind: int
    payload: bytes | memoryview


def message(value: dict[str, Any]) -> bytes:
    """A MESSAGE frame."""
    return frame(MESSAGE, zlib.compress(json.dumps(value).encode(), 1))


def frame(kind: int, payload: bytes) -> bytes:
    return HEAD.pack(kind, len(payload)) + payload


def file_head(number: int, offset: int) -> bytes:
    return frame(FILE, FILE_HEAD.pack(number, offset))


def decoded(payload: bytes | memoryview) -> dict[str, Any]:
    """What a MESSAGE says.

    Raises:
        Garbled: it is not an object of a decent size.
    """
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(payload, MAX_MESSAGE)
        if unpacker.unconsumed_tail:
            raise Garbled("a message of more than 512 MiB")
        value = json.loads(text)
    except (zlib.error, ValueError, RecursionError) as error:
        raise Garbled(f"a message that cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise Garbled("a message that is no object")
    return value


class Frames:
    """Cuts a stream into frames; DATA is handed on as it comes, all else when it is whole."""

    def __init__(self) -> None:
        self._head = b""
        self._kind = 0
        self._left = 0
        self._collected = bytearray()

    def feed(self, chunk: bytes | memoryview) -> Iterator[Frame]:
        """The frames that end, and the data that lies, in ``chunk``; data is a part of it, to be used at once.

        Raises:
            Garbled: it holds something else.
        """
        view = memoryview(chunk)
        while view:
            if not self._left:
                missing = HEAD.size - len(self._head)
                self._head += view[:missing]
                view = view[missing:]
                if len(self._head) < HEAD.size:
                    return
                self._kind, self._left = HEAD.unpack(self._head)
                self._head = b""
                self._check()
                continue
            piece = view[: self._left]
            view = view[len(piece) :]
            self._left -= len(piece)
            if self._kind == DATA:
                yield Frame(DATA, piece)
                continue
            self._collected += piece
            if not self._left:
                payload, self._collected = bytes(self._collected), bytearray()
                yield Frame(self._kind, payload)

    def _check(self) -> None:
        sizes = {MESSAGE: (1, MAX_PACKED), FILE: (FILE_HEAD.size,) * 2, DATA: (1, MAX_DATA), END: (1, 1)}
        least, most = sizes.get(self._kind, (1, 0))
        if not least <= self._left <= most:
            raise Garbled(f"a frame of kind {self._kind} with {self._left} bytes")
