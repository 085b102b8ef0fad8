"""Every key of the charts, at 80 and 120 columns: what is drawn, and that nothing jumps when values come."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace
from textual.events import MouseScrollDown, MouseScrollUp
from textual.pilot import Pilot
from textual.widget import Widget

from console.charts import drawing
from console.runs.host_facts import HostHistory
from console.runs.run_view import reduce
from console.ui.live.chart_panel import ChartPanel
from console.ui.live.pane import LivePane
from engine.contract.events import Event
from engine.contract.settings import RunId
from tests.console.ui.driving import LARGE, SIZES, SMALL, console, screen, until, until_shown
from tests.console.ui.fake_session import FACTS, FakeSession
from tests.console.ui.scenes import finished, training, view_of

A, B = RunId("A", 42), RunId("B", 42)
TALL = (200, 60)


def session() -> FakeSession:
    made = FakeSession()
    views = [view_of(RunId(name, 42), "running", training(100, offset=at / 10)) for at, name in enumerate("BC")]
    seeds = [finished(RunId("A", seed), top1=0.46 + seed / 10_000) for seed in (42, 123)]
    made.show(*seeds, *views)
    made.log(A).feed(b"".join(b"line %d\n" % number for number in range(300)))
    return made


@asynccontextmanager
async def live(size: tuple[int, int] = SMALL, made: FakeSession | None = None) -> AsyncIterator[Pilot[None]]:
    """View 3 with its first charts drawn and the focus in it."""
    async with console(made or session(), size) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: pilot.app.screen.query(LivePane) and drawn_all(pilot), "every chart is drawn")
        await until(pilot, lambda: pilot.app.screen.focused is pane(pilot).log_panel.view, "the log has the focus")
        yield pilot


def pane(pilot: Pilot[None]) -> LivePane:
    return pilot.app.screen.query_one(LivePane)


def drawn_all(pilot: Pilot[None]) -> bool:
    panels = pane(pilot).visible_panels
    return bool(panels) and all(panel.drawn.x_limits is not None for panel in panels)


def titles(pilot: Pilot[None]) -> list[str]:
    """The first line of each chart on the screen."""
    return [panel.drawn.content.plain.split("\n")[0] for panel in pane(pilot).visible_panels]


def first(pilot: Pilot[None]) -> str:
    return pane(pilot).visible_panels[0].drawn.content.plain


async def press_until(pilot: Pilot[None], key: str, text: str) -> None:
    """Press a key once and wait for a text in the first chart."""
    await pilot.press(key)
    await until(pilot, lambda: text in first(pilot), f"{text!r} after {key}")


@SIZES
async def test_the_loss_is_drawn_with_names_at_its_ends_above_the_log(size: tuple[int, int]) -> None:
    async with live(size) as pilot:
        text = await until_shown(pilot, "training loss  smooth 0.90", "▸A/42", "C/42", " step", "following", "line 299")
        assert any(0x2800 < ord(sign) <= 0x28FF for sign in text), "a curve in braille"
        assert len(titles(pilot)) == (1 if size == SMALL else 2)


async def test_a_large_screen_has_six_charts_and_a_resize_fits_their_number() -> None:
    async with live(TALL) as pilot:
        assert [title.split("  ")[0] for title in titles(pilot)] == [
            "training loss",
            "dev top-1 %",
            "dev loss",
            "dev margin cosine",
            "attention entropy of log T",
            "learning rate",
        ]
        await pilot.resize_terminal(*LARGE)
        await until(pilot, lambda: len(pane(pilot).visible_panels) == 2)
        await pilot.resize_terminal(40, 24)
        await until(pilot, lambda: len(pane(pilot).visible_panels) == 1 and "no room" not in screen(pilot))
        await pilot.resize_terminal(*TALL)
        await until(pilot, lambda: len(pane(pilot).visible_panels) == 6 and drawn_all(pilot))


@SIZES
async def test_m_goes_through_every_metric_and_back(size: tuple[int, int]) -> None:
    async with live(size) as pilot:
        await press_until(pilot, "m", "dev top-1 %  A/42 best at epoch")
        assert "pooling 45.2%" in first(pilot) and "chance 43.5%" in first(pilot)
        await press_until(pilot, "m", "dev loss")
        await press_until(pilot, "M", "dev top-1 %")
        await press_until(pilot, "M", "training loss")
        await press_until(pilot, "M", "tier3_adversarial % of batch")
        await press_until(pilot, "M", "tier2_robust % of batch")


async def test_gpu_use_is_a_metric_where_the_host_reports_it() -> None:
    made = session()
    made.snapshot = replace(made.snapshot, host_history=HostHistory().with_facts(FACTS, 5.0).with_facts(FACTS, 10.0))
    async with live(made=made) as pilot:
        await press_until(pilot, "M", "GPU memory GiB")
        await press_until(pilot, "M", "GPU use %")
        assert "GPU/0 87.0" in first(pilot)


async def test_the_crosshair_and_the_line_of_the_log_go_together() -> None:
    made = session()
    made.log(A).feed(b"".join(b"step %d of 200, loss 0.5\n" % number for number in range(1, 201)))
    async with live(made=made) as pilot:
        log = pane(pilot).log_panel
        await until(pilot, lambda: log.store.line_of_step(150) is not None)
        log.go_to_step(150)
        await until(pilot, lambda: log.store.step_of_line(log.view.current_line) == 150)
        await press_until(pilot, "i", "at step 150")
        await pilot.press("tab")
        await until(pilot, lambda: pilot.app.screen.focused is pane(pilot).panel)
        await press_until(pilot, "home", "at step 0")
        await press_until(pilot, "end", "at step 200")
        await until(pilot, lambda: log.store.step_of_line(log.view.current_line) == 200)


@SIZES
async def test_b_shows_runs_then_means_with_bands_then_both(size: tuple[int, int]) -> None:
    async with live(size) as pilot:
        await press_until(pilot, "b", "mean ±sd")
        assert "n2" in first(pilot) and "A/123" not in first(pilot)
        await press_until(pilot, "B", "mean min-max")
        await press_until(pilot, "b", "runs, mean min-max")
        assert "A/123" in first(pilot)
        await pilot.press("b")
        await until(pilot, lambda: "mean" not in first(pilot))


@SIZES
async def test_t_turns_the_x_axis_and_the_zoomed_part_stays_where_it_is_in_the_run(size: tuple[int, int]) -> None:
    async with live(size) as pilot:
        await press_until(pilot, "plus", "zoomed")
        assert pane(pilot).panel.drawn.x_limits == (50, 150)
        await press_until(pilot, "t", " epoch")
        assert pane(pilot).panel.drawn.x_limits == pytest.approx((1, 3))
        await press_until(pilot, "t", " h:mm:ss")
        assert "zoomed" in first(pilot)
        await press_until(pilot, "t", " step")


@SIZES
async def test_y_leaves_out_outliers_then_keeps_the_axis_as_it_is(size: tuple[int, int]) -> None:
    async with live(size) as pilot:
        await press_until(pilot, "y", "robust y")
        limits = pane(pilot).panel.drawn.y_limits
        await press_until(pilot, "y", "fixed y")
        assert pane(pilot).panel.drawn.y_limits == limits
        await pilot.press("y")
        await until(pilot, lambda: " y" not in titles(pilot)[0])


@SIZES
async def test_g_and_w_change_the_scale_and_the_smoothing_of_the_selected_chart(size: tuple[int, int]) -> None:
    async with live(size) as pilot:
        await press_until(pilot, "g", "smooth 0.90, log")
        await press_until(pilot, "w", "smooth 0.95, log")
        await press_until(pilot, "W", "smooth 0.90, log")
        await pilot.press("g", *["W"] * 6)
        await until(pilot, lambda: "smooth" not in titles(pilot)[0] and "log" not in titles(pilot)[0])
        await pilot.press(*["w"] * 9)
        await until(pilot, lambda: "smooth 0.99" in titles(pilot)[0])


@SIZES
async def test_zoom_pan_and_reset(size: tuple[int, int]) -> None:
    def limits() -> tuple[float, float] | None:
        return pane(pilot).panel.drawn.x_limits

    async with live(size) as pilot:
        whole = limits()
        assert whole == (0, 200)
        await press_until(pilot, "plus", "zoomed")
        await pilot.press("less_than_sign")
        await until(pilot, lambda: limits() == (25, 125))
        await pilot.press(*["greater_than_sign"] * 9)
        await until(pilot, lambda: limits() == (100, 200), "not behind the end of the axis")
        await pilot.press("plus")
        await until(pilot, lambda: limits() == (125, 175))
        await pilot.press("minus", "minus", "minus")
        await until(pilot, lambda: limits() == whole and "zoomed" not in first(pilot))
        await press_until(pilot, "plus", "zoomed")
        await pilot.press("0")
        await until(pilot, lambda: limits() == whole)


@SIZES
async def test_i_reads_the_values_of_every_chart_at_a_crosshair(size: tuple[int, int]) -> None:
    async with live(size) as pilot:
        await press_until(pilot, "i", "at step 200")
        table = await until_shown(pilot, "step 200, raw values")
        assert "training loss" in table
        await pilot.press("tab")
        await until(pilot, lambda: pilot.app.screen.focused is pane(pilot).panel)
        await press_until(pilot, "home", "at step 0")
        await press_until(pilot, "right", "at step ")
        await until(pilot, lambda: "at step 0" not in first(pilot))
        await press_until(pilot, "end", "at step 200")
        await press_until(pilot, "pageup", "at step 1")
        await press_until(pilot, "left", "at step 1")
        await pilot.press("i")
        await until(pilot, lambda: "at step" not in first(pilot) and "step 1" not in screen(pilot))


async def test_the_values_are_those_of_the_runs() -> None:
    async with live(LARGE) as pilot:
        await press_until(pilot, "i", "at step 200")
        loss, top1 = session().snapshot.runs[A].losses.last_y, 52.0
        row = next(line for line in (await until_shown(pilot, "step 200")).splitlines() if line.startswith(" A/42"))
        assert row.split()[1:3] == [f"{loss:.3f}", f"{top1:.1f}"]


async def test_tab_goes_from_chart_to_chart_to_the_log_and_keys_act_on_the_selected_one() -> None:
    async with live(LARGE) as pilot:

        def focused() -> Widget | None:
            return pilot.app.screen.focused

        one, two = pane(pilot).visible_panels
        await pilot.press("tab")
        await until(pilot, lambda: focused() is one)
        await pilot.press("tab")
        await until(pilot, lambda: focused() is two and two.chosen and not one.chosen)
        await pilot.press("m")
        await until(
            pilot, lambda: titles(pilot)[1].startswith("dev loss") and titles(pilot)[0].startswith("training loss")
        )
        await pilot.press("tab")
        await until(pilot, lambda: focused() is pane(pilot).log_panel.view)
        await pilot.press("shift+tab")
        await until(pilot, lambda: focused() is two)
        await pilot.press("shift+tab")
        await until(pilot, lambda: focused() is one and one.chosen)


@SIZES
async def test_enter_shows_the_selected_chart_alone_and_all_again(size: tuple[int, int]) -> None:
    async with live(size) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: "line 299" not in screen(pilot) and len(pane(pilot).visible_panels) == 1)
        await until(pilot, lambda: pane(pilot).panel.size.height >= size[1] - 5)
        await pilot.press("enter")
        await until_shown(pilot, "line 299", "training loss")


async def test_escape_leaves_the_full_screen_then_the_crosshair() -> None:
    async with live() as pilot:
        await press_until(pilot, "i", "at step 200")
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen.focused is pane(pilot).panel)
        await pilot.press("escape")
        await until_shown(pilot, "line 299", "at step 200")
        await pilot.press("escape")
        await until(pilot, lambda: "at step" not in first(pilot))


@SIZES
async def test_z_gives_the_room_to_the_charts_then_to_the_log(size: tuple[int, int]) -> None:
    async with live(size) as pilot:
        await pilot.press("z")
        await until(pilot, lambda: "line 299" not in screen(pilot) and "training loss" in screen(pilot))
        await pilot.press("z")
        await until(pilot, lambda: "line 299" in screen(pilot) and "training loss" not in screen(pilot))
        await pilot.press("z")
        await until_shown(pilot, "line 299", "training loss")


async def test_a_click_selects_a_chart_and_then_puts_the_crosshair_there() -> None:
    async with live(LARGE) as pilot:
        two = pane(pilot).visible_panels[1]
        await pilot.click(two, offset=(20, 5))
        await until(pilot, lambda: two.chosen)
        assert "at step" not in first(pilot)
        await pilot.click(two, offset=(20, 5))
        await until(pilot, lambda: "at step" in first(pilot))


async def test_the_wheel_zooms() -> None:
    async with live() as pilot:
        panel = pane(pilot).panel
        panel.post_message(MouseScrollUp(panel, 20, 5, 0, 1, 0, False, False, False))
        await until(pilot, lambda: panel.drawn.x_limits == (50, 150))
        panel.post_message(MouseScrollDown(panel, 20, 5, 0, 1, 0, False, False, False))
        await until(pilot, lambda: panel.drawn.x_limits == (0, 200))


async def test_g_turns_the_curves_into_letters() -> None:
    async with live() as pilot:
        await pilot.press("G", "G")
        await until(pilot, lambda: "AAA" in first(pilot) and first(pilot).isascii(), "a curve in letters")


async def test_without_colour_conditions_are_told_apart_by_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with live() as pilot:
        assert "AAA" in first(pilot) and "c" in first(pilot)


async def test_charts_are_drawn_in_another_thread_and_again_only_when_something_has_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[int] = []
    drawing_of = drawing.drawing_of

    def recorded(*given: object) -> object:
        threads.append(threading.get_ident())
        return drawing_of(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(drawing, "drawing_of", recorded)
    async with live() as pilot:
        assert threads and threading.get_ident() not in threads
        await until(pilot, lambda: not pane(pilot).panel._busy)
        count = len(threads)
        for _ in range(20):
            pane(pilot).tick()
        assert not pane(pilot).panel._busy and len(threads) == count


async def test_new_values_come_and_a_zoomed_view_with_a_fixed_axis_stands_still() -> None:
    made = session()
    async with live(made=made) as pilot:
        await pilot.press("plus", "y", "y")
        await until(pilot, lambda: "fixed y, zoomed" in first(pilot))
        before = pane(pilot).panel.drawn
        made.show(view_of(B, "running", training(180, offset=0.1)))
        await until(pilot, lambda: pane(pilot).panel.drawn is not before, "a new drawing")
        after = pane(pilot).panel.drawn
        assert (after.x_limits, after.y_limits) == (before.x_limits, before.y_limits)


async def test_steps_that_a_resumed_run_takes_again_are_drawn_in_place_of_the_first_ones() -> None:
    made = session()
    async with live(made=made) as pilot:
        await until(pilot, lambda: not pane(pilot).panel._busy)
        before = pane(pilot).panel.drawn
        old = made.snapshot.runs[B]
        again = training(len(old.steps), offset=1.0)[-40:]
        replayed = [Event(old.next_seq + at, old.last_event + 10.0 * at, body) for at, body in enumerate(again)]
        made.show(reduce(old, replayed))
        assert len(made.snapshot.runs[B].steps) == len(old.steps)
        await until(pilot, lambda: pane(pilot).panel.drawn is not before, "a new drawing")


async def test_before_a_run_trains_it_says_so() -> None:
    async with console(FakeSession()) as pilot:
        await pilot.press("3")
        await until_shown(pilot, "training loss", "the curves begin when a run trains")
        await pilot.press("i", "plus", "less_than_sign", "y", "0", "t", "m")
        await until_shown(pilot, "dev top-1 %", "the first comes before the first step")


async def test_a_chart_that_cannot_be_drawn_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    async with live() as pilot:

        def broken(*_: object) -> None:
            raise RuntimeError("no such thing")

        monkeypatch.setattr(drawing, "drawing_of", broken)
        await pilot.press("m")
        await until_shown(pilot, "The chart could not be drawn: no such thing")
        assert isinstance(pane(pilot).panel, ChartPanel)
