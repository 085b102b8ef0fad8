"""What the console costs while nobody does anything: nine runs that have finished, and nine that are running.

The runs are those of a real embedded host, with a small program in place of the engine: it writes 500 steps, and while it
runs one step and one line of log a second. Counted is the CPU time of the console's own process; what the host's side (the
embedded SSH server and the agent) costs is in the note.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import psutil
import pytest

from console import cli
from console.commands import abort, run
from console.commands.context import Context
from tests.bench.row import Row, row
from tests.console.commands.quick_engine import use_job
from tests.console.terminal import Terminal
from tests.console.tiny import PROFILE, write_experiment

SETTLE_S = 25.0
WINDOW_S = 10.0
WINDOWS = 5
HOSTS = '[hosts.local]\ntitle = "this machine"\nlauncher = "embedded"\nslots = 9\n'
JOB = """
import json, time
events, seq = open("events.jsonl", "a", buffering=1), 0
def event(body):
    global seq
    events.write(json.dumps({{"seq": seq, "t": time.time(), "body": body}}) + "\\\\n")
    seq += 1
def step(number):
    event({{"type": "step", "step": number, "total_steps": 100_000, "epoch": 1, "loss": 3 / (1 + number / 50),
           "learning_rate": 0.001, "tiers": {{"untiered": 64}}}})
for number in range(1, 501):
    step(number)
while {active}:
    number += 1
    step(number)
    print("step", number, flush=True)
    time.sleep(1)
"""


def options_for(folder: Path, command: str, *more: str) -> Context:
    """A command of the headless twin on the nine runs in ``folder``."""
    shared = ["--experiment", f"{folder}/experiment.toml", "--hosts", f"{folder}/hosts.toml"]
    words = [command, *shared, "--profile", PROFILE, "--runs", f"{folder}/runs", *more]
    return Context(cli.parser().parse_args(words, Namespace(**cli.DEFAULTS)))


@contextmanager
def nine_runs(active: bool) -> Iterator[Path]:
    """A folder with an experiment whose nine runs have been launched, and have ended unless ``active``."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        path = write_experiment(folder)
        text = path.read_text().replace('conditions = ["A", "B"]', 'conditions = ["A", "B", "C"]')
        path.write_text(text.replace("seeds = [42, 123]", "seeds = [42, 123, 456]"))
        (folder / "hosts.toml").write_text(HOSTS)
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            use_job(patch, JOB.format(active=active))
            run.run(options_for(folder, "run", *(["--detach"] if active else [])))
        try:
            yield folder
        finally:
            if active:
                with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                    abort.abort(options_for(folder, "abort", "--all"))


def console_on(folder: Path) -> Terminal:
    """The console on these runs, in a terminal that is read as a terminal reads it."""
    shared = ["--experiment", f"{folder}/experiment.toml", "--hosts", f"{folder}/hosts.toml"]
    argv = [sys.executable, "-m", "console.cli", *shared, "--profile", PROFILE, "--runs", f"{folder}/runs"]
    return Terminal(argv, os.environ)


def cpu_seconds(processes: list[psutil.Process]) -> float:
    return sum(times.user + times.system for times in (one.cpu_times() for one in processes))


def measure_runs(active: bool, goal: float) -> Row:
    """CPU seconds of the console in windows of some seconds, against the seconds of one core."""
    with nine_runs(active) as folder, console_on(folder) as terminal:
        process = psutil.Process(terminal.pid)
        time.sleep(SETTLE_S)
        host_side = process.children(recursive=True)
        begun, host_begun = time.perf_counter(), cpu_seconds(host_side)
        windows = []
        for _ in range(WINDOWS):
            started, before = time.perf_counter(), cpu_seconds([process])
            time.sleep(WINDOW_S)
            windows.append((cpu_seconds([process]) - before, time.perf_counter() - started))
        host_share = (cpu_seconds(host_side) - host_begun) / (time.perf_counter() - begun)
    what = "nine active runs" if active else "nine finished runs"
    note = f"ours: CPU seconds of the console; peer: seconds of one core; the embedded host beside it: {host_share:.1%}"
    return row(f"{what}, followed without a key pressed", windows, goal, note)


def finished() -> Row:
    return measure_runs(False, 0.01)


def active() -> Row:
    return measure_runs(True, 0.03)
