"""What is loaded when the console paints for the first time: Textual and light modules, nothing heavy."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from console.cli import main  # the command line itself must be light too
from console.ui.app import ConsoleApp
from engine.contract.config_files import find_config
from engine.contract.experiment import read_experiment

class Watched(ConsoleApp):
    def open_core(self):
        heavy = {"torch", "polars", "scipy", "numpy", "asyncssh", "plotext", "transformers"}
        print("PAINTED", self.main.size.width, sorted(heavy & set(sys.modules)))
        self.exit()

def never():
    raise AssertionError("the core was opened before the first paint")

Watched(never, read_experiment(find_config("scaling.toml")), "demo", "this machine", False).run(headless=True, size=(80, 24))
"""


def test_nothing_heavy_is_imported_before_the_first_paint() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert "PAINTED 80 []" in done.stdout, done.stdout + done.stderr
