"""View 4: the means at once, the decision when it has been computed, laid out in every width, and never in the way."""

from __future__ import annotations

import threading

import pytest

from console.ui.results import pane
from console.ui.results.pane import ResultsPane
from engine.contract.settings import RunId
from tests.console.results.reports import report_on
from tests.console.ui.driving import HOSTILE, SMALL, console, screen, until, until_shown
from tests.console.ui.fake_session import FakeSession
from tests.console.ui.scenes import finished


def evaluated_session() -> FakeSession:
    session = FakeSession()
    session.show(*(finished(run, coherence=0.7) for run in session.snapshot.runs))
    return session


def lines_below_the_bars(text: str) -> list[str]:
    """What a small terminal shows of the page, without its scrollbar."""
    return [line[:77] for line in text.splitlines()[2:20]]


@pytest.mark.parametrize("most_at_once", [100, 0])
async def test_means_are_shown_while_the_intervals_are_computed_and_keys_work(
    most_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pane, "MOST_RUNS_AT_ONCE", most_at_once)
    session = evaluated_session()
    session.report_gate = threading.Event()
    async with console(session) as pilot:
        await pilot.press("4")
        text = await until_shown(pilot, "Intervals and verdict: computing", "46.1 ± 0.0")
        assert "DO NOT SHIP" not in text
        await pilot.press("2")
        await until_shown(pilot, "✓ finished")
        await pilot.press("4")
        session.report_gate.set()
        text = await until_shown(pilot, "DO NOT SHIP", "68.0 – 72.0")
        assert "computing" not in text


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_first_screen_has_the_verdict_every_gate_and_its_interval(size: tuple[int, int]) -> None:
    async with console(evaluated_session(), size) as pilot:
        await pilot.press("4")
        text = await until_shown(pilot, "DO NOT SHIP", "Ship blockers", "44.1 – 48.1", "! the gate is below chance")
        lines = text.splitlines()
        assert sum("68.0 – 72.0" in line and "FAIL" in line for line in lines) == 3
        bars = [line for line in lines if "●" in line and "≥" in line]
        assert len(bars) == 9 and all("|" in line and "c" in line for line in bars)
        axis = next(line for line in lines if "verdict" in line and "95%" in line)
        assert axis.index("100") + 2 == max(line.rindex(".") for line in (bar[: axis.index("mean")] for bar in bars))


async def test_a_resize_lays_the_page_out_again() -> None:
    async with console(evaluated_session(), (120, 40)) as pilot:
        await pilot.press("4")
        await until_shown(pilot, "DO NOT SHIP", "p (fails)")
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "p (fails)" not in screen(pilot))
        assert "DO NOT SHIP" in screen(pilot)
        shown = pilot.app.screen.query_one(ResultsPane)
        assert shown.query_one("#results-text").size.height == shown.virtual_size.height


async def test_keys_jump_from_section_to_section() -> None:
    async with console(evaluated_session()) as pilot:
        await pilot.press("4")
        await until_shown(pilot, "DO NOT SHIP")
        shown = pilot.app.screen.query_one(ResultsPane)

        async def first_line(key: str, text: str) -> None:
            await pilot.press(key)
            await until(pilot, lambda: screen(pilot).splitlines()[2].strip().startswith(text), text)

        await first_line("]", "Ship blockers")
        await first_line("]", "Differences, 95%")
        await first_line("[", "Ship blockers")
        await first_line("home", "DO NOT SHIP")
        await pilot.press("]", "]")
        await until(pilot, lambda: screen(pilot).splitlines()[2].strip().startswith("Differences, 95%"), "two at once")
        await pilot.press("home")
        await until(pilot, lambda: shown.scroll_y == 0)


async def test_what_is_read_stays_in_its_place_when_the_decision_arrives() -> None:
    session = evaluated_session()
    session.report_gate = threading.Event()
    async with console(session, SMALL) as pilot:
        await pilot.press("4")
        await until_shown(pilot, "Intervals and verdict: computing")
        while not screen(pilot).splitlines()[2].strip().startswith("Runs"):
            await pilot.press("]")
            await pilot.pause()
        await pilot.press("down", "down")
        await until(pilot, lambda: screen(pilot).splitlines()[2].strip().startswith("A  "))
        before = lines_below_the_bars(screen(pilot))
        session.report_gate.set()
        shown = pilot.app.screen.query_one(ResultsPane)
        await until(pilot, lambda: shown.report is not None)
        await until(pilot, lambda: lines_below_the_bars(screen(pilot)) == before, "the same lines")


async def test_a_run_that_ends_meanwhile_is_in_the_next_report() -> None:
    session = FakeSession()
    session.show(finished(RunId("A", 42)))
    session.report_gate = threading.Event()
    async with console(session, (80, 60)) as pilot:
        await pilot.press("4")
        await until_shown(pilot, "1 of 9 runs evaluated", "Intervals and verdict: computing")
        session.show(finished(RunId("A", 123)))
        await until_shown(pilot, "2 of 9 runs evaluated", "Intervals and verdict: computing")
        session.report_gate.set()
        await until_shown(pilot, "2 of 9 runs evaluated", "SHIP")


async def test_a_report_that_fails_leaves_the_means_and_says_why() -> None:
    session = evaluated_session()
    session.report_error = ValueError(f"no items {HOSTILE}")
    async with console(session) as pilot:
        await pilot.press("4")
        await until_shown(pilot, "! Intervals could not be computed: no items", "46.1 ± 0.0")


async def test_hostile_words_in_a_report_are_shown_as_they_are() -> None:
    session = evaluated_session()
    session.fixed_report = report_on(session.results(), summary=f"Do not ship {HOSTILE}", warning=HOSTILE)
    async with console(session) as pilot:
        await pilot.press("4")
        await until_shown(pilot, f"DO NOT SHIP  {HOSTILE}", f"! {HOSTILE}")
