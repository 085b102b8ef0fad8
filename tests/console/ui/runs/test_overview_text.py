"""The totals and the overview below the matrix: what is known, nothing else, whatever a host sends."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from console.glyphs import ASCII, BRAILLE
from console.runs.estimates import Estimate, RunTimes, estimate
from console.runs.host_facts import Gpu, GpuProcess, HostHistory
from console.runs.run_view import RunView
from console.runs.snapshot import Snapshot
from console.ui.runs.overview_text import OverviewData, overview_lines, sparkline, time_left_text, total_text
from engine.contract.events import Step, Warning
from engine.contract.settings import RunId
from engine.contract.state import Identity, RunGpu, RunState
from tests.console.ui.driving import HOSTILE
from tests.console.ui.fake_session import FACTS, FakeSession
from tests.console.ui.scenes import finished, training, view_of

A = RunId("A", 42)
NOW = 1_700_000_000.0
NOON = 43_200.0  # of a day in UTC


def snapshot(*views: RunView, history: HostHistory | None = None) -> Snapshot:
    session = FakeSession()
    session.show(*views)
    return replace(session.snapshot, host_history=history or HostHistory())


def shown(of: Snapshot, width: int = 100, height: int = 30, found: Estimate | None = None) -> list[str]:
    found = found or estimate(of, dict.fromkeys(of.runs, RunTimes(0, 1, 61, 0)), None)
    lines = [line.plain for line in overview_lines(OverviewData(of, A, found, NOW, BRAILLE), width, height)]
    assert len(lines) <= height and all(cell_len(line) <= width for line in lines)
    return lines


def history(*gpus: Gpu, processes: tuple[GpuProcess, ...] | None = None) -> HostHistory:
    made = HostHistory()
    for at in range(5):
        made = made.with_facts(replace(FACTS, gpus=gpus, gpu_processes=processes), 60.0 * at)
    return made


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Estimate(0, 9, 0), "total 0 of 9"),
        (Estimate(9, 9, 0, 0.0, spent=2.304, cost=2.304, currency="EUR"), "total 9 of 9, 2.30 EUR"),
        (
            Estimate(9, 9, 0, 0.0, spent=2.3, cost=2.3, idle=0.4, currency="EUR"),
            "total 9 of 9, 2.30 EUR, 0.40 more since the last run ended",
        ),
        (Estimate(1, 9, 8), "total 1 of 9, 8 active, time left not known yet"),
        (Estimate(1, 9, 8, spent=0.5, currency="USD"), "total 1 of 9, 8 active, time left not known yet, 0.50 USD"),
        (
            Estimate(6, 15, 9, 41 * 60.0, spent=1.1, cost=2.3, currency="EUR"),
            "total 6 of 15, about 41 min left, done by 12:41, 1.10 of about 2.30 EUR, 1.20 left",
        ),
        (
            Estimate(6, 15, 9, 41 * 60.0, at_least=True, spent=1.1, cost=2.3, currency="EUR"),
            "total 6 of 15, at least 41 min left, 1.10 of at least 2.30 EUR, 1.20 left",
        ),
        (Estimate(6, 15, 9, 30 * 3600.0), "total 6 of 15, about 30 h 0 min left, done by Fri 02 Jan 18:00"),
    ],
)
def test_the_totals_say_what_is_known(monkeypatch: pytest.MonkeyPatch, found: Estimate, text: str) -> None:
    monkeypatch.setattr("time.localtime", time.gmtime)
    assert total_text(found, NOON).plain == text


def test_a_screen_without_totals_still_says_how_long() -> None:
    assert time_left_text(Estimate(6, 15, 9, 41 * 60.0)).plain == "about 41 min left"
    assert time_left_text(Estimate(6, 15, 9, 41 * 60.0, at_least=True)).plain == "at least 41 min left"
    assert time_left_text(Estimate(6, 15, 9)).plain == time_left_text(Estimate(9, 9, 0, 0.0)).plain == ""


def test_the_panels_stand_below_each_other_in_two_or_in_three_columns() -> None:
    of = snapshot(finished(A), history=history(Gpu("L40S", 46_068, 12_000, 87, "5", 71, 284.3)))
    titles = ("A/42  loss", "GPU: L40S", "Queue", "Warnings")

    def places(width: int) -> list[tuple[int, int]]:
        lines = shown(of, width, 30)
        return [next((row, line.index(title)) for row, line in enumerate(lines) if title in line) for title in titles]

    narrow = places(80)
    assert {column for _, column in narrow} == {0}
    wide, widest = places(120), places(200)
    assert [column for _, column in wide] == [0, 0, 61, 61] and wide[0][0] == wide[2][0] == 0
    assert [column for _, column in widest] == [0, 0, 67, 134] and widest[3][0] == 0


def test_the_most_important_panels_stay_where_there_is_little_room() -> None:
    of = snapshot(view_of(A, "running", training(100)), history=history(Gpu("L40S", 1, 1, 87, "5")))
    assert next(line for line in shown(of, 80, 3) if line.strip()).startswith("A/42  loss")
    low = "\n".join(shown(of, 80, 10))
    assert "Queue" in low and "Warnings" in low and "GPU" not in low
    assert shown(of, 20, 12) and shown(of, 1, 5)


def test_a_gpu_shows_use_memory_temperature_power_and_who_holds_it() -> None:
    ours = RunView(A, RunState("running", "k", job=Identity(500, 1, "b")))
    held = (GpuProcess(501, "/env/bin/python3", 11_000, "ann", 500), GpuProcess(9, "/usr/bin/blender", None, "bob", 9))
    of = snapshot(ours, history=history(Gpu("L40S", 46_068, 12_000, 87, "5", 71, 284.3), processes=held))
    text = "\n".join(shown(of, 80))
    for part in ("GPU: L40S, last 4 min", "87%", "11.7 GiB of 45.0 GiB", "71 °C", "284 W"):
        assert part in text, part
    assert "used by ann A/42 10.7 GiB, bob blender" in text
    assert "used by nobody" in "\n".join(shown(snapshot(history=history(Gpu("X", 1, 1, 1, "5"), processes=())), 80))


def test_each_of_several_gpus_names_the_runs_that_are_bound_to_it() -> None:
    gpus = (Gpu("L40S", 46_068, 1, 1, "5", uuid="GPU-b"), Gpu("L40S", 46_068, 1, 1, "5", uuid="GPU-a"))
    runs = (A, RunId("B", 42), RunId("C", 42))
    bound = zip(runs, ("GPU-a", "GPU-b", "GPU-a"), strict=True)
    views = [RunView(run, RunState("running", "k", gpu=RunGpu(uuid, "9", "L40S"))) for run, uuid in bound]
    text = "\n".join(shown(snapshot(*views, history=history(*gpus)), 80, 40))
    assert "GPU 0: L40S, B/42, last 4 min" in text and "GPU 1: L40S, A/42, C/42, last 4 min" in text


def test_what_a_gpu_does_not_report_is_left_out() -> None:
    text = "\n".join(shown(snapshot(history=history(Gpu("X", None, None, 50, "5"))), 80))
    assert "50%" in text and not any(word in text for word in ("memory", "temp.", "power", "used by", "None"))
    text = "\n".join(shown(snapshot(history=history()), 80))
    assert "Host without a GPU, last 4 min" in text and "1.2" in text
    assert "the host has not reported any yet" in "\n".join(shown(snapshot(), 80))


def test_the_queue_comes_in_its_order_with_the_end_of_each() -> None:
    runs = [RunId("B", seed) for seed in (42, 123, 456)]
    queued = [RunView(run, RunState("queued", "k", ticket=9 - at)) for at, run in enumerate(runs)]
    of = snapshot(view_of(A, "running", training(140)), *queued)
    found = Estimate(0, 9, 4, 3000.0, at_least=True, finish_in={A: 60.0, runs[2]: 1000.0, runs[1]: 3000.0})
    lines = [line for line in shown(of, 80, 40, found) if "/" in line and "loss" not in line]
    assert [line.split()[2] for line in lines] == ["A/42", "B/456", "B/123", "B/42"]
    assert [line.split()[1] for line in lines] == ["70%", "1st", "2nd", "3rd"]
    assert ["not known" in line for line in lines] == [False, False, False, True]
    few = "\n".join(shown(of, 80, 10, found))
    assert "Queue, at least 50 min left" in few and "and 3 more runs" in few


def test_hostile_names_numbers_and_clocks_leave_every_line_in_its_place() -> None:
    values = [math.nan, math.inf, -math.inf, 1e38, 0.5, *map(float, range(9000))]
    steps = [Step(at, len(values), 1, value, 0.1, {}) for at, value in enumerate(values, 1)]
    spike = Warning("loss_spike", f"\x1b[31m\u202e{HOSTILE} 損失が急に大きく" * 9, 2**53)
    view = view_of(A, "running", [*training(20), *steps, spike])
    held = (GpuProcess(2**22, HOSTILE + "名前" * 40, 2**40, "名前" * 20, 0),)
    made = history(Gpu(HOSTILE + "名" * 90, 0, 2**40, 10**6, "5", 10**6, 1e6), processes=held)
    made = made.with_facts(replace(FACTS, time=-5.0), 1.0)  # our clock went back, and the GPUs are gone
    for of in (snapshot(view, history=made), snapshot(view, history=history(Gpu("名" * 90, 1, 1, 1, "5")))):
        for width, height in ((80, 40), (120, 12), (200, 30), (33, 7)):
            found = Estimate(0, 9, 1, 1e30, finish_in={A: -5.0})
            lines = shown(of, width, height, replace(found, seconds=1e12, finish_in={A: 1e9}))
            assert all(ord(sign) >= 32 and sign != "\u202e" for line in lines for sign in line)


def test_an_epochless_run_and_no_runs_at_all_are_shown() -> None:
    of = snapshot(replace(view_of(A, "finished"), total_steps=0))
    text = "\n".join(shown(of, 80))
    assert "no steps yet" in text and "no run is queued or running" in text and "none" in text


@given(st.lists(st.floats(), max_size=60), st.integers(-1, 20))
def test_a_sparkline_of_any_values_fits(values: list[float], width: int) -> None:
    assert len(sparkline(values, width, ASCII.levels)) == min(len(values), max(0, width))


def test_a_rise_rises_equal_values_are_in_the_middle_and_what_is_not_finite_is_marked() -> None:
    assert sparkline(range(8), 8, BRAILLE.levels) == "▁▂▃▄▅▆▇█"
    assert sparkline([0.06, 0.06, 0.5, 1.0, -1.0], 5, BRAILLE.levels, 1.0) == "▁▁▅█▁"
    assert sparkline(range(800), 8, BRAILLE.levels) == "▁▂▃▄▅▆▇█"
    assert sparkline([3, 3], 2, BRAILLE.levels) == "▅▅"
    assert sparkline([1, math.nan, 2], 3, BRAILLE.levels) == "▁!█"
    assert sparkline([1, math.nan, 2], 3, ASCII.levels) == "_!#"
