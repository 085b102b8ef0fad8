"""The console in a terminal while a run writes 50,000 events and 20,000 log lines a second: from a key to its paint.

``python -m tests.bench.live_load FOLDER SECONDS`` is the writer: it appends to the local copy that the console follows.
"""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from tests.bench.log_files import log_lines
from tests.bench.row import Row

EVENTS_S, LINES_S = 50_000, 20_000
SECONDS = 12
BEAT_S = 0.05
P99_S = 0.1
KEYS = ((b"f", b"paused"), (b"f", b"following"), (b"2", b">2 Runs<"), (b"3", b">3 Live<"))
LIMIT_S = 30.0
_TOTAL = re.compile(rb"log: ([\d,]+) lines")


def write(folder: Path, seconds: float) -> None:
    """Append events and log lines at their rates, each beat what has come due; then a last line in both."""
    total = int(EVENTS_S * seconds)
    written, lines = 0, 1
    started = time.monotonic()
    with (folder / "events.jsonl").open("ab") as event_file, (folder / "log.txt").open("ab") as log_file:
        first = sum(1 for _ in (folder / "events.jsonl").open("rb"))
        while written < total:
            time.sleep(max(0.0, started + written / EVENTS_S + BEAT_S - time.monotonic()))
            due = min(total, int((time.monotonic() - started) * EVENTS_S))
            event_file.write(b"".join(events(first, written, due, total)))
            event_file.flush()
            lines_due = due * LINES_S // EVENTS_S
            log_file.write("".join(log_lines(lines, lines_due - lines)).encode())
            log_file.flush()
            written, lines = due, max(lines, lines_due)
    print(lines)


def events(first: int, start: int, stop: int, total: int) -> Iterator[bytes]:
    """Lines of events: steps ``start`` to ``stop``; ``first``: number of the event of step 0."""
    for at in range(start, stop):
        yield (
            b'{"seq":%d,"t":%d.5,"body":{"type":"step","step":%d,"total_steps":%d,"epoch":1,"loss":%d.%03d,'
            b'"learning_rate":0.0003,"tiers":{"tier1_easy":79,"tier2_robust":31,"tier3_adversarial":18}}}\n'
            % (first + at, 1795767872 + at // EVENTS_S, at + 1, total, 1 + at % 3, at % 1000)
        )


class Terminal:
    """A program in a terminal of 120 x 40, and what it has painted since the last key."""

    def __init__(self, argv: list[str]) -> None:
        self.child, self._handle = pty.fork()
        self.painted = b""
        if not self.child:
            os.environ |= {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
            os.execv(argv[0], argv)  # noqa: S606 - a terminal program wants its terminal

    def close(self) -> None:
        os.kill(self.child, 9)
        os.waitpid(self.child, 0)
        os.close(self._handle)

    def read(self, seconds: float) -> None:
        """Take what is painted within ``seconds``."""
        deadline = time.perf_counter() + seconds
        while (left := deadline - time.perf_counter()) > 0 and select.select([self._handle], [], [], left)[0]:
            self.painted += os.read(self._handle, 1 << 20)

    def seconds_until(self, text: bytes, since: float) -> float:
        """Wait until ``text`` is painted; seconds since ``since``."""
        while text not in self.painted:
            if time.perf_counter() - since > LIMIT_S:
                raise RuntimeError(f"{text!r} was not painted within {LIMIT_S} s; last: {self.painted[-2000:]!r}")
            if select.select([self._handle], [], [], 1.0)[0]:
                self.painted += os.read(self._handle, 1 << 20)
        return time.perf_counter() - since

    def press(self, key: bytes, text: bytes) -> float:
        """Seconds from ``key`` until ``text`` is painted."""
        self.painted = b""
        started = time.perf_counter()
        os.write(self._handle, key)
        return self.seconds_until(text, started)


def key_to_paint(folder: Path, live: Path, seconds: float) -> tuple[list[float], float]:
    """Seconds from each key to its paint while the writer writes, and until all it wrote is shown after its end."""
    terminal = Terminal([sys.executable, "-m", "console.cli", "view", str(folder)])
    try:
        terminal.seconds_until(b"Runs", time.perf_counter())
        terminal.read(2.0)
        terminal.press(b"3", b">3 Live<")
        terminal.read(2.0)
        argv = [sys.executable, "-m", "tests.bench.live_load", str(live), str(seconds)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as writer:
            waits = []
            for key, text in cycle(KEYS):
                waits.append(terminal.press(key, text))
                terminal.read(0.03)
                if writer.poll() is not None and text == KEYS[-1][1]:
                    break
            ended = time.perf_counter()
            assert writer.stdout is not None
            shown = f"log: {int(writer.stdout.read()):,} lines".encode()
        terminal.painted = b""
        terminal.press(b"f", b"paused")
        return waits, max(terminal.seconds_until(shown, ended), terminal.seconds_until(b"100%", ended))
    finally:
        terminal.close()


def measure() -> Row:
    """The 99th percentile of the waits, against its goal."""
    from engine.contract.experiment_reader import read_experiment
    from engine.contract.settings import RunId
    from engine.contract.toml_file import find_config
    from tests.console.local_folder import write_run
    from tests.console.ui.scenes import training

    with tempfile.TemporaryDirectory() as path:
        folder, run = Path(path), RunId("A", 42)
        scaling = read_experiment(find_config("scaling.toml"))
        write_run(folder, scaling, "demo", run, training(1), state="running", log=b"begun\n", sealed=False)
        (live,) = (folder / ".live" / str(run)).iterdir()
        waits, behind = key_to_paint(folder, live, SECONDS)
    waits.sort()
    p99 = waits[min(len(waits) - 1, int(0.99 * len(waits)))]
    note = (
        f"99th percentile of {len(waits)} keys, the longest {waits[-1] * 1000:.0f} ms, while a writer appends "
        f"{EVENTS_S:,} events and {LINES_S:,} log lines a second; all shown {behind:.1f} s after its end; peer: the goal"
    )
    return Row("key to paint under load", p99, P99_S, p99 / P99_S, 1.0, p99 <= P99_S, waits[-1] - waits[0], note)


if __name__ == "__main__":
    write(Path(sys.argv[1]), float(sys.argv[2]))
