"""From a report to the next run and to a recorded decision: the dialogs, driven by keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from console.results.analysis.records import Analysis, GateResult
from console.results.experiment_report import ExperimentReport
from console.results.next_steps.decisions import Decision, DecisionLog
from console.results.next_steps.derive import Origin, derive, write_addition
from console.results.next_steps.records import Change, Evidence, NextStep
from console.results.statistics.estimates import Interval
from console.ui.messages import DecisionRequested, NextStepRequested
from console.ui.results.decision import DecisionDialog, choices
from console.ui.results.next_step import ChangeDialog
from engine.contract.bad_input import BadInput
from engine.contract.experiment_reader import read_experiment
from engine.contract.experiment_text import derived_path
from engine.contract.settings import RunId, resolve
from engine.contract.toml_file import find_config
from tests.console.ui.driving import SIZES, asked, console, notices, until, until_shown
from tests.console.ui.fake_session import FakeSession
from tests.console.ui.scenes import finished

LESS = "[curriculum_weights]\ntier2_robust = 1.5  # B: 2.0\ntier3_adversarial = 2.0  # B: 4.0\n"
STEPS = (
    NextStep(
        1,
        "Reduce curriculum oversampling",
        "contradicted",
        "Not advised.",
        (Evidence("against", "a tier3 bundle of B is drawn 6.1 times in a run, healthy is 50 or more"),),
        ("B", "C"),
        (Change("B", LESS), Change("C", LESS.replace("B:", "C:"))),
        is_planned=True,
    ),
    NextStep(2, "Fall back to condition A", "contradicted", "A fails coherence itself: nothing to ship."),
    NextStep(
        3,
        "4 more seeds for every condition",
        "supported",
        "To all.",
        (Evidence("for", "B - A on top-1: 4 more seeds would"),),
        changes=(Change(more_seeds=4),),
    ),
)


@pytest.fixture
def session(tmp_path: Path) -> FakeSession:
    """A session whose experiment may be added to."""
    path = tmp_path / "scaling.toml"
    path.write_text(find_config("scaling.toml").read_text())
    return FakeSession(read_experiment(path), "demo", path)


def report(session: FakeSession, steps: tuple[NextStep, ...] = STEPS) -> ExperimentReport:
    session.show(*map(finished, session.snapshot.runs))
    gate = GateResult("A", "coherence_accuracy", 0.8, "FAIL", Interval(0.7, 0.6, 0.75, 0.02, "t", 3, 9, 90))
    analysis = Analysis("do not ship", "Do not ship. Coherence fails in every condition.", gates=(gate,))
    session.fixed_results = session.results()
    return ExperimentReport(session.results(), analysis, next_steps=steps)


async def open_steps(pilot: Pilot[None], session: FakeSession) -> None:
    """Open the steps and go up to the first: the first that is supported is selected."""
    pilot.app.post_message(NextStepRequested(report(session)))
    await until_shown(pilot, "▸ 3. 4 more seeds", "for: B - A on top-1")
    await pilot.press("up", "up")
    await until_shown(pilot, "▸ 1. Reduce")


@SIZES
async def test_a_step_is_chosen_its_change_edited_and_the_derived_condition_launched(
    session: FakeSession, size: tuple[int, int]
) -> None:
    async with console(session, size) as pilot:
        await open_steps(pilot, session)
        shown = await until_shown(
            pilot, "▸ 1. Reduce curriculum oversampling", "against: a tier3 bundle", "Not advised."
        )
        assert "3. 4 more seeds" in shown and "Enter opens the change" in shown
        await pilot.press("enter")
        shown = await until_shown(
            pilot, "B.2, from B", "tier2_robust = 1.5  # B: 2.0", "Adds B.2/42, B.2/123, B.2/456."
        )
        assert "Ctrl+T next condition" in shown
        text = pilot.app.screen.query_one(TextArea)
        text.load_text("[curriculum_weights]\ntier2_robust = x\n")
        await until_shown(pilot, "line 2: not valid TOML")
        await pilot.press("ctrl+s")
        assert isinstance(pilot.app.screen, ChangeDialog)
        text.load_text("[curriculum_weights]\ntier3_adversarial = 3.0\n")
        reason = pilot.app.screen.query_one(Input)
        reason.value = "  "
        await until_shown(pilot, "Say why")
        reason.value = "tier1 regressed"
        await until_shown(pilot, "Adds B.2/42")
        await pilot.press("ctrl+s")
        await until_shown(pilot, "Launch B.2/42, B.2/123 and B.2/456.")
        assert asked(pilot) and not session.launched
        await pilot.press("y")
        await until(pilot, lambda: session.launched, "launched")
        assert session.launched[0].launch == tuple(RunId("B.2", seed) for seed in (42, 123, 456))
        await until_shown(pilot, "B.2", "from B: tier3")
        assert pilot.app.main.selected == RunId("B.2", 42) and pilot.app.main.view == "runs"  # type: ignore[attr-defined]
        await pilot.press("up")  # the view that was made again works on
        await until(pilot, lambda: pilot.app.main.selected == RunId("C", 42))  # type: ignore[attr-defined]
        await pilot.press("1", "2", "down")
        await until(pilot, lambda: pilot.app.main.selected == RunId("B.2", 42))  # type: ignore[attr-defined]
    derived = read_experiment(session.experiment_file).conditions["B.2"].derived
    assert derived is not None and (derived.reason, derived.profiles) == ("tier1 regressed", ("demo",))
    weights = resolve(session.experiment, "demo", RunId("B.2", 1)).curriculum
    assert (weights.tier2_robust, weights.tier3_adversarial) == (2.0, 3.0)


async def test_the_change_of_another_condition_and_seeds_are_reached_by_keys(session: FakeSession) -> None:
    async with console(session) as pilot:
        await open_steps(pilot, session)
        await pilot.press("enter")
        await until_shown(pilot, "B.2, from B")
        await pilot.press("ctrl+t")
        await until_shown(pilot, "C.2, from C", "Adds C.2/42")
        await pilot.press("escape")
        await until(pilot, lambda: len(pilot.app.screen_stack) == 1)
        await open_steps(pilot, session)
        await pilot.press("down", "enter")  # there is nothing to launch for it
        await until_shown(pilot, "▸ 2. Fall back", "nothing to ship", "nothing to launch for it")
        await pilot.press("down", "down", "enter")
        await until_shown(pilot, "seeds = [789, 1011, 1213, 1415]", "Adds A/789, A/1011, A/1213, A/1415, B/789")
        pilot.app.screen.query_one(TextArea).load_text("seeds = [42]")
        await until_shown(pilot, "line 1: seeds: profile demo has seed 42 already")
        pilot.app.screen.query_one(TextArea).load_text('seeds = ["a"]')
        await until_shown(pilot, "line 1: seeds are whole numbers")
        pilot.app.screen.query_one(TextArea).load_text("seeds = [7]")
        await until_shown(pilot, "Adds A/7, B/7, C/7.")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: asked(pilot))
        await pilot.press("n")
        await until(pilot, lambda: pilot.app.main.selected == RunId("A", 7))  # type: ignore[attr-defined]
        await until_shown(pilot, "A/7  · not launched")
    assert not session.launched and read_experiment(session.experiment_file).added_seeds[0].seeds == (7,)


async def test_what_another_console_has_added_meanwhile_is_neither_overwritten_nor_launched(
    session: FakeSession,
) -> None:
    because = Origin("theirs", "demo", "", "2026-11-27T08:00:00+00:00", "")
    write_addition(session.experiment_file, derive(session.experiment, "demo", "B", LESS, because), "demo")
    async with console(session) as pilot:
        await open_steps(pilot, session)
        await pilot.press("enter")
        await until_shown(pilot, "B.3, from B", "it would have the settings of B.2")
        pilot.app.screen.query_one(TextArea).load_text("[curriculum_weights]\ntier3_adversarial = 3.0\n")
        await until_shown(pilot, "Adds B.3/42, B.3/123, B.3/456.")
        await pilot.press("ctrl+s")
        await until_shown(pilot, "Launch B.3/42, B.3/123 and B.3/456.")
        await pilot.press("n")
        derived_path(session.experiment_file).write_text("[oops")
        await open_steps(pilot, session)
        await pilot.press("enter")
        await until(pilot, lambda: any("scaling.derived.toml:1: not valid TOML" in text for text in notices(pilot)))


async def test_a_file_that_cannot_be_written_is_named_and_nothing_is_launched(session: FakeSession) -> None:
    async with console(session) as pilot:
        await open_steps(pilot, session)
        await pilot.press("enter")
        await until_shown(pilot, "Adds B.2/42")
        session.error = BadInput("cannot be written: Permission denied", file=derived_path(session.experiment_file))
        await pilot.press("ctrl+s")
        await until(
            pilot, lambda: any("Could not add" in text and "Permission denied" in text for text in notices(pilot))
        )
        assert not asked(pilot) and not session.launched


async def test_without_steps_or_read_only_nothing_opens(session: FakeSession) -> None:
    async with console(session, read_only=True) as pilot:
        pilot.app.post_message(NextStepRequested(report(session, ())))
        await until(pilot, lambda: any("No step yet" in text for text in notices(pilot)))
        await open_steps(pilot, session)
        await pilot.press("enter")
        await until(pilot, lambda: any("Read-only" in text for text in notices(pilot)))


@SIZES
async def test_a_decision_is_recorded_with_its_reason(session: FakeSession, size: tuple[int, int]) -> None:
    async with console(session, size) as pilot:
        pilot.app.post_message(DecisionRequested(report(session)))
        await until_shown(pilot, "Record a decision", "Do not ship. Coherence fails", "▸ do not ship", "fall back to A")
        await pilot.press("enter")
        await until_shown(pilot, "a decision needs a reason")
        assert isinstance(pilot.app.screen, DecisionDialog)
        await pilot.press("down", "down", *"why not", "enter")
        await until(pilot, lambda: session.decisions)
        await until(pilot, lambda: "Recorded: fall back to A." in notices(pilot))
    (one,) = session.decisions
    assert (one.decision, one.condition, one.reason, one.verdict) == ("fall back", "A", "why not", "do not ship")


async def test_view_4_has_the_keys_and_shows_the_decision_at_once(session: FakeSession) -> None:
    shown = session.fixed_report = report(session)

    def keep(decision: Decision) -> None:
        session.fixed_report = replace(shown, decisions=DecisionLog((decision,)))

    session.record_decision = keep  # type: ignore[method-assign]
    async with console(session, (100, 100)) as pilot:
        await pilot.press("4")
        await until_shown(pilot, "DO NOT SHIP", "n next step", "D decide", "1. Reduce curriculum")
        await pilot.press("n")
        await until_shown(pilot, "Next steps, the plan's first")
        await pilot.press("escape", "D")
        await until_shown(pilot, "Record a decision")
        await pilot.press(*"because", "enter")
        await until_shown(pilot, "Decisions", "do not ship  because")


async def test_a_decision_that_cannot_be_kept_is_said(session: FakeSession) -> None:
    async with console(session) as pilot:
        pilot.app.post_message(DecisionRequested(report(session)))
        await until_shown(pilot, "Record a decision")
        session.error = BadInput("the decision cannot be recorded: No space left on device")
        await pilot.press(*"why", "enter")
        await until(pilot, lambda: any("Could not decide: the decision cannot" in text for text in notices(pilot)))


def test_what_can_be_shipped_comes_first(session: FakeSession) -> None:
    results = report(session).results
    assert choices(session.experiment, results, Analysis("ship", "", shippable=("B",)))[0] == ("ship", "B")
    offered = choices(session.experiment, results, Analysis("do not ship", ""))
    assert offered[:3] == [("do not ship", ""), ("go on", ""), ("fall back", "A")]
    assert [name for kind, name in offered if kind == "ship"] == ["A", "B", "C"]
