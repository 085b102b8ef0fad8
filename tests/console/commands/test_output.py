"""Output as pipes, full disks and old locales take it: no traceback, and the exit code is the command's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RESULTS = (sys.executable, "-m", "console.cli", "results")


def results(folder: Path, redirect: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    """``qllm-console results`` under a shell that redirects it."""
    command = ["/bin/bash", "-o", "pipefail", "-c", f'"$@" {redirect}', "bash", *RESULTS, "--runs", str(folder)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environ}
    )


def test_a_reader_that_has_gone_changes_nothing(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            (*RESULTS, "--runs", tmp_path), stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_a_closed_stream_is_no_error_and_mixes_with_no_other(tmp_path: Path, closed: str) -> None:
    done = results(tmp_path, f"--json {closed}")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout or "{}").get("verdict", "incomplete") == "incomplete"


def test_a_full_disk_is_one_line_and_a_failure(tmp_path: Path) -> None:
    done = results(tmp_path, "> /dev/full")
    assert done.returncode == 1 and done.stderr == "qllm-console: error: No space left on device\n"


def test_an_old_locale_gets_what_it_can_show(tmp_path: Path) -> None:
    done = results(tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and "Mean over seeds +- standard deviation" in done.stdout
