"""Set-up says what it does, what remains, and what to do about a failure; the package installer is a stand-in."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tools.set_up import PipProgress, Step, advice, create_environment, download_of, install_packages

SUCCEEDS = """
Collecting torch==2.13.0
  Downloading https://index.example/torch-2.13.0-cp311-cp311-manylinux.whl (190.4 MB)
Collecting rich
  Downloading rich-14.0.0-py3-none-any.whl (243 kB)
Installing collected packages: rich, torch
"""
FAILS = """
Collecting torch==2.13.0
NewConnectionError: Temporary failure in name resolution
ERROR: Could not find a version
"""


def environment(folder: Path, output: str, status: int) -> tuple[Path, Path]:
    """An environment whose Python prints what pip would, and a file of constraints."""
    (folder / "bin").mkdir()
    python = folder / "bin" / "python"
    python.write_text(f"#!/bin/sh\ncat <<'END'{output}END\nexit {status}\n")
    python.chmod(0o755)
    constraints = folder / "constraints.txt"
    constraints.write_text("# a note\nrich==14.0.0\ntorch==2.13.0\n")
    return folder, constraints


def test_packages_that_were_there_before_are_not_counted_as_installed_now(tmp_path: Path) -> None:
    (tmp_path / "numpy-2.3.0.dist-info").mkdir()
    step = Step(2, "install packages")
    progress = PipProgress(step, tmp_path / "unpacked", tmp_path, pins=3)
    progress.read(io.StringIO(SUCCEEDS), io.StringIO())
    (tmp_path / "rich-14.0.0.dist-info").mkdir()
    progress.show()
    assert step.state == "1 of 2 packages installed"


def test_each_large_package_and_the_number_that_remain_are_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    venv, constraints = environment(tmp_path, SUCCEEDS, 0)
    install_packages(venv, ".", constraints)
    written = capfd.readouterr().err
    assert "step 2 of 3: about 2 packages" in written
    assert "package 1 of about 2: torch 190 MB" in written and "rich 0 MB" not in written
    assert "installing 2 packages" in written and "done in" in written
    assert (venv / "set-up.log").read_text().strip() == SUCCEEDS.strip()
    assert "\r" not in written, "nothing that only a terminal understands"


def test_a_step_that_fails_says_why_and_what_to_do(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    venv, constraints = environment(tmp_path, FAILS, 1)
    with pytest.raises(SystemExit) as ended:
        install_packages(venv, ".", constraints)
    assert ended.value.code == 2
    written = capfd.readouterr().err
    assert "step 2 of 3 failed" in written and "Could not find a version" in written
    assert "PIP_INDEX_URL" in written and str(venv / "set-up.log") in written


def test_an_environment_that_cannot_be_made_leaves_nothing_behind(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit):
        create_environment(tmp_path / "file" / "venv")
    assert "python3-venv" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("  Downloading numpy-2.4.0-cp311-cp311-manylinux_2_28_x86_64.whl (16.6 MB)", ("numpy", 16.6)),
        ("  Using cached nvidia_cublas_cu12-12.8-py3-none-manylinux.whl (1.2 GB)", ("nvidia-cublas-cu12", 1200.0)),
        ("Collecting numpy", None),
    ],
)
def test_a_download_is_read_from_the_installers_output(line: str, found: tuple[str, float] | None) -> None:
    assert download_of(line) == found


def test_a_full_disk_and_a_missing_build_have_advice_of_their_own() -> None:
    assert "disk" in advice("OSError: [Errno 28] No space left on device")
    assert "PYTHON=" in advice("ERROR: No matching distribution found for torch==2.13.0")
