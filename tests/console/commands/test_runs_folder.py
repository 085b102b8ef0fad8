"""What ``--runs`` may be: refused with one line before anything starts, or usable."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from console.commands.runs_folder import check_runs_folder
from console.runs.experiment_source import write_source
from engine.contract.bad_input import BadInput
from engine.contract.experiment_reader import read_experiment
from tests.console.nameless_user import UID, nameless
from tests.console.tiny import write_experiment


def make_file(path: Path) -> Path:
    path.write_text("")
    return path


def below_a_file(path: Path) -> Path:
    return make_file(path) / "runs"


def dangling(path: Path) -> Path:
    path.symlink_to("nowhere")
    return path


def below_dangling(path: Path) -> Path:
    return dangling(path) / "runs"


def loop(path: Path) -> Path:
    path.symlink_to(path)
    return path


def too_long(path: Path) -> Path:
    return path.with_name("x" * 300)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_file, "is a file, not a folder"),
        (below_a_file, "runs is a file, not a folder"),
        (dangling, "is a link to nowhere, which does not exist"),
        (below_dangling, "runs is a link to nowhere, which does not exist"),
        (loop, "cannot be read: Too many levels of symbolic links"),
        (too_long, "cannot be read: File name too long"),
    ],
)
def test_what_cannot_be_a_folder_is_refused(tmp_path: Path, make: Callable[[Path], Path], message: str) -> None:
    folder = make(tmp_path / "runs")
    for is_written in (False, True):
        with pytest.raises(BadInput) as raised:
            check_runs_folder(folder, is_written=is_written)
        assert message in str(raised.value) and raised.value.field == "--runs"


def test_new_and_linked_folders_are_usable(tmp_path: Path) -> None:
    (tmp_path / "my runs").mkdir()
    (tmp_path / "link").symlink_to("my runs")
    for name in ("my runs", "link", "josé/new", "link/new"):
        check_runs_folder(tmp_path / name, is_written=True)


def test_the_folder_of_one_experiment_is_no_runs_folder(tmp_path: Path) -> None:
    file = write_experiment(tmp_path / "configs")
    (tmp_path / "runs/tiny-tiny").mkdir(parents=True)
    write_source(tmp_path / "runs", file, read_experiment(file), "tiny")
    check_runs_folder(tmp_path / "runs", is_written=True)
    with pytest.raises(BadInput, match=f"name the folder that it is in, {tmp_path}/runs"):
        check_runs_folder(tmp_path / "runs/tiny-tiny", is_written=True)


@pytest.mark.parametrize("command", ["run", "", "status", "results"])
def test_a_folder_that_may_not_be_read_or_written_is_refused_at_once(tmp_path: Path, command: str) -> None:
    file = write_experiment(tmp_path)
    folders = {name: tmp_path / name for name in ("closed", "read-only")}
    for folder, mode in zip(folders.values(), (0o300, 0o500), strict=True):
        folder.mkdir()
        folder.chmod(mode)
    shared = ("--experiment", str(file), "--profile", "tiny")

    def line(runs: Path) -> tuple[int, str]:
        program = [sys.executable, "-m", "console.cli", *filter(None, [command]), *shared, "--runs", str(runs)]
        done = subprocess.run(nameless(*program), capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stderr

    try:
        named = f"qllm-console: error: --runs: {folders['closed']} may not be read by uid{UID}\n"
        assert line(folders["closed"]) == (2, named)
        code, text = line(folders["read-only"] / "new" if command == "run" else folders["read-only"])
        if command in ("run", ""):
            assert code == 2 and text.count("\n") == 1 and f"may not be written by uid{UID}" in text
        else:
            assert "--runs" not in text and (code == 0 or command == "results"), text
    finally:
        for folder in folders.values():
            os.chmod(folder, 0o700)  # noqa: PTH101
