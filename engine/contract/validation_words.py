"""Puts msgspec's messages about values that do not fit a type into words for people who do not know the type."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

from msgspec import inspect

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
    "datetime": "a date with time",
    "date": "a date",
    "time": "a time",
}
_GOT = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_RANGE = re.compile(r"Expected `(int|float|int \| float)` (>=|<=|>|<) (\S+)")
_LENGTH = re.compile(
    r"Expected `(array|str|object)` of (?:at least |at most )?length (>=|<=)? ?(\d+)(?: to (\d+))?(?:, got (\d+))?"
)
_PATTERN = re.compile(r"Expected `str` matching regex (.+)", re.DOTALL)
_ENUM = re.compile(r"Invalid enum value (.+)", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]*)`")
_MISSING = re.compile(r"Object missing required field `([^`]*)`")
_LIMITS = {">=": "of at least", "<=": "of at most", ">": "above", "<": "below"}
_FORMS = {
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$": "up to 64 letters, digits and any of . _ -, beginning with a letter or digit",
    r"^[0-9a-f]{64}$": "a SHA-256, 64 digits 0 to 9 and a to f",
    r"^[0-9a-f]{0,64}$": "at most 64 digits 0 to 9 and a to f",
    r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\+00:00|Z)$": "a time such as 2026-01-31T12:00:00+00:00",
    r"^([A-Z]{3})?$": "a currency such as EUR",
}
"""Description of each pattern of the project's types."""
_SIZED = {"array": ("a list", "entries"), "str": ("text", "characters"), "object": ("a table", "entries")}
_ARRAYS = (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType, inspect.CollectionType)


def in_words(message: str, shape: Any = None, field: str = "") -> str:
    """``message`` of a ValidationError, without its path, in words.

    Args:
        shape: the type that was decoded; with it, the values and names that are allowed are listed.
        field: dotted name of what the message is about, within ``shape``.
    """
    if found := _GOT.fullmatch(message):
        return f"must be {_kind(found[1])}, not {_kind(found[2])}"
    if found := _RANGE.fullmatch(message):
        return f"must be {_kind(found[1])} {_LIMITS[found[2]]} {found[3].removesuffix('.0')}"
    if found := _LENGTH.fullmatch(message):
        return _length(*found.groups())
    if found := _PATTERN.fullmatch(message):
        pattern = found[1].strip("'\"").replace("\\\\", "\\")
        return f"must be {_FORMS[pattern]}" if pattern in _FORMS else f"does not have the form {pattern}"
    if found := _ENUM.fullmatch(message):
        known = list(dict.fromkeys(_literals(_at(shape, field))))
        return (
            f"{found[1]} is not one of: {', '.join(map(str, known))}"
            if known
            else f"{found[1]} is not a value it may have"
        )
    if found := _UNKNOWN.fullmatch(message):
        return _unknown(found[1], shape, field)
    if found := _MISSING.fullmatch(message):
        return "is missing"
    return message.replace("`", "")


def error_in_words(error: Exception) -> str:
    """``error`` in words, behind the field that it is about."""
    message, _, path = str(error).partition(" - at `")
    field = path.rstrip("`").removeprefix("$").lstrip(".")
    return f"{field}: {in_words(message)}" if field else in_words(message)


def _kind(types: str) -> str:
    return " or ".join(dict.fromkeys(_KINDS.get(one, one) for one in types.split(" | ")))


def _length(kind: str, limit: str | None, low: str, high: str | None, got: str | None) -> str:
    what, parts = _SIZED[kind]
    if limit == ">=" and low == "1":
        return "must not be empty"
    bound = {">=": "at least ", "<=": "at most "}.get(limit or "", "")
    number = f"{low} to {high}" if high else f"{bound}{low}"
    return f"must be {what} of {number} {parts}" + (f", not {got}" if got else "")


def _unknown(name: str, shape: Any, field: str) -> str:
    """The nearest name that is allowed beside ``name``, the last part of ``field``."""
    table = _at(shape, field.rpartition(".")[0] if field.endswith(name) else field)
    names = [one.encode_name for of in _options(table) if isinstance(of, inspect.StructType) for one in of.fields]
    close = difflib.get_close_matches(name, names, 1)
    return "there is no such setting" + (f"; did you mean {close[0]}?" if close else "")


def _at(shape: Any, field: str) -> inspect.Type | None:
    """The type at dotted ``field`` of ``shape``; None if it is not known."""
    if shape is None:
        return None
    here: list[inspect.Type] = [inspect.type_info(shape)]
    for part in field.split(".") if field else []:
        name = part.partition("[")[0]
        following: list[inspect.Type] = []
        for of in _through_arrays(here):
            if isinstance(of, inspect.StructType):
                following += [one.type for one in of.fields if one.encode_name == name]
            elif isinstance(of, inspect.DictType):
                following.append(of.value_type)
        here = following
    if not here:
        return None
    return here[0] if len(here) == 1 else inspect.UnionType(tuple(here))


def _through_arrays(types: list[inspect.Type]) -> Iterator[inspect.Type]:
    for of in types:
        for one in _options(of):
            yield from _through_arrays([one.item_type]) if isinstance(one, _ARRAYS) else [one]


def _options(of: inspect.Type | None) -> Iterator[inspect.Type]:
    """The types that a value of type ``of`` may have."""
    if isinstance(of, inspect.UnionType):
        for one in of.types:
            yield from _options(one)
    elif isinstance(of, inspect.Metadata):
        yield from _options(of.type)
    elif of is not None:
        yield of


def _literals(of: inspect.Type | None) -> Iterator[Any]:
    """The values that a value of type ``of``, or an entry of it, may have."""
    for one in _options(of):
        if isinstance(one, inspect.LiteralType):
            yield from one.values
        elif isinstance(one, inspect.EnumType):
            yield from (member.value for member in one.cls)
        elif isinstance(one, _ARRAYS):
            yield from _literals(one.item_type)
        elif isinstance(one, inspect.DictType):  # msgspec names the table for a key of it
            yield from _literals(one.key_type)
