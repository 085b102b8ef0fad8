"""From starting the interpreter to the first painted screen: the console against a bare Textual application.

Both run from bytecode, as an installed application does, whatever the environment says about writing it.
"""

from __future__ import annotations

import os
import pty
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.row import Row, row

PAIRS = 15
SWITCH = b"\x1b[?1049h"  # an application takes the screen; what it paints first comes after
BARE = """
from textual.app import App
from textual.widgets import Static

class Bare(App):
    def compose(self):
        yield Static("PAINTED")

Bare().run()
"""


def seconds_to_paint(argv: list[str], text: bytes, bytecode: Path) -> float:
    """Start ``argv`` in a terminal of 120 x 40, its bytecode in folder ``bytecode``; wait until it has painted ``text``."""
    start = time.perf_counter()
    child, terminal = pty.fork()
    if not child:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
        os.environ["PYTHONPYCACHEPREFIX"] = str(bytecode)
        os.execv(argv[0], argv)  # noqa: S606 - a terminal program wants its terminal
    painted = b""
    try:
        while not (SWITCH in painted and text in painted):
            painted += os.read(terminal, 65536)
        return time.perf_counter() - start
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(terminal)


def measure() -> Row:
    """Both in turn, after one warm-up each."""
    with tempfile.TemporaryDirectory() as folder:
        bytecode = Path(folder) / "bytecode"
        ours = [sys.executable, "-m", "console.cli", "--profile", "demo", "--runs", f"{folder}/runs"]
        bare = [sys.executable, "-c", BARE]

        def both() -> tuple[float, float]:
            return seconds_to_paint(ours, b"Runs", bytecode), seconds_to_paint(bare, b"PAINTED", bytecode)

        both()
        pairs = [both() for _ in range(PAIRS)]
    return row(
        "first paint of the console", pairs, 1.3, "peer: a Textual application with one Static; process start to paint"
    )
