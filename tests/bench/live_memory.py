"""Memory after 24 hours of a run that is followed, against that after one hour: events and log lines, read as they come."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

from console.hosts.pull.local_runs import LocalRun
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId
from engine.contract.toml_file import find_config
from tests.bench.live_load import events
from tests.bench.log_files import log_lines
from tests.bench.row import Row
from tests.console.local_folder import write_run

HOURS, STEPS_H, LINES_H = 24, 5 * 3600, 10 * 3600
GOAL = 1.25
RUN = RunId("A", 42)


def follow(folder: Path) -> None:
    """Append hour after hour, read what is new twelve times an hour, print the resident MB after each.

    The process has loaded what the console has once each view was shown.
    """
    for name in ("console.ui.app", "console.ui.live.pane", "console.results.items.filter"):
        importlib.import_module(name)
    experiment = read_experiment(find_config("scaling.toml"))
    live = write_run(folder, experiment, "demo", RUN, (), state="running", sealed=False)
    run, parts = LocalRun(folder, RUN), 12
    steps, lines = STEPS_H // parts, LINES_H // parts
    for part in range(HOURS * parts):
        with (live / "events.jsonl").open("ab") as event_file, (live / "log.txt").open("a") as log_file:
            event_file.writelines(events(0, part * steps, (part + 1) * steps, HOURS * STEPS_H))
            log_file.writelines(islice(log_lines(part * lines, lines), lines))
        run.refresh()
        run.log.catch_up()
        if part % parts == parts - 1:
            print(int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6)
    assert (len(run.view.losses), run.log.total) == (HOURS * STEPS_H, HOURS * LINES_H)


def measure() -> Row:
    """MB, not seconds."""
    with tempfile.TemporaryDirectory() as folder:
        argv = [sys.executable, "-m", "tests.bench.live_memory", folder]
        printed = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    resident = [float(line) for line in printed.split()]
    first, last = resident[0], resident[-1]
    step = 1e6 * (last - first) / ((HOURS - 1) * STEPS_H)
    note = (
        f"MB of memory, not seconds: after {HOURS} h of {STEPS_H // 3600} steps and {LINES_H // 3600} log lines a second "
        f"against after 1 h; {step:.0f} bytes a step: its values are kept, the log is not"
    )
    return Row("memory of a followed run", last, first, last / first, GOAL, last / first <= GOAL, 0.0, note)


if __name__ == "__main__":
    follow(Path(sys.argv[1]))
