"""A project that was moved or copied with its environment works again after `make`, in a folder of any name."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.console.user_modules import OURS, write_user_modules
from tests.tools.copied_project import copy_project, make_relocated
from tools.relocate import first_lines, interpreter, relocate


def test_a_copy_runs_its_own_code_and_leaves_the_original_alone(tmp_path: Path) -> None:
    original = copy_project(tmp_path / "original")
    copy = Path(shutil.copytree(original, tmp_path / "josé" / ("long " * 40) / "copy", symlinks=True))
    assert "was moved or copied" in make_relocated(copy)
    assert make_relocated(original) == ""
    for folder in (original, copy):
        printed = subprocess.run(
            [folder / ".venv/bin/python", "-c", "import console; print(console.__file__)"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert printed.stdout.strip() == str(folder / "console/__init__.py")
        help_text = subprocess.run(
            [folder / ".venv/bin/qllm-console", "--help"], capture_output=True, text=True, check=True
        )
        assert "qllm-console" in help_text.stdout
        activate = '. "$1/.venv/bin/activate" && command -v python'
        found = subprocess.run(["sh", "-c", activate, "sh", str(folder)], capture_output=True, text=True, check=True)  # noqa: S607
        assert found.stdout.strip() == str(folder / ".venv/bin/python")


def test_programs_start_among_modules_that_pythonpath_names(tmp_path: Path) -> None:
    named = write_user_modules(tmp_path / "named", ("types", "enum", "re", "encodings", "random", *OURS))
    environ = {**os.environ, "PYTHONPATH": str(named), "PYTHONHOME": str(named)}
    for folder in (tmp_path / "short", tmp_path / ("a long name of a folder with blanks " * 4)):
        make_relocated(copy_project(folder))
        for name in ("qllm-console", "qllm-engine"):
            program = [str(folder / ".venv/bin" / name), "--help"]
            done = subprocess.run(program, cwd=named, env=environ, capture_output=True, text=True, check=False)
            assert f"usage: {name}" in done.stdout, done.stderr
    assert first_lines(folder / ".venv/bin/python3", isolated=True).startswith(b"#!/bin/sh"), (
        "a name that the kernel cuts"
    )


@pytest.mark.parametrize("isolated", [False, True])
@pytest.mark.parametrize("folder", ["/venv", "/my venv", "/it's $5 `venv`", f"/{'long' * 40}", "/josé"])
def test_the_first_lines_of_a_program_are_read_back(folder: str, isolated: bool) -> None:
    python = Path(folder) / "bin" / "python3.11"
    lines = first_lines(python, isolated=isolated)
    assert interpreter(lines + b"import sys\n") == (python, len(lines))
    compile(lines + b"import sys\n", "program", "exec")
    assert (lines.count(b"\n") == 1) == (folder in ("/venv", "/josé"))


def test_other_programs_are_left_as_they_are(tmp_path: Path) -> None:
    contents = {"ruff": b"\x7fELF\0", "tool": b"#!/bin/sh\nexec true\n", "perl": b"#!/usr/bin/perl\n", "empty": b""}
    (tmp_path / "bin").mkdir()
    for name, content in contents.items():
        (tmp_path / "bin" / name).write_bytes(content)
    assert relocate(tmp_path, tmp_path) == []
    assert {path.name: path.read_bytes() for path in (tmp_path / "bin").iterdir()} == contents
