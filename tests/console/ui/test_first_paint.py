"""What is loaded when the console paints for the first time: Textual and light modules, nothing heavy."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from console.cli import main  # the command line itself must be light too
from console.ui.app import ConsoleApp
from engine.contract.toml_file import find_config
from engine.contract.experiment_reader import read_experiment

HEAVY = {"torch", "polars", "scipy", "numpy", "asyncssh", "plotext", "transformers"}

def open_session(prompter):
    print("PAINTED", app.main.query_one("#status-bar").region, sorted(HEAVY & set(sys.modules)))
    raise ValueError("seen enough")

app = ConsoleApp(open_session, read_experiment(find_config("scaling.toml")), "demo", "this machine", False)
app.run(headless=True, size=(80, 24))
"""


def test_nothing_heavy_is_imported_before_the_first_paint() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert "PAINTED Region(x=0, y=0, width=80, height=1) []" in done.stdout, done.stdout + done.stderr
