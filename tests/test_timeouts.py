"""The time limit of a test, and what swallows the interruption."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SWALLOWED = """
import contextlib, time

def test_swallows():
    with contextlib.suppress(BaseException):
        time.sleep(20)
"""
IN_A_WORKER = """
import time
from textual.app import App

class Busy(App):
    async def spin(self) -> None:
        while True:  # the interruption ends the worker's task; of that the test hears nothing
            time.sleep(0.01)

async def test_spins():
    app = Busy()
    async with app.run_test() as pilot:
        app.run_worker(app.spin())
        await pilot.pause()
"""


def test_a_test_that_swallows_its_interruption_fails(tmp_path: Path) -> None:
    (tmp_path / "test_limit.py").write_text(SWALLOWED)
    (tmp_path / "test_worker.py").write_text(IN_A_WORKER)
    argv = ["-m", "pytest", "-p", "tests.timeouts", "-p", "no:cacheprovider", "--timeout=0.7", "-q"]
    options = ["-o", "asyncio_mode=auto", f"--rootdir={tmp_path}", str(tmp_path)]
    done = subprocess.run([sys.executable, *argv, *options], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 failed" in done.stdout
