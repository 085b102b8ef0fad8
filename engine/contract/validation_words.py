"""Puts msgspec's messages about values that do not fit a type into words for people who do not know the type."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec
from msgspec import inspect

from engine.contract.bad_input import printable

TreePath: TypeAlias = Sequence[str | int]
"""Where a value is in a tree: keys of mappings and structs, indices of lists."""

ANY_KEY = "*"
"""In a path, a key of a mapping that msgspec does not name."""

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
_AT = " - at "
_WHERE = re.compile(r"(`key` in )?`\$((?:\.\w+|\[\d+\]|\[\.\.\.\])*)`")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]|\[(\.\.\.)\]")
_GOT = re.compile(r"Expected `([^`]+)`(?:, got `([^`]+)`)?")
_RANGE = re.compile(r"Expected `(int|float|int \| float)` (>=|<=|>|<) (\S+)")
_LENGTH = re.compile(
    r"Expected `(array|str|object|bytes)` of (?:at least |at most )?length (>=|<=)? ?(\d+)(?: to (\d+))?(?:, got (\d+))?"
)
_PATTERN = re.compile(r"Expected `str` matching regex (.+)", re.DOTALL)
_ENUM = re.compile(r"Invalid (?:enum )?value (.+)", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_OTHER = (
    (re.compile(r"(?:Integer value|Number) out of range"), "is a number that is too large"),
    (re.compile(r"Expected `int` that's a multiple of (\d+)"), r"must be a multiple of \1"),
    (re.compile(r"Expected `(datetime|time)` with (a|no) timezone component"), r"must be a \1 with \2 time zone"),
    (re.compile(r"Invalid RFC3339 encoded (datetime|date|time)"), r"is not a \1 such as 2026-01-31T12:00:00Z"),
    (re.compile(r"(?:Duration|Timestamp) is out of range"), "is a time that is too large"),
    (re.compile(r"Input data was truncated"), "ends too early"),
    (re.compile(r"JSON is malformed: (.+) \(byte (\d+)\)"), r"is not JSON: \1 at byte \2"),
    (
        re.compile(r"(?:Expected `|Invalid |Object |MessagePack ).*", re.DOTALL),
        "does not have the form that it must have",
    ),
)
"""What is rarer; the last one is for what the project's types do not have."""
_LIMITS = {">=": "of at least", "<=": "of at most", ">": "above", "<": "below"}
_FORMS = {
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$(?!\n)": "up to 64 letters, digits and any of . _ -, beginning with a letter or digit",
    r"^[0-9a-f]{64}$(?!\n)": "a SHA-256, 64 digits 0 to 9 and a to f",
    r"^[0-9a-f]{0,64}$(?!\n)": "at most 64 digits 0 to 9 and a to f",
    r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\+00:00|Z)$(?!\n)": "a time such as 2026-01-31T12:00:00+00:00",
    r"^([A-Z]{3})?$(?!\n)": "a currency such as EUR",
    r"^[A-Za-z_][A-Za-z0-9_]*$(?!\n)": "the name of a variable, such as HF_TOKEN",
}
"""Description of each pattern of the project's types."""
_SIZED = {"array": ("a list", "entries"), "str": ("text", "characters"), "object": ("a table", "entries")}
_ARRAYS = (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType, inspect.CollectionType)


class Problem(NamedTuple):
    """What is wrong with a value, in words, and where it is."""

    words: str
    path: tuple[str | int, ...]


def problem_in(message: str, shape: Any, tree: Any) -> Problem:
    """The problem that ``message`` of a ValidationError has with ``tree``, which was to be a ``shape``.

    msgspec names no key of a mapping: it is found as the one that, alone in the mapping, gives the same message.
    """
    text, path, of_key = split(message)
    words = in_words(text, shape, path)
    if named := _UNKNOWN.fullmatch(text) or _MISSING.fullmatch(text):
        found = (*_with_keys(tree, shape, message, path), named[1])
    else:
        found = _with_keys(tree, shape, message, (*path, ANY_KEY) if of_key else path)
    if of_key:
        words = words.replace("must be", "a name here must be", 1)
    return Problem(words, found)


def split(message: str) -> tuple[str, tuple[str | int, ...], bool]:
    """``message`` of msgspec as its text, the path at its end, and whether it is about a key of the mapping there."""
    text, _, where = message.rpartition(_AT)
    found = _WHERE.fullmatch(where)
    if not found:
        return message, (), False
    steps = (step.groups() for step in _STEP.finditer(found[2]))
    return text, tuple(name or (int(index) if index else ANY_KEY) for name, index, _ in steps), bool(found[1])


def dotted(path: TreePath, entries: bool = False) -> str:
    """``path`` for people, such as ``contingency[1].title``; odd keys are in quotes.

    Indices at the end are left out unless ``entries``: the value is then the whole list.
    """
    end = len(path)
    while end and not entries and isinstance(path[end - 1], int):
        end -= 1
    parts = (f"[{part}]" if isinstance(part, int) else f".{_key(part)}" for part in path[:end])
    return "".join(parts).removeprefix(".")


def _key(key: str) -> str:
    if re.fullmatch(r"\*|[\w-][\w.-]*", key, re.ASCII):
        return key
    return f'"{printable(key[:60])}…"' if len(key) > 60 else f'"{printable(key)}"'


def _with_keys(tree: Any, shape: Any, message: str, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """``path`` with each ``ANY_KEY`` replaced by the key at fault, or up to the mapping in which none is to be found."""
    while ANY_KEY in path:
        index = path.index(ANY_KEY)
        mapping = _value_at(tree, path[:index])
        for key in mapping if isinstance(mapping, Mapping) else ():
            alone = _replaced(tree, path[:index], {key: mapping[key]})
            if key != ANY_KEY and _message(alone, shape) == message:
                path = (*path[:index], str(key), *path[index + 1 :])
                tree = alone
                break
        else:
            return path[:index]
    return path


def _message(tree: Any, shape: Any) -> str:
    try:
        msgspec.convert(tree, shape)
    except msgspec.ValidationError as error:
        return str(error).replace(" | null`", "`")
    return ""


def _value_at(tree: Any, path: TreePath) -> Any:
    for part in path:
        tree = tree[part]
    return tree


def _replaced(tree: Any, path: TreePath, value: Any) -> Any:
    """A copy of ``tree`` that has ``value`` at ``path``."""
    if not path:
        return value
    changed: Any = dict(tree) if isinstance(tree, Mapping) else list(tree)
    changed[path[0]] = _replaced(tree[path[0]], path[1:], value)
    return changed


def in_words(message: str, shape: Any = None, path: TreePath = ()) -> str:
    """``message`` of a ValidationError, without its path, in words.

    Args:
        shape: the type that was decoded; with it, the values and names that are allowed are listed.
        path: of the value that ``message`` has at its end, within ``shape``.
    """
    if found := _GOT.fullmatch(message):
        return f"must be {_kind(found[1])}" + (f", not {_kind(found[2])}" if found[2] else "")
    if found := _RANGE.fullmatch(message):
        return f"must be {_kind(found[1])} {_LIMITS[found[2]]} {_number(found[3])}"
    if found := _LENGTH.fullmatch(message):
        return _length(*found.groups())
    if found := _PATTERN.fullmatch(message):
        pattern = found[1].strip("'\"").replace("\\\\", "\\")
        return f"must be {_FORMS[pattern]}" if pattern in _FORMS else f"does not have the form {pattern}"
    if found := _ENUM.fullmatch(message):
        known = list(dict.fromkeys(_literals(_at(shape, path))))
        return (
            f"{found[1]} is not one of: {', '.join(map(str, known))}"
            if known
            else f"{found[1]} is not a value it may have"
        )
    if found := _UNKNOWN.fullmatch(message):
        return _unknown(found[1], shape, path)
    if found := _MISSING.fullmatch(message):
        return "is missing"
    for pattern, words in _OTHER:
        if found := pattern.fullmatch(message):
            return found.expand(words)
    return message.replace("`", "")


def error_in_words(error: Exception) -> str:
    """``error`` of msgspec in words, behind the field that it is about."""
    if not isinstance(error, msgspec.MsgspecError):
        return str(error)
    text, path, of_key = split(str(error))
    words = in_words(text)
    if of_key:
        words = words.replace("must be", "a name here must be", 1)
    elif named := _UNKNOWN.fullmatch(text) or _MISSING.fullmatch(text):
        path = (*path, named[1])
    return f"{dotted(path, entries=True)}: {words}" if path else words


def _number(text: str) -> str:
    """``text`` with commas between thousands, without the fraction of a whole number."""
    whole = text.removesuffix(".0")
    return f"{int(whole):,}" if whole.isdigit() else whole


def _kind(types: str) -> str:
    return " or ".join(dict.fromkeys(_KINDS.get(one, one) for one in types.split(" | ")))


def _length(kind: str, limit: str | None, low: str, high: str | None, got: str | None) -> str:
    what, parts = _SIZED[kind]
    if limit == ">=" and low == "1":
        return "must not be empty"
    bound = {">=": "at least ", "<=": "at most "}.get(limit or "", "")
    number = f"{low} to {high}" if high else f"{bound}{low}"
    return f"must be {what} of {number} {parts}" + (f", not {got}" if got else "")


def _unknown(name: str, shape: Any, path: TreePath) -> str:
    """What is said of a ``name`` that the table at ``path`` does not have, with the nearest one that it has."""
    names = [
        one.encode_name for of in _options(_at(shape, path)) if isinstance(of, inspect.StructType) for one in of.fields
    ]
    close = difflib.get_close_matches(name, names, 1)
    return "there is no such setting" + (f"; did you mean {close[0]}?" if close else "")


def _at(shape: Any, path: TreePath) -> inspect.Type | None:
    """The type at ``path`` of ``shape``; None if it is not known."""
    if shape is None:
        return None
    here: list[inspect.Type] = [inspect.type_info(shape)]
    for name in path:
        if isinstance(name, int):  # entries of lists are looked through
            continue
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
