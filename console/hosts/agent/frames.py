"""Frames of a transfer: messages and files, one after the other on one channel, in either direction.

A frame is a kind (1 byte), a length (4 bytes, big endian) and that many bytes. A file is one FILE (its index in the list
that both sides know, and the offset at which its data starts), any number of DATA, and one END (the outcome).
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

MESSAGE, FILE, DATA, END = 1, 2, 3, 4
COMPLETE, CHANGED, MISSING, SHRANK = 0, 1, 2, 3
OUTCOMES = {CHANGED: "it changed while it was sent", MISSING: "it is gone", SHRANK: "it is shorter than it was"}

HEAD = struct.Struct(">BI")
FILE_HEAD = struct.Struct(">IQ")
# Limits on what a hostile or broken other end can make this one hold in memory, in bytes.
MAX_DATA = 16 << 20
MAX_COMPRESSED = 64 << 20
MAX_MESSAGE = 512 << 20
SIZES = {MESSAGE: (1, MAX_COMPRESSED), FILE: (FILE_HEAD.size,) * 2, DATA: (1, MAX_DATA), END: (1, 1)}
"""Kind of a frame -> least and most bytes of its payload."""


class BadFrame(Exception):
    """Received bytes that are not a valid frame."""


class Frame(NamedTuple):
    """Kind and payload of a received frame. A DATA frame is passed on in several parts, each with a piece of its payload."""

    kind: int
    payload: bytes | memoryview


def encode_message(value: dict[str, Any]) -> bytes:
    """A MESSAGE frame."""
    return encode_frame(MESSAGE, zlib.compress(json.dumps(value).encode(), 1))


def encode_frame(kind: int, payload: bytes) -> bytes:
    return HEAD.pack(kind, len(payload)) + payload


def file_head(number: int, offset: int) -> bytes:
    return encode_frame(FILE, FILE_HEAD.pack(number, offset))


def file_end(outcome: int) -> bytes:
    return encode_frame(END, bytes([outcome]))


def decode_message(payload: bytes | memoryview) -> dict[str, Any]:
    """Content of a MESSAGE frame.

    Raises:
        BadFrame: it is no JSON object, or too large.
    """
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(payload, MAX_MESSAGE)
        if unpacker.unconsumed_tail:
            raise BadFrame("a message of more than 512 MiB")
        value = json.loads(text)
    except (zlib.error, ValueError, RecursionError) as error:
        raise BadFrame(f"a message that cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise BadFrame("a message that is no object")
    return value


class FrameDecoder:
    """Splits a stream into frames: DATA is passed on in parts as it arrives, all others when they are complete.

    Attributes:
        consumed: bytes of the stream up to the end of the last frame, or part of one, that was passed on.
    """

    def __init__(self) -> None:
        self._head = b""
        self._kind = 0
        self._left = 0
        self._collected = bytearray()
        self.consumed = 0

    def feed(self, chunk: bytes | memoryview) -> Iterator[Frame]:
        """Frames that end in ``chunk``, and DATA as it arrives: views of ``chunk``, valid until the next call only.

        Raises:
            BadFrame: an unknown kind, or a size out of bounds.
        """
        view = memoryview(chunk)
        while view:
            if not self._left:
                missing = HEAD.size - len(self._head)
                self._head += view[:missing]
                self.consumed += len(view[:missing])
                view = view[missing:]
                if len(self._head) < HEAD.size:
                    return
                self._kind, self._left = HEAD.unpack(self._head)
                self._head = b""
                least, most = SIZES.get(self._kind, (1, 0))
                if not least <= self._left <= most:
                    raise BadFrame(f"a frame of kind {self._kind} with {self._left} bytes")
                continue
            piece = view[: self._left]
            view = view[len(piece) :]
            self._left -= len(piece)
            self.consumed += len(piece)
            if self._kind == DATA:
                yield Frame(DATA, piece)
                continue
            self._collected += piece
            if not self._left:
                payload, self._collected = bytes(self._collected), bytearray()
                yield Frame(self._kind, payload)
