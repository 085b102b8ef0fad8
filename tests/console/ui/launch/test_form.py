"""The launch form, driven by keys and by the mouse."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Button, Input, OptionList, Static

from console.ui.app import ConsoleApp
from console.ui.launch.fields import ConditionList
from console.ui.launch.form import LaunchForm
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId, resolve
from engine.contract.state import RunState
from engine.contract.toml_file import find_config
from tests.console.ui.driving import LARGE, SIZES, SMALL, asked, console, notices, until, until_shown
from tests.console.ui.fake_session import FakeSession
from tests.console.ui.scenes import finished


@pytest.fixture
def session(tmp_path: Path) -> FakeSession:
    """A session whose experiment may be added to."""
    path = tmp_path / "scaling.toml"
    path.write_text(find_config("scaling.toml").read_text())
    return FakeSession(read_experiment(path), "demo", path)


async def open_form(pilot: Pilot[None]) -> None:
    await pilot.press("n")
    await until_shown(pilot, "New runs of scaling, profile demo", "[x] A", "A/42  settings ")
    await until(pilot, lambda: isinstance(pilot.app.screen.focused, ConditionList))


async def decline(pilot: Pilot[None]) -> None:
    """Answer the question with no, which leads back to the form."""
    await until(pilot, lambda: asked(pilot))
    await pilot.press("n")
    await until(pilot, lambda: isinstance(pilot.app.screen, LaunchForm))


def question(pilot: Pilot[None]) -> str:
    """What the console asks."""
    return str(pilot.app.screen.query_one("#question", Static).content)


async def type_in(pilot: Pilot[None], field: str, text: str) -> None:
    """Go to a field and type ``text``, of which only the last key is pressed: each press costs a test time."""
    await go_to(pilot, field)
    box = pilot.app.screen.query_one(f"#launch-{field}", Input)
    box.value, box.cursor_position = box.value + text[:-1], len(box.value + text) - 1
    await pilot.press(text[-1])


async def go_to(pilot: Pilot[None], field: str) -> None:
    """Press Tab until the field has the focus."""
    while (focused := pilot.app.screen.focused) is None or focused.id != f"launch-{field}":
        await pilot.press("tab")
        await until(pilot, partial(_focus_has_left, pilot, focused))


def _focus_has_left(pilot: Pilot[None], widget: Widget | None) -> bool:
    return pilot.app.screen.focused is not widget


@SIZES
async def test_a_condition_is_changed_by_keys_checked_as_typed_confirmed_added_and_launched(
    session: FakeSession, size: tuple[int, int]
) -> None:
    async with console(session, size) as pilot:
        await open_form(pilot)
        await pilot.press("down", "space")
        await until_shown(pilot, "[x] B", "B/42  settings ")
        await pilot.press("up", "enter")
        await until_shown(pilot, "[ ] A", "3 runs")
        await type_in(pilot, "seeds", "42,x")
        await until_shown(pilot, "seeds: x is no seed; seeds are whole numbers and ranges")
        await pilot.press("backspace")
        await type_in(pilot, "seeds", "700-701")
        await until_shown(pilot, "new for every condition: seeds 700, 701", "3 runs, 2 of them new")
        await type_in(pilot, "epochs", "3")
        await until_shown(pilot, "B.2 is new, from B: training.epochs 3 (B: 8)")
        await type_in(pilot, "tier3", "2")
        await until_shown(pilot, "tier3_adversarial 2.0 (B: 4.0)")
        await type_in(pilot, "settings", "learning")
        await until_shown(pilot, "training.learning_rate ", "0.0003", "learning: no such setting; did you mean")
        await pilot.press("enter", "x")
        await until_shown(pilot, "training.learning_rate: x is not a number above 0", "of the head, per step")
        await pilot.press("ctrl+s")  # what is wrong is not launched
        await pilot.press("backspace")
        await type_in(pilot, "settings", "1e-4")
        await until_shown(pilot, "0.0001 (B: 0.0003)", "3 runs, 3 of them new")
        assert isinstance(pilot.app.screen, LaunchForm) and not session.launched
        await pilot.press("ctrl+s")
        await until(pilot, lambda: asked(pilot))
        lines = question(pilot).splitlines()
        assert lines[0] == "Adds to scaling.derived.toml, for good:" and lines[1].startswith("B.2 is new, from B: ")
        assert lines[2:] == [
            "new for every condition: seeds 700, 701",
            "",
            "Launch B.2/42, B.2/700 and B.2/701, on this machine.",
        ]
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, LaunchForm))  # what was typed is still there
        assert pilot.app.screen.query_one("#launch-epochs", Input).value == "3"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: asked(pilot))
        await pilot.press("y")
        await until(pilot, lambda: "Launched 3 runs." in notices(pilot))
    assert session.launched[0].launch == (RunId("B.2", 42), RunId("B.2", 700), RunId("B.2", 701))
    written = read_experiment(session.experiment_file)
    own = resolve(written, "demo", RunId("B.2", 700))
    assert (own.training.epochs, own.training.learning_rate, own.curriculum.tier3_adversarial) == (3, 1e-4, 2.0)
    derived = written.conditions["B.2"].derived
    assert derived is not None and derived.reason.startswith("training.epochs=3 curriculum_weights.tier3_adversarial=2")


async def test_the_mouse_ticks_completes_and_launches(session: FakeSession) -> None:
    async with console(session, LARGE) as pilot:
        await open_form(pilot)
        await pilot.click("#launch-conditions", offset=(14, 2))
        await until_shown(pilot, "[x] C", "6 runs")
        await pilot.click("#launch-settings")
        await until(pilot, lambda: pilot.app.screen.focused is pilot.app.screen.query_one("#launch-settings"))
        await type_in(pilot, "settings", "tempe")
        await until_shown(pilot, "training.temperature ")
        await pilot.click("#launch-completions", offset=(4, 0))
        await until(
            pilot, lambda: pilot.app.screen.query_one("#launch-settings", Input).value == "training.temperature="
        )
        await type_in(pilot, "settings", ".2")
        await until_shown(pilot, "C.2 is new, from C: training.temperature 0.2")
        await pilot.click("#launch-go")
        await decline(pilot)
        await pilot.click("#launch-cancel")
        await until(pilot, lambda: len(pilot.app.screen_stack) == 1)
    assert not session.launched and not list(session.experiment_file.parent.glob("*.derived.toml"))


async def test_runs_that_are_finished_are_left_and_what_the_others_take_is_told(session: FakeSession) -> None:
    done = [finished(RunId("A", seed)) for seed in (42, 123)]
    hashes = {view.run: resolve(session.experiment, "demo", view.run).fingerprint() for view in done}
    session.show(
        *(replace(one, state=replace(one.state or RunState("finished", "k"), settings=hashes[one.run])) for one in done)
    )
    async with console(session, SMALL) as pilot:
        await open_form(pilot)
        await pilot.press("space")
        await until_shown(pilot, "Tick a condition")
        await pilot.press("ctrl+s", "space")
        await until_shown(pilot, "3 runs")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: asked(pilot))
        assert question(pilot) == "Launch A/456; leave 2 (2 finished with these settings), on this machine."
        await pilot.press("y")
        await until(pilot, lambda: session.launched)
    assert session.launched[0].launch == (RunId("A", 456),)


async def test_what_was_changed_meanwhile_is_not_launched_with_other_settings(session: FakeSession) -> None:
    async with console(session, SMALL) as pilot:
        await open_form(pilot)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: asked(pilot))
        training = replace(session.experiment.training, batch_size=64)
        session.experiment = replace(session.experiment, training=training)
        await pilot.press("y")
        await until(pilot, lambda: any("3 runs would have other settings now" in text for text in notices(pilot)))
    assert not session.launched


async def test_read_only_no_form_opens(session: FakeSession) -> None:
    async with console(session, SMALL, read_only=True) as pilot:
        await pilot.press("n")
        await until(pilot, lambda: any("Read-only" in text for text in notices(pilot)))
        assert isinstance(pilot.app, ConsoleApp) and len(pilot.app.screen_stack) == 1


@SIZES
async def test_every_other_key_of_the_form(session: FakeSession, size: tuple[int, int]) -> None:
    async with console(session, size) as pilot:
        await open_form(pilot)
        conditions = pilot.app.screen.query_one(ConditionList)
        await pilot.press("end")
        await until(pilot, lambda: conditions.highlighted == 2)
        await pilot.press("home")
        await until(pilot, lambda: conditions.highlighted == 0)
        await pilot.press("shift+tab")
        await until(pilot, lambda: isinstance(pilot.app.screen.focused, Button))
        await type_in(pilot, "seeds", "1-90")
        await until_shown(pilot, "90 runs, 89 of them new", "A/1  settings ")
        await go_to(pilot, "settings")
        await until_shown(pilot, "edition ")
        completions = pilot.app.screen.query_one("#launch-completions", OptionList)
        await pilot.press("enter")  # nothing is chosen in an empty line
        await pilot.press("down", "down", "up")
        await until(pilot, lambda: completions.highlighted == 0)
        await pilot.press("enter")
        await until_shown(pilot, "edition=", "enriched  edition")
        box = pilot.app.screen.query_one("#launch-settings", Input)
        assert box.value == "edition="
        box.value = ""
        await go_to(pilot, "why")
        preview = pilot.app.screen.query_one("#launch-preview")
        await until(pilot, lambda: preview.max_scroll_y > 4)
        await pilot.press("pagedown")
        await until(pilot, lambda: preview.scroll_y == 4)
        await pilot.press("pageup")
        await until(pilot, lambda: preview.scroll_y == 0)
        await type_in(pilot, "why", "more seeds")
        await pilot.press("ctrl+s")
        await decline(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: len(pilot.app.screen_stack) == 1)
    assert not session.launched
