"""Folders that the user's environment names come last on the import path."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.contract.import_path import isolated_python, put_user_folders_last
from tests.console.user_modules import write_user_modules


@pytest.mark.parametrize("command", ["engine", "console"])
def test_programs_started_among_modules_import_pythons_own(tmp_path: Path, command: str) -> None:
    other = "engine" if command == "console" else "console"
    folder = write_user_modules(tmp_path / "named", ("json", "queue", "random", "hashlib", "torch", other))
    for argv in (["-m", f"{command}.cli"], [str(Path(sys.executable).with_name(f"qllm-{command}"))]):
        done = subprocess.run(
            [sys.executable, *argv, "--help"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 and f"usage: qllm-{command}" in done.stdout, done.stderr


def test_what_only_pythonpath_has_can_still_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(("/named", "/also")))
    monkeypatch.setattr(sys, "path", ["/program", "/named", "/also", "/lib/python3", "/site-packages"])
    put_user_folders_last()
    assert sys.path == ["/program", "/lib/python3", "/site-packages", "/named", "/also"]


@pytest.mark.parametrize("first", ["", "."])
def test_the_current_folder_comes_last_even_without_a_variable(first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setattr(sys, "path", [first and str(Path.cwd()), "/lib/python3"])
    put_user_folders_last()
    assert sys.path == ["/lib/python3", first and str(Path.cwd())]


@pytest.mark.parametrize(("user_site", "flags"), [(False, ("-I",)), (None, ("-I",)), (True, ("-E", "-P"))])
def test_a_console_installed_for_the_user_alone_is_found_by_its_children(
    user_site: bool | None, flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("site.ENABLE_USER_SITE", user_site)
    assert isolated_python() == (sys.executable, *flags)
