"""Reads a TOML file into a typed struct; an error names the file, the line and the field."""

from __future__ import annotations

import codecs
import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

import engine
from engine.contract.bad_input import BadInput

if TYPE_CHECKING:
    from engine.contract.validation_words import TreePath


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

# compiled on an error, not on every start
_KEY = r"""\s*((?:[\w-]+|"(?:[^"\\]|\\.)*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"(?:[^"\\]|\\.)*"|'[^']*'))*)\s*="""
_AT_LINE = r"\s*\(at line (\d+), column \d+\)$"
_NOT_TOML = {
    "Invalid initial character for a key part": "a name is missing, or has to be in quotes",
    "Invalid value": "there is no value, or text that is not in quotes",
}


def read_toml(path: Path, shape: type[T]) -> T:
    """Read ``path`` as TOML and convert it to ``shape``.

    Raises:
        BadInput: the file is missing, is not TOML, or does not fit ``shape``.
    """
    return parse_toml(read_text(path), shape, path)


def read_text(path: Path) -> str:
    """The text of ``path``, without a byte order mark; raises BadInput."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # pipes and devices may never end
            raise BadInput("is not a regular file", file=path)
        return path.read_text(encoding="utf-8-sig")  # Windows editors begin a file with a byte order mark
    except FileNotFoundError:
        raise BadInput("no such file", file=path) from None
    except IsADirectoryError:
        raise BadInput("is a folder, not a file", file=path) from None
    except UnicodeDecodeError as error:
        is_utf16 = error.object[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        advice = "; it is UTF-16, save it as UTF-8" if is_utf16 else ""
        raise BadInput(f"is not UTF-8 text (byte {error.start:,}){advice}", file=path) from error
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
    except RecursionError as error:
        raise BadInput("not valid TOML: it is nested too deeply", file=path) from error
    except ValueError as error:
        if not isinstance(error, tomllib.TOMLDecodeError):  # Python reads no longer number
            lines = (number for number, line in enumerate(_lines(text), 1) if re.search(r"[\d_]{4000}", line))
            raise BadInput(
                "not valid TOML: a number has more than 4,000 digits", file=path, line=next(lines, None)
            ) from error
        at = re.search(_AT_LINE, str(error))
        line = int(at.group(1)) if at else len(_lines(text))
        message = re.sub(_AT_LINE, "", str(error))
        raise BadInput(f"not valid TOML: {_NOT_TOML.get(message, message)}", file=path, line=line) from error


def _lines(text: str) -> list[str]:
    """The lines of TOML ``text``, which no other character than a newline ends."""
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def convert_toml(tree: dict[str, Any], shape: type[T], text: str, path: Path) -> T:
    """``tree``, which was loaded from ``text`` of ``path``, converted to ``shape``; raises BadInput."""
    try:
        return msgspec.convert(tree, shape)
    except msgspec.ValidationError as error:
        raise _unfit(str(error), tree, shape, text, path) from error


def unfit_table(
    error: msgspec.ValidationError, table: TreePath, changes: Mapping[str, Any], text: str, path: Path, shape: type
) -> BadInput:
    """The error for ``changes``, the values of ``table`` in ``text`` of the file ``path``.

    ``error`` says that a value of ``shape`` with these changes does not fit.
    """
    return _unfit(str(error), dict(changes), shape, text, path, table)


def _unfit(message: str, tree: dict[str, Any], shape: type, text: str, path: Path, table: TreePath = ()) -> BadInput:
    """The error for ``tree``, which is at ``table`` of the file and of which ``message`` says that it is no ``shape``."""
    from engine.contract.validation_words import (  # only here: its expressions would delay every start
        dotted,
        problem_in,
    )

    found = problem_in(message.replace(" | null`", "`"), shape, tree)  # TOML has no null
    where = (*table, *found.path)
    return BadInput(found.words, file=path, line=line_of(text, where), field=dotted(where) or None)


def line_of(text: str, field: str | TreePath) -> int | None:
    """The line, from 1, of ``field`` in TOML ``text``, or of its nearest table; None if there is neither.

    Args:
        field: dotted, or as keys and indices. ``steps[1].title`` is that of the second table ``[[steps]]``,
            ``steps.title`` that of the first one that has it.
    """
    wanted = _parts(field)
    first, _, index = wanted[0].partition("[") if wanted else ("", "", "")
    tables = 0  # [[first]] so far
    table: list[str] = []
    best_depth, best_line = 0, None
    for number, line in enumerate(_lines(text), start=1):
        if line.lstrip().startswith("["):
            if not (header := _header(line)):
                continue
            table = header
            if index and table[0] == first:
                tables += table == [first] and line.lstrip().startswith("[[")
                table[0] = f"{first}[{tables - 1}]"
            path = table
        elif key := re.match(_KEY, line):
            path = table + _header(f"[{key[1]}]")
        else:
            continue
        depth = min(len(path), len(wanted))
        if path[:depth] == wanted[:depth] and depth > best_depth:
            best_depth, best_line = depth, number
    if best_line is None and index:  # not an array of tables, but a list in one line
        return line_of(text, [first, *wanted[1:]])
    return best_line


def _parts(field: str | TreePath) -> list[str]:
    """The keys of ``field`` in the form of ``_header``, an index behind the first one."""
    if isinstance(field, str):
        return field.split(".") if field else []
    parts: list[str] = []
    for part in field:
        if not isinstance(part, int):
            parts += part.split(".")
        elif len(parts) == 1:  # other entries, such as those of lists within tables, have no line of their own
            parts[0] += f"[{part}]"
    return parts


def _header(line: str) -> list[str]:
    """The keys of a line ``[a."b.c"]`` or ``[[a]]``, cut at each dot, also within quotes; none if it is something else."""
    try:
        table = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return []
    parts: list[str] = []
    while isinstance(table, dict) and table:
        ((key, below),) = table.items()
        parts += key.split(".")
        table = below[0] if isinstance(below, list) and below else below
    return parts
