"""A line of a log taken in and shown at its end: the log panel's store and window against Textual's RichLog."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from textual.app import App, ComposeResult
from textual.widgets import RichLog

from console.runs.log_store import LogStore
from console.ui.live.log_view import LogView
from tests.bench.log_files import log_lines
from tests.bench.row import Row, row

LINES, PAIRS = 5000, 9


class BothLogs(App[None]):
    def compose(self) -> ComposeResult:
        yield LogView()
        yield RichLog()


def paint(view: LogView) -> None:
    """Render the visible lines, as the compositor does."""
    for y in range(view.size.height):
        view.render_line(y)


async def pairs() -> list[tuple[float, float]]:
    """Seconds a line of both, in turn."""
    measured = []
    app = BothLogs()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.txt"
        async with app.run_test(size=(120, 40)):
            view, rich = app.query_one(LogView), app.query_one(RichLog)
            view.show(LogStore(path))
            for turn in range(PAIRS):
                lines = list(log_lines(turn * LINES, LINES))
                with path.open("a", encoding="ascii") as file:
                    file.writelines(lines)
                started = time.perf_counter()
                view.store.catch_up()
                view.sync()
                paint(view)
                ours = time.perf_counter() - started
                assert view.store.total == (turn + 1) * LINES
                started = time.perf_counter()
                for line in lines:
                    rich.write(line)
                measured.append((ours / LINES, (time.perf_counter() - started) / LINES))
                rich.clear()
    return measured


def measure() -> Row:
    note = f"ours: {LINES:,} lines from the file into the store, the window painted; peer: RichLog.write, each line"
    return row("log line taken in", asyncio.run(pairs()), 1 / 20, note)
