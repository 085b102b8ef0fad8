"""The compact matrix from four seeds on: what it shows, how it is ordered, scrolled and clicked."""

from __future__ import annotations

from functools import partial

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from console.runs.host_facts import Gpu, HostHistory
from console.runs.run_view import RunView
from console.ui.messages import RunSelected
from console.ui.runs.matrix import RunMatrix
from engine.contract.derived import Derivation
from engine.contract.events import Warning
from engine.contract.settings import RunId
from engine.contract.state import RunState
from tests.console.ui.driving import HOSTILE, LARGE, SIZES, SMALL, console, screen, until, until_shown
from tests.console.ui.fake_session import FACTS, SCALING, FakeSession
from tests.console.ui.scenes import finished, training, view_of

SEEDS = (42, 123, 456, 789, 1011, 1213, 1415, 1617, 1819, 2021)


def session_of(conditions: int, seeds: int, *, derived: bool = False) -> FakeSession:
    """A session over that many conditions and seeds."""
    own = list(SCALING.conditions.values())
    names = [chr(ord("A") + at) if at < 26 else f"Z{at}" for at in range(conditions)]
    made = {name: own[at % 3] for at, name in enumerate(names)}
    if derived:
        derivation = Derivation("B", "why", "2026-01-01T00:00:00Z", ("demo",))
        made["B.2"] = replace(own[1], curriculum_weights={"tier2_robust": 1.5}, derived=derivation)
    more = tuple(range(3000, 3000 + seeds))
    profile = replace(SCALING.profiles["demo"], conditions=None, seeds=None)
    profiles = {**SCALING.profiles, "demo": profile}
    return FakeSession(replace(SCALING, conditions=made, seeds=(*SEEDS, *more)[:seeds], profiles=profiles))


def fill(session: FakeSession) -> None:
    """Some runs in each state, of the first five seeds."""
    one = finished(RunId("A", 42), top1=0.433, coherence=0.70)
    views = (
        replace(one, warnings=(Warning("dilution", HOSTILE, 0),)),
        finished(RunId("A", 123), top1=0.431, coherence=0.69),
        view_of(RunId("A", 456), "running", training(124)),
        view_of(RunId("A", 789), "queued"),
        finished(RunId("B", 42), top1=0.524, coherence=0.60),
        view_of(RunId("B", 123), "failed", reason=f"CUDA out of memory {HOSTILE}"),
        view_of(RunId("B", 456), "aborted"),
    )
    session.show(*(view for view in views if view.run in session.snapshot.runs))


def lines(pilot: Pilot[None]) -> list[str]:
    return [line.rstrip() for line in screen(pilot).splitlines()]


async def test_five_seeds_at_80_columns() -> None:
    session = session_of(3, 5, derived=True)
    fill(session)
    async with console(session, SMALL) as pilot:
        await until_shown(pilot, "✓ 43.3!", "total 3 of 20")
        assert lines(pilot)[2:8] == [
            "         42      123     456     789     1011   top-1       coherence   !",
            " ▸ A   ✓ 43.3! ✓ 43.1  ▶ 62%   ◦ 1st   ·        43.2 ± 0.1  69.5 ± 0.7  !1",
            "   B   ✓ 52.4  ✗ oom   ■       ·       ·        52.4        60.0",
            "   C   ·       ·       ·       ·       ·",
            "   B.2 from B: tier2 1.5",
            "       ·       ·       ·       ·       ·",
        ]


async def test_six_conditions_by_ten_seeds_fit_120_by_40() -> None:
    session = session_of(6, 10)
    fill(session)
    async with console(session, LARGE) as pilot:
        await until_shown(pilot, "2021", "✓ 43.3!", "43.2 ± 0.1", "total 3 of 60")
        assert "‹" not in screen(pilot) and "›" not in screen(pilot)
        assert [line.split()[-11] for line in lines(pilot)[5:9]] == ["C", "D", "E", "F"]


async def test_fifty_conditions_by_twenty_seeds_scroll_with_the_cursor() -> None:
    session = session_of(50, 20)
    fill(session)
    async with console(session, SMALL) as pilot:
        await until_shown(pilot, "✓ 43.3!", "›")
        assert len(pilot.app.screen.query("#matrix, #matrix *")) == 1  # one widget, not a thousand
        await pilot.press(*["right"] * 5)
        await until(pilot, lambda: "‹" in screen(pilot) and "A/1213" in screen(pilot))
        assert "43.2 ± 0.1" in screen(pilot), "the means stay in sight"
        pilot.app.screen.post_message(RunSelected(RunId("Z49", 3009)))
        await until_shown(pilot, "▸ Z49", " Z49/3009")
        assert "›" not in screen(pilot)
        await pilot.press("up", "left")
        await until_shown(pilot, " Z48/3008")


async def test_the_wheel_scrolls_and_the_cursor_stays() -> None:
    async with console(session_of(50, 4), SMALL) as pilot:
        await until_shown(pilot, "▸ A")
        matrix = pilot.app.screen.query_one(RunMatrix)
        matrix.action_scroll_down()
        await until(pilot, lambda: matrix.scroll_offset.y > 0)
        await until(pilot, lambda: "▸ A" not in screen(pilot))
        assert " A/42  " in screen(pilot)


@SIZES
async def test_o_orders_the_rows_and_O_reverses_them(size: tuple[int, int]) -> None:
    session = session_of(3, 4)
    fill(session)
    async with console(session, size) as pilot:
        matrix = pilot.app.screen.query_one(RunMatrix)
        await until(pilot, lambda: matrix.conditions == ("A", "B", "C"))

        def is_ordered(*expected: object) -> bool:
            return (*matrix.order, "".join(matrix.conditions)) == expected

        for key, *expected in (
            ("o", "top1", True, "BAC"),
            ("O", "top1", False, "ABC"),
            ("o", "coherence", True, "ABC"),
            ("o", "warnings", True, "ABC"),
            ("o", "plan", False, "ABC"),
            ("O", "plan", True, "CBA"),
        ):
            await pilot.press(key)
            await until(pilot, partial(is_ordered, *expected))
        await pilot.press("down")  # in the order shown: B, A
        await until_shown(pilot, "▸ A")
        assert "A/42" in screen(pilot)
        await pilot.press("up", "up")
        await until_shown(pilot, "▸ C")


async def test_a_click_selects_a_title_orders_and_a_double_click_opens() -> None:
    session = session_of(3, 5)
    fill(session)
    async with console(session, SMALL) as pilot:
        matrix = pilot.app.screen.query_one(RunMatrix)
        await until_shown(pilot, "✓ 52.4")
        await pilot.click(RunMatrix, offset=(8, 2))
        await until_shown(pilot, "▸ B", "B/42  ✓ finished")
        await pilot.click(RunMatrix, offset=(16, 0))  # seed 123: only A is finished in it
        await until(pilot, lambda: matrix.order == (123, True))
        title = lines(pilot)[2].index("top-1")
        await pilot.click(RunMatrix, offset=(title + 1, 0))
        await until(pilot, lambda: matrix.order == ("top1", True))
        await until_shown(pilot, "top-1 ▾")
        await pilot.click(RunMatrix, offset=(title + 1, 0))
        await until_shown(pilot, "top-1 ▴")
        await pilot.click(RunMatrix, offset=(3, 0))
        await until(pilot, lambda: matrix.conditions == ("A", "B", "C"))
        await pilot.double_click(RunMatrix, offset=(16, 1))
        await until_shown(pilot, ">3 Live<", "A/123")


async def test_the_matrix_is_kept_up_to_date_and_enter_opens_the_selected_run() -> None:
    session = session_of(3, 4)
    async with console(session, SMALL) as pilot:
        await until_shown(pilot, "total 0 of 12")
        session.show(finished(RunId("A", 42), top1=0.5))
        await until_shown(pilot, "✓ 50.0", "total 1 of 12")
        session.show(replace(session.snapshot.runs[RunId("A", 42)], state=RunState("lost", "k", reason=HOSTILE)))
        await until_shown(pilot, "? lost", f"Reason: {HOSTILE}", "total 0 of 12")
        await pilot.press("enter")
        await until_shown(pilot, ">3 Live<", "A/42")


async def test_four_conditions_of_three_seeds_are_cards_where_there_is_room() -> None:
    session, tall = session_of(4, 3), (120, 44)
    fill(session)
    async with console(session, tall) as pilot:
        await until_shown(pilot, "✓ finished", "A/42")
        await pilot.press("down", "right")
        await until_shown(pilot, "B/123  ✗ failed")
        await pilot.resize_terminal(*SMALL)
        await until_shown(pilot, "▸ B", "✗ oom", "total 3 of 12")
        await pilot.press("left")
        await until_shown(pilot, "B/42  ✓ finished")
        await pilot.resize_terminal(*tall)
        await until(pilot, lambda: pilot.app.screen.query("#cell-B-42.selected"))
        await until_shown(pilot, "top-1 52.4, pooling 45.2")


@pytest.mark.parametrize("size", [LARGE, (200, 60)])
async def test_below_the_matrix_is_an_overview_of_the_selected_run_the_host_the_queue_and_the_warnings(
    size: tuple[int, int],
) -> None:
    session = session_of(3, 3)
    fill(session)
    gpu = Gpu("L40S", 46_068, 12_000, 87, "5", 71, 284.3)
    history = HostHistory().with_facts(replace(FACTS, gpus=(gpu,), gpu_processes=()), 1.0)
    session.snapshot = replace(session.snapshot, host_history=history)
    async with console(session, size) as pilot:
        await until_shown(pilot, "A/42  loss and top-1", "71 °C", "284 W", "used by nobody", "Queue", "! lists all")
        await pilot.press("right")
        await until_shown(pilot, "A/123  loss and top-1")
        session.snapshot = replace(session.snapshot, host_history=history.with_facts(FACTS, 6.0))
        session.show(last_reply_at=session.snapshot.host.last_reply_at + 1)
        await until_shown(pilot, "GPU: L40S, last 10 s")


async def test_cards_on_a_small_screen_say_how_long_in_their_first_line() -> None:
    session = FakeSession()
    session.show(timed(finished(RunId("A", 42))), view_of(RunId("A", 123), "running", training(100)))
    async with console(session, SMALL) as pilot:
        await until_shown(pilot, "uniform curriculum  about 2 min left")
        await pilot.resize_terminal(*LARGE)
        await until_shown(pilot, "total 1 of 9, about 2 min left, done by")
        assert "curriculum  about" not in screen(pilot)


def timed(view: RunView) -> RunView:
    """``view``, 20 s evaluated after its last step."""
    assert view.state and view.last_step and view.first_step
    state = replace(view.state, started_at=view.first_step[1] - 5, ended_at=view.last_step[1] + 20)
    return replace(view, state=state)


async def test_narrow_and_short_screens_show_what_fits() -> None:
    session = session_of(6, 10)
    fill(session)
    async with console(session, (40, 10)) as pilot:
        await until_shown(pilot, "✓ 43.3!")
        await pilot.press(*["right"] * 9)
        await until_shown(pilot, "2021")
