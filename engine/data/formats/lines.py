"""Reads JSON Lines: a file as lines in bounded memory, a line as a schema or the reason why not."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from engine.contract.bad_input import BadInput
from engine.contract.validation_words import error_in_words
from engine.data.formats.reasons import Quarantined, Reason
from engine.data.formats.schemas import SCHEMAS, Format, Id, Schema, detect_format

MAX_LINE_BYTES = 4 << 20
"""Of a longer line only the beginning is kept, so that one line without end cannot fill the memory."""

MAX_DEPTH = 100
_KEPT_OF_LONG_LINE = 1 << 16
_CHUNK = 1 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BOM_AND_LINE_END = len(_BYTE_ORDER_MARK) + len(b"\n") + 1
_MAGIC = 8
_NOT_JSON_LINES = {
    b"\x1f\x8b": "is compressed with gzip; uncompress it first",
    b"BZh": "is compressed with bzip2; uncompress it first",
    b"\xfd7zXZ": "is compressed with xz; uncompress it first",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; uncompress it first",
    b"PK\x03\x04": "is a zip archive; unpack it first",
    b"PAR1": "is a Parquet file, not JSON Lines",
    b"\xff\xfe": "is UTF-16; save it as UTF-8",
    b"\xfe\xff": "is UTF-16; save it as UTF-8",
}
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)  # a string, or a bracket outside strings


class Line(NamedTuple):
    """One line of a file.

    Attributes:
        number: from 1.
        content: its bytes without the line end; of a line that is too long, the first 64 KiB.
        length: number of bytes without the newline.
        has_bom: whether a byte order mark preceded it.
    """

    number: int
    content: bytes
    length: int
    has_bom: bool = False

    @property
    def blank(self) -> bool:
        """Nothing but white space."""
        return not self.content.strip()

    @property
    def too_long(self) -> bool:
        """More than ``MAX_LINE_BYTES``; such a line is not read whole."""
        return self.length > MAX_LINE_BYTES


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of ``path``, with at most about 4 MiB in memory.

    Raises:
        BadInput: the file is missing, unreadable, empty, not a regular file, or compressed or binary.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # pipes and devices may never end
            raise BadInput("is a folder" if stat.S_ISDIR(mode) else "is not a regular file", file=path)
        with path.open("rb") as file:
            beginning = file.peek(_MAGIC)
            if not beginning:
                raise BadInput("is empty", file=path)
            for magic, message in _NOT_JSON_LINES.items():
                if beginning.startswith(magic):
                    raise BadInput(message, file=path)
            yield from _lines(file)
    except FileNotFoundError:
        raise BadInput("no such file", file=path) from None
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", file=path) from error


def _lines(file: BinaryIO) -> Iterator[Line]:
    number = 0
    while part := file.readline(MAX_LINE_BYTES + _BOM_AND_LINE_END):
        number += 1
        has_bom = part.startswith(_BYTE_ORDER_MARK)  # any line, where files were put together
        content = part.removeprefix(_BYTE_ORDER_MARK) if has_bom else part
        content = content.removesuffix(b"\n")
        length = len(content)
        if length > MAX_LINE_BYTES:
            if not part.endswith(b"\n"):
                length += _skip_line(file)
            content = content[:_KEPT_OF_LONG_LINE]
        yield Line(number, content.removesuffix(b"\r"), length, has_bom)


def _skip_line(file: BinaryIO) -> int:
    """Read to the end of the line without keeping it; returns the number of bytes skipped."""
    length = 0
    while part := file.readline(_CHUNK):
        length += len(part)
        if part.endswith(b"\n"):
            return length - 1
    return length


def decode_line(content: bytes) -> tuple[Format, Schema]:
    """Decode one line to the schema of its format.

    Raises:
        Quarantined: it is not UTF-8, not JSON, too deep, ambiguous, of no known format, or a field has a wrong type.
    """
    if content.count(b"[") + content.count(b"{") > MAX_DEPTH:
        _check_depth(content)
    try:
        record = msgspec.json.decode(content)
    except UnicodeDecodeError as error:
        raise Quarantined(Reason.NOT_UTF8, f"byte {error.start} of a text") from None
    except msgspec.ValidationError as error:
        raise Quarantined(Reason.BAD_NUMBER, error_in_words(error)) from None
    except msgspec.DecodeError as error:
        raise _decode_error(content, error) from None
    _check_unique_keys(content, record)
    known = detect_format(record) if isinstance(record, dict) else None
    if known is None:
        raise Quarantined(Reason.UNKNOWN_FORMAT, _describe(record))
    try:
        return known, msgspec.convert(record, SCHEMAS[known])
    except (msgspec.ValidationError, OverflowError) as error:
        raise Quarantined(Reason.WRONG_TYPE, error_in_words(error)) from None


class _Identified(msgspec.Struct):
    """The part of a line of any evaluation format that names it."""

    eval_id: Id


def item_id_of(content: bytes) -> str | None:
    """The ``eval_id`` of a line that need not be valid otherwise; None if it has none that can be read."""
    try:
        return str(msgspec.json.decode(content, type=_Identified).eval_id)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _check_depth(content: bytes) -> None:
    """Refuse deep nesting before the recursive decoder sees it."""
    depth = 0
    for token in _TOKEN.finditer(content):
        first = content[token.start()]
        depth += (first in b"[{") - (first in b"]}")
        if depth > MAX_DEPTH:
            raise Quarantined(Reason.TOO_DEEP, f"byte {token.start()}")


def _decode_error(content: bytes, error: msgspec.DecodeError) -> Quarantined:
    """The reason for a failed decoding; the standard library accepts NaN and half surrogate pairs, which tells them apart."""

    def refuse(name: str) -> None:
        raise Quarantined(Reason.BAD_NUMBER, name)

    try:
        json.loads(content.decode("utf-8", "replace"), parse_constant=refuse)
    except Quarantined as found:
        return found
    except ValueError:
        return Quarantined(Reason.UNREADABLE_JSON, str(error))
    return Quarantined(Reason.NOT_UTF8, "half a surrogate pair")


def _check_unique_keys(content: bytes, record: Any) -> None:
    """Refuse an object with the same key twice; the decoder silently keeps the last value.

    Fast path: encoded again, a record has as many ``":`` as before, or fewer if a key was lost. This holds only without
    white space before colons and without escaped quotes; other lines are parsed again by the slower standard library.
    """
    plain = b" :" not in content and b"\t:" not in content and b"\r:" not in content and b"\\u0022" not in content
    if plain and msgspec.json.encode(record).count(b'":') == content.count(b'":'):
        return

    def unique(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise Quarantined(Reason.DUPLICATE_KEY, key)
            seen.add(key)

    json.loads(content.decode(), object_pairs_hook=unique)


def _describe(record: Any) -> str:
    if isinstance(record, dict):
        return f"an object with the fields {', '.join(record)}" if record else "an empty object"
    return f"{type(record).__name__}, not an object"
