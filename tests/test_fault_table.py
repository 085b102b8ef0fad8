"""The table of faults: a row for each fault, whichever process ran its tests."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

@pytest.mark.fault("two forms", "holds")
@pytest.mark.parametrize("form", [1, 2])
def test_two_forms(fault, form):
    fault.note(f"form {form} seed {fault.seed}")

@pytest.mark.fault("one form of two fails", "holds")
@pytest.mark.parametrize("form", [1, 2])
def test_one_fails(fault, form):
    assert form == 1

@pytest.fixture
def server():
    raise OSError("does not start")

@pytest.mark.fault("a server that does not start", "holds")
def test_without_server(server):
    pass
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_faults_have_one_row_each(tmp_path: Path, workers: str) -> None:
    (tmp_path / "test_faults.py").write_text(TESTS)
    argv = [
        "-m",
        "pytest",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        "-n",
        workers,
        "-m",
        "fault",
        "--full-size",
    ]
    options = [f"--rootdir={tmp_path}", str(tmp_path)]
    done = subprocess.run([sys.executable, *argv, *options], capture_output=True, text=True, check=False, timeout=120)
    rows = [re.split(r" {2,}", line.strip()) for line in done.stdout.partition("---  ----")[2].splitlines()[1:4]]
    held = {row[0]: (row[2], *row[4:]) for row in rows}
    assert list(held) == ["a server that does not start", "one form of two fails", "two forms"], (
        done.stdout + done.stderr
    )
    assert held["a server that does not start"][0] == held["one form of two fails"][0] == "NO"
    both = held["two forms"]
    # all workers have one seed, which is drawn, so that a row can be had again
    assert both[0] == "yes" and sorted(both[2].split("; ")) == [f"form {form} seed {both[1]}" for form in (1, 2)]
