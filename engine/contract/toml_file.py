"""Reads a TOML file into a typed struct; an error names the file, the line and the field."""

from __future__ import annotations

import copy
import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

import engine
from engine.contract.bad_input import BadInput


def find_config(name: str) -> Path:
    """The first of ``./configs/NAME``, the source tree's ``configs/NAME`` or ``NAME``, and the installed one.

    Raises:
        BadInput: it is in none of them.
    """
    root = Path(engine.__file__).resolve().parent.parent
    places = (Path("configs") / name, root / "configs" / name, root / name, root / "console" / "configs" / name)
    for place in places:
        if place.is_file():
            return place
    raise BadInput(f"{name} is not in ./configs nor beside the installed package; name a file instead")


T = TypeVar("T")

ANY_KEY = "*"
_TABLE = re.compile(r"^\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_AT_LINE = re.compile(r"\s*\(at line (\d+), column \d+\)$")
_AT_PATH = re.compile(r" - at `(?:key in )?\$\.?(.*?)`$")
_UNKNOWN = re.compile(r"unknown field `([^`]+)`")
_MISSING = re.compile(r"missing required field `([^`]+)`")


def read_toml(path: Path, shape: type[T]) -> T:
    """Read ``path`` as TOML and convert it to ``shape``.

    Raises:
        BadInput: the file is missing, is not TOML, or does not fit ``shape``.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput("no such file", file=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot be read: {error}", file=path) from error
    return parse_toml(text, shape, path)


def parse_toml(text: str, shape: type[T], path: Path) -> T:
    """Convert TOML ``text`` to ``shape``; ``path`` is only named in errors.

    Raises:
        BadInput: the text is not TOML or does not fit ``shape``.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        at = _AT_LINE.search(said)
        line = int(at.group(1)) if at else len(text.splitlines())
        raise BadInput(f"not valid TOML: {_AT_LINE.sub('', said)}", file=path, line=line) from error
    try:
        return msgspec.convert(tree, shape)
    except msgspec.ValidationError as error:
        said = str(error)
        at_path = _AT_PATH.search(said)
        field = _without_indices(at_path.group(1)) if at_path else ""
        field = _with_keys(tree, shape, said, field)
        named = _UNKNOWN.search(said) or _MISSING.search(said)
        if named:
            field = f"{field}.{named.group(1)}" if field else named.group(1)
        message = _AT_PATH.sub("", said)
        raise BadInput(message, file=path, line=line_of(text, field), field=field or None) from error


def line_of(text: str, field: str) -> int | None:
    """The line, from 1, where ``field`` (dotted) stands in TOML ``text``, or its nearest table; None if neither does."""
    wanted = field.split(".") if field else []
    table: list[str] = []
    best: tuple[int, int] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            table = _parts(header.group(1))
            here = table
        elif key := _KEY.match(line):
            here = table + _parts(key.group(1))
        else:
            continue
        shared = _common(here, wanted)
        if shared == len(here) and (best is None or shared > best[0]):
            best = (shared, number)
    return best[1] if best else None


def _parts(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]


def _common(here: list[str], wanted: list[str]) -> int:
    """How many leading parts agree."""
    count = 0
    for ours, theirs in zip(here, wanted, strict=False):
        if ours != theirs:
            break
        count += 1
    return count


def _with_keys(tree: dict[str, Any], shape: type[T], said: str, field: str) -> str:
    """``field`` with each ``*``, which stands for any key of a mapping, replaced by the key at fault.

    The key is the one with which alone the same is said.
    """
    parts = field.split(".")
    while ANY_KEY in parts:
        at = parts.index(ANY_KEY)
        for key in _at(tree, parts[:at]):
            alone = copy.deepcopy(tree)
            mapping = _at(alone, parts[:at])
            for other in [other for other in mapping if other != key]:
                del mapping[other]
            try:
                msgspec.convert(alone, shape)
            except msgspec.ValidationError as error:
                if str(error) == said:
                    parts[at] = key
                    tree = alone
                    break
        else:
            return ".".join(parts[:at])
    return ".".join(parts)


def _at(tree: Any, parts: list[str]) -> Any:
    for part in parts:
        tree = tree[part]
    return tree


def _without_indices(path: str) -> str:
    """``seeds[0]`` -> ``seeds``; ``conditions[...].edition`` -> ``conditions.*.edition``."""
    path = re.sub(r"\[\d+\]", "", path)
    return path.replace("[...]", f".{ANY_KEY}").lstrip(".")
