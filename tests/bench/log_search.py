"""A filter over 1,000,000 lines: until its first hit is known, and the index against the lines kept in memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from console.runs.log_query import LogQuery
from console.runs.log_search import LogSearch
from console.runs.log_store import LogStore
from tests.bench.log_files import MILLION, write_log
from tests.bench.row import Row, row

PAIRS = 9
FIRST_HIT_S = 0.2
NEEDLE = "a needle that stands in the last line alone"
RESIDENT = """
import sys
from pathlib import Path
from console.runs.log_store import LogStore

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])

before = resident()
if sys.argv[1] == "index":
    kept = LogStore(Path(sys.argv[2]))
    kept.catch_up()
else:
    kept = Path(sys.argv[2]).read_bytes().splitlines()
print(max(1, resident() - before))
"""


def first_hit() -> Row:
    """The worst case: searched from the first line on, the only hit is the last line."""
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.txt"
        write_log(path, MILLION)
        with path.open("a", encoding="ascii") as file:
            file.write(f"{NEEDLE}\n")
        store = LogStore(path)
        store.catch_up()
        for _ in range(PAIRS):
            started = time.perf_counter()
            search = LogSearch(store, LogQuery.parse(f'"{NEEDLE}"'))
            while not search.count and search.advance(0.03):
                pass
            pairs.append((time.perf_counter() - started, FIRST_HIT_S))
            assert search.line(0) == MILLION
    note = "ours: a filter's only hit is the last of 1,000,001 lines, searched from the first; peer: the goal, 200 ms"
    return row("log filter, first hit", pairs, 1.0, note)


def memory() -> Row:
    """MB, not seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.txt"
        write_log(path, MILLION)
        pairs = [(_resident("index", path), _resident("lines", path)) for _ in range(3)]
    note = "MB of memory, not seconds, for 1,000,000 lines; ours: the index of the file; peer: its lines as bytes"
    return row("log index, memory", pairs, 0.1, note)


def _resident(kind: str, path: Path) -> float:
    printed = subprocess.run(  # a process for each: memory that was freed stays resident
        [sys.executable, "-c", RESIDENT, kind, str(path)], check=True, capture_output=True, text=True
    ).stdout
    return int(printed) * 4096 / 1e6
