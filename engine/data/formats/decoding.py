"""From the bytes of a line to a typed record of a known format, or the reason why not."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from engine.data.formats.reasons import Quarantined
from engine.data.formats.schemas import SHAPES, Format, Shape, recognise

DEEPEST = 100
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_PATH = re.compile(r" - at `(\$.*)`$")


def decode_line(content: bytes) -> tuple[Format, Shape]:
    """The format of a line and what it says.

    Raises:
        Quarantined: it is not text, not JSON, too deep, ambiguous, of no known format, or a field has a wrong type.
    """
    if content.count(b"[") + content.count(b"{") > DEEPEST:
        _check_depth(content)
    try:
        record = msgspec.json.decode(content)
    except UnicodeDecodeError as error:
        raise Quarantined("not_utf8", f"byte {error.start} of a text") from None
    except msgspec.ValidationError as error:
        raise Quarantined("bad_number", str(error)) from None
    except msgspec.DecodeError as error:
        raise _not_json(content, error) from None
    _check_keys(content, record)
    known = recognise(record) if isinstance(record, dict) else None
    if known is None:
        raise Quarantined("unknown_format", _fields(record))
    try:
        return known, msgspec.convert(record, SHAPES[known])
    except (msgspec.ValidationError, OverflowError) as error:
        raise Quarantined("wrong_type", _PATH.sub(r": \1", str(error))) from None


def _check_depth(content: bytes) -> None:
    depth = 0
    for token in _TOKEN.finditer(content):
        first = content[token.start()]
        depth += (first in b"[{") - (first in b"]}")
        if depth > DEEPEST:
            raise Quarantined("too_deep", f"byte {token.start()}")


def _not_json(content: bytes, error: msgspec.DecodeError) -> Quarantined:
    """What kind of no JSON: the standard library reads NaN and half surrogate pairs."""

    def refuse(name: str) -> None:
        raise Quarantined("bad_number", name)

    try:
        json.loads(content.decode("utf-8", "replace"), parse_constant=refuse)
    except Quarantined as found:
        return found
    except ValueError:
        return Quarantined("unreadable_json", str(error))
    return Quarantined("not_utf8", "half a surrogate pair")


def _check_keys(content: bytes, record: Any) -> None:
    """Refuse an object with the same key twice, of which the decoder has silently taken the last.

    Encoded again, a record has as many ``":`` as before, or fewer if a key was lost. That holds if no white space
    stands before a colon and no quote is written as a number; otherwise, the slow way.
    """
    plain = b" :" not in content and b"\t:" not in content and b"\r:" not in content and b"\\u0022" not in content
    if plain and msgspec.json.encode(record).count(b'":') == content.count(b'":'):
        return

    def unique(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise Quarantined("duplicate_key", key)
            seen.add(key)

    json.loads(content.decode(), object_pairs_hook=unique)


def _fields(record: Any) -> str:
    if isinstance(record, dict):
        return f"an object with the fields {', '.join(record)}" if record else "an empty object"
    return f"{type(record).__name__}, not an object"
