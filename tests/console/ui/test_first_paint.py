"""What is loaded when the console paints for the first time: Textual and light modules, the styles of the first screen."""

from __future__ import annotations

import subprocess
import sys

import pytest
from textual.widget import Widget

from console.ui.app import ConsoleApp
from tests.console.ui.driving import LARGE, console, until
from tests.console.ui.fake_session import FakeSession

PROGRAM = """
import sys
from console.cli import main  # the command line itself must be light too
from console.ui.app import ConsoleApp
from engine.contract.toml_file import find_config
from engine.contract.experiment_reader import read_experiment

HEAVY = {"torch", "polars", "scipy", "numpy", "asyncssh", "plotext", "transformers", "console.hosts.pull.verify"}

def open_session(prompter):
    print("PAINTED", app.main.query_one("#status-bar").region, sorted(HEAVY & set(sys.modules)))
    raise ValueError("seen enough")

app = ConsoleApp(open_session, read_experiment(find_config("scaling.toml")), "demo", "this machine", False)
app.run(headless=True, size=(80, 24))
"""


def test_nothing_heavy_is_imported_before_the_first_paint() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert "PAINTED Region(x=0, y=0, width=80, height=1) []" in done.stdout, done.stdout + done.stderr


async def test_a_dialog_that_opens_before_the_other_styles_are_read_gets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    read = ConsoleApp.read_other_styles
    monkeypatch.setattr(ConsoleApp, "read_other_styles", lambda _: None)
    async with console(FakeSession(), LARGE) as pilot:

        def help_widths() -> list[int]:
            return [one.outer_size.width for one in pilot.app.screen.query("#help").results(Widget)]

        await pilot.press("question_mark")
        await until(pilot, lambda: help_widths() == [LARGE[0]], "as wide as the screen")
        assert isinstance(pilot.app, ConsoleApp)
        read(pilot.app)
        await until(pilot, lambda: help_widths() == [104], "as wide as its style says")
