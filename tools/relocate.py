"""Mends the programs of a Python environment that was set up, moved, renamed or copied; called by ``make``.

Installed programs name their Python by an absolute path, on a first line that the kernel reads up to a blank and not beyond
127 bytes, and the project is found by an absolute path too. The project's own programs are run by ``python -I``: else a
``types.py`` in a folder that ``PYTHONPATH`` names is imported before their own first line. It uses only the standard library.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

PROJECT_FILE = "_editable_impl_qllm_console.pth"
FOLDER_FILE = ".mended"  # where the environment was when its programs were last right
ISOLATED = ("qllm-console", "qllm-engine")
MAX_FIRST_LINE = 127  # of the kernels that have the shortest
DIRECT = re.compile(rb"#!(/[^\n]*/bin/python[0-9.]*)(?: -I)?\n")
BY_SHELL = re.compile(rb"#!/bin/sh\n'''exec' ([^\n]*) \"\$0\" \"\$@\"\n' '''\n")


def first_lines(python: Path, *, isolated: bool = False) -> bytes:
    """The lines with which a program in Python says that ``python``, or ``python -I``, runs it."""
    path, option = os.fsencode(python), b" -I" if isolated else b""
    direct = b"#!" + path + option + b"\n"
    if len(direct) <= MAX_FIRST_LINE and len(path.split()) == 1:
        return direct
    # sh reads an exec, Python a string in three quotes
    return b"#!/bin/sh\n'''exec' " + os.fsencode(shlex.quote(str(python))) + option + b' "$0" "$@"\n' + b"' '''\n"


def interpreter(content: bytes) -> tuple[Path, int] | None:
    """The Python that a program's first lines name, and their length; None if it is no such program."""
    if found := DIRECT.match(content):
        return Path(os.fsdecode(found[1])), found.end()
    if found := BY_SHELL.match(content):
        try:
            named = shlex.split(os.fsdecode(found[1]))
        except ValueError:
            return None
        return (Path(named[0]), found.end()) if named[1:] in ([], ["-I"]) else None
    return None


def relocate(venv: Path, project: Path) -> list[Path]:
    """Make the paths in ``venv`` right for where it is; returns the folders of environments that they named before.

    Raises:
        OSError: a file cannot be read or written.
    """
    venv, found = venv.absolute(), set()
    for program in sorted((venv / "bin").iterdir()):
        if program.is_symlink() or not program.is_file():
            continue
        content = program.read_bytes()
        named = interpreter(content)
        if named is None or not named[0].name.startswith("python"):
            continue
        wanted = first_lines(venv / "bin" / named[0].name, isolated=program.name in ISOLATED)
        if content[: named[1]] != wanted:
            replace(program, wanted + content[named[1] :])
            found.add(named[0].parent.parent)
    found.discard(venv)
    for packages in sorted(venv.glob("lib/python*/site-packages")):
        path, content = packages / PROJECT_FILE, os.fsencode(project) + b"/"  # Python strips blanks at the end
        if path.exists() and path.read_bytes().strip() != content:
            replace(path, content)
    if found:  # the scripts that activate it, and its own note of how it was made
        command = [str(venv / "bin" / "python"), "-I", "-m", "venv", "--without-pip", str(venv)]
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
    (venv / FOLDER_FILE).write_bytes(os.fsencode(project.resolve()) + b"\n")
    return sorted(found)


def replace(path: Path, content: bytes) -> None:
    """Replace the file at once: others may be starting it. Its mode stays."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.chmod(path.stat().st_mode)
    new.replace(path)


def main() -> None:
    """``relocate.py VENV``, in the folder of the project."""
    venv = Path(sys.argv[1])
    if not os.access(venv / "bin" / "python", os.X_OK):
        sys.exit(
            f"{venv}: the Python that it was made with is gone; `make clean`, then the same command again, sets it up again"
        )
    for before in relocate(venv, Path.cwd()):
        print(
            f"{venv} was moved or copied from {before}: its paths are mended, nothing is installed again",
            file=sys.stderr,
        )


if __name__ == "__main__":
    main()
