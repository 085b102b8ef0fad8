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
    """Path of a config file: ``./configs/NAME``, else the source tree's, else the installed package's.

    Raises:
        BadInput: there is none.
    """
    root = Path(engine.__file__).resolve().parent.parent
    candidates = (Path("configs") / name, root / "configs" / name, root / name, root / "console" / "configs" / name)
    for path in candidates:
        if path.is_file():
            return path
    raise BadInput(f"{name} is neither in ./configs nor in the installed package; give the path of a file")


T = TypeVar("T")

ANY_KEY = "*"
# compiled on an error, not on every start
_TABLE = r"^\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(#.*)?$"
_KEY = r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
_AT_LINE = r"\s*\(at line (\d+), column \d+\)$"
_AT_PATH = r" - at (?:`key` in )?`(?:key in )?\$\.?(.*?)`$"
_UNKNOWN_OR_MISSING = r"(?:unknown|missing required) field `([^`]+)`"


def read_toml(path: Path, shape: type[T]) -> T:
    """Read ``path`` as TOML and convert it to ``shape``.

    Raises:
        BadInput: the file is missing, is not TOML, or does not fit ``shape``.
    """
    return parse_toml(read_text(path), shape, path)


def read_text(path: Path) -> str:
    """The text of ``path``; raises BadInput."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput("no such file", file=path) from None
    except IsADirectoryError:
        raise BadInput("is a folder, not a file", file=path) from None
    except UnicodeDecodeError as error:
        raise BadInput(f"is not UTF-8 text (byte {error.start:,})", file=path) from error
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot be read: {getattr(error, 'strerror', None) or error}", file=path) from error


def parse_toml(text: str, shape: type[T], path: Path) -> T:
    """Convert TOML ``text`` to ``shape``; ``path`` is only named in errors.

    Raises:
        BadInput: the text is not TOML or does not fit ``shape``.
    """
    return convert_toml(load_toml(text, path), shape, text, path)


def load_toml(text: str, path: Path) -> dict[str, Any]:
    """The tree of TOML ``text``; raises BadInput that names ``path`` and the line."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        at = re.search(_AT_LINE, message)
        line = int(at.group(1)) if at else len(text.splitlines())
        raise BadInput(f"not valid TOML: {re.sub(_AT_LINE, '', message)}", file=path, line=line) from error


def convert_toml(tree: dict[str, Any], shape: type[T], text: str, path: Path) -> T:
    """``tree``, which was loaded from ``text`` of ``path``, converted to ``shape``; raises BadInput."""
    try:
        return msgspec.convert(tree, shape)
    except msgspec.ValidationError as error:
        message = str(error)
        field = _with_keys(tree, shape, message, _field_of(message))
        raise _unfit(message, field, text, path, shape) from error


def unfit_table(error: msgspec.ValidationError, table: str, text: str, path: Path, shape: type) -> BadInput:
    """The error for dotted ``table`` in ``text`` of the file ``path``, which ``error`` says does not fit ``shape``."""
    return _unfit(str(error), _field_of(str(error)), text, path, shape, f"{table}.")


def _field_of(message: str) -> str:
    """The dotted field in msgspec's message; ``*`` stands for any key of a mapping."""
    at_path = re.search(_AT_PATH, message)
    # seeds[0] -> seeds, but contingency[1].title; conditions[...].edition -> conditions.*.edition
    field = re.sub(r"\[\d+\](?!\.)", "", at_path.group(1)).replace("[...]", f".{ANY_KEY}") if at_path else ""
    if at_path and at_path.group(0).startswith(" - at `key` in "):
        field += f".{ANY_KEY}"
    return field.lstrip(".")


def _unfit(message: str, field: str, text: str, path: Path, shape: type, prefix: str = "") -> BadInput:
    """The error for dotted ``field`` of a value of ``shape``, which is at ``prefix`` in the file."""
    from engine.contract.validation_words import in_words  # only here: its expressions would delay every start

    if named := re.search(_UNKNOWN_OR_MISSING, message):
        field = f"{field}.{named.group(1)}" if field else named.group(1)
    message = re.sub(_AT_PATH, "", message).replace(" | null`", "`")  # TOML has no null
    whole = (prefix + field).rstrip(".")
    return BadInput(in_words(message, shape, field), file=path, line=line_of(text, whole), field=whole or None)


def line_of(text: str, field: str) -> int | None:
    """The line, from 1, of dotted ``field`` in TOML ``text``, or of its nearest table; None if there is neither.

    ``steps[1].title`` is that of the second table ``[[steps]]``, ``steps.title`` that of the first one that has it.
    """
    wanted = field.split(".") if field else []
    first, _, index = wanted[0].partition("[") if wanted else ("", "", "")
    tables = 0  # [[first]] so far
    table: list[str] = []
    best_depth, best_line = 0, None
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(_TABLE, line):
            table = _parts(header.group(1))
            if index and table[0] == first:
                tables += table == [first] and line.lstrip().startswith("[[")
                table[0] = f"{first}[{tables - 1}]"
            path = table
        elif key := re.match(_KEY, line):
            path = table + _parts(key.group(1))
        else:
            continue
        depth = min(len(path), len(wanted))
        if path[:depth] == wanted[:depth] and depth > best_depth:
            best_depth, best_line = depth, number
    return best_line


def _parts(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]


def _with_keys(tree: dict[str, Any], shape: type[T], message: str, field: str) -> str:
    """``field`` with each ``*``, which msgspec reports for any key of a mapping, replaced by the key at fault.

    msgspec does not say which key it was: it is the one that, alone in the mapping, gives the same message.
    """
    parts = field.split(".")
    while ANY_KEY in parts:
        index = parts.index(ANY_KEY)
        for key in _at(tree, parts[:index]):
            alone = copy.deepcopy(tree)
            mapping = _at(alone, parts[:index])
            for other in mapping.keys() - {key}:
                del mapping[other]
            try:
                msgspec.convert(alone, shape)
            except msgspec.ValidationError as error:
                if str(error) == message:
                    parts[index] = key
                    tree = alone
                    break
        else:
            return ".".join(parts[:index])
    return ".".join(parts)


def _at(tree: Any, parts: list[str]) -> Any:
    for part in parts:
        name, _, index = part.partition("[")
        tree = tree[name][int(index[:-1])] if index else tree[name]
    return tree
