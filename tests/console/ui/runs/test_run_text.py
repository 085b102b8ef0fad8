"""Details of the selected run: how long, how far, and whether it is synced."""

from __future__ import annotations

import re
import time

import pytest
from msgspec.structs import replace

from console.runs.run_view import RunView
from console.runs.snapshot import SyncState
from console.ui.runs.run_text import card_lines, details_text
from engine.contract.events import Progress, Stage
from engine.contract.settings import RunId
from engine.contract.state import RunState
from tests.console.ui.driving import SIZES, console, screen, until, until_shown
from tests.console.ui.fake_session import SCALING, FakeSession
from tests.console.ui.scenes import finished, training, view_of
from tests.measurements import measurement

RUN = RunId("A", 42)


def details(view: RunView, sync: SyncState | None = None, stage_seconds: float | None = None) -> list[str]:
    session = FakeSession()
    session.show(view, sync_states={RUN: sync or SyncState()})
    return details_text(session.snapshot, RUN, stage_seconds, now=100.0).plain.splitlines()


@pytest.mark.parametrize(
    ("sync", "words"),
    [
        (SyncState("pulling", 0, 11, 2_100_000, 2_900_000, left=4.2), "Pulling 72%, 2.0 MiB of 2.8 MiB, 0:04 left"),
        (SyncState("pulling", 0, 11, 0, 2_900_000), "Pulling 0%, 0 B of 2.8 MiB"),
        (SyncState("syncing", bytes_done=1_200_000, as_of=99.2), "Syncing: 1.1 MiB, 0.8 s old"),
        (SyncState("syncing", bytes_done=900), "Syncing: 900 B"),
        (SyncState("synced", 11, 11, 2_900_000, 2_900_000), "Synced: 11 files, 2.8 MiB, checksums match"),
        (SyncState("synced", 1, 1, 512, 512), "Synced: 1 file, 512 B, checksums match"),
        (SyncState(), "Not synced yet"),
    ],
)
def test_how_far_a_run_is_synced(sync: SyncState, words: str) -> None:
    assert details(finished(RUN), sync)[0] == f"A/42  ✓ finished  Took 1:23. {words}"


def test_damage_has_a_line_of_its_own_with_the_reason() -> None:
    lines = details(finished(RUN), SyncState("damaged", note="items.parquet: its checksum is another"))
    assert lines[1] == "! Damaged; s pulls it again: items.parquet: its checksum is another"
    assert "ync" not in lines[0]
    assert details(finished(RUN), SyncState("damaged"))[1] == "! Damaged; s pulls it again: a checksum does not match"


def test_a_run_that_has_not_ended_is_not_expected_to_be_synced() -> None:
    assert details(view_of(RUN, "running", [Stage("data")]))[0] == "A/42  ▶ running"


def test_the_best_measurement_is_told_with_its_score_and_when_that_was_first_above_mean_pooling() -> None:
    by = "by retrieval top-1 (bundles, wordnet) and coherence (wordnet)"
    above = "first above it at step 150 (epoch 3.0)"
    line = f"step 200 (epoch 4.0) {by}: 59.0 (mean pooling 58.2, {above})"
    assert details(finished(RUN))[-1] == f"Chosen: {line}"
    assert details(view_of(RUN, "running", training(200)))[-1] == f"Best so far: {line}"
    line = f"Best so far: step 50 (epoch 1.0) {by}: 57.5 (mean pooling 58.2, never above it)"
    assert details(view_of(RUN, "running", training(60)))[-1] == line
    worse = measurement(75, score=0.1, best_step=50)
    assert details(view_of(RUN, "running", [*training(60), worse]))[-1] == line


def test_a_stage_shows_its_elapsed_time() -> None:
    view = view_of(RUN, "running", [Stage("data", "edition v2.3")])
    assert details(view, stage_seconds=41.2)[1] == "building data (edition v2.3), for 0:41"
    encoding = view_of(RUN, "running", [Stage("encode"), Progress(10, 40, "texts")])
    assert details(encoding, stage_seconds=12.0)[1] == "encoding, 10 of 40 texts, for 0:12"
    starting = RunView(RUN, state=RunState("running", "k"))
    assert details(starting, stage_seconds=3.0)[1] == "starting, for 0:03"


def test_a_remark_of_the_host_on_a_running_or_queued_run_is_shown() -> None:
    stopped = RunView(RUN, state=RunState("running", "k", reason="stopped by a signal (SIGCONT continues it)"))
    assert "Reason: stopped by a signal (SIGCONT continues it)" in details(stopped)
    assert card_lines(stopped, SyncState(), 3.0, 50)[-1].plain == "stopped by a signal (SIGCONT continues it)"
    waits = RunView(RUN, state=RunState("queued", "k", reason="waits for room on the host's disk"))
    assert card_lines(waits, SyncState(), None, 50)[1].plain == "waits for room on the host's disk"
    queued = RunView(RUN, state=RunState("queued", "k"))
    assert card_lines(queued, SyncState(), None, 50)[1].plain == "waiting for a slot"


@SIZES
async def test_the_time_of_a_stage_is_updated_in_every_view_without_new_events(size: tuple[int, int]) -> None:
    session = FakeSession()
    stage = replace(view_of(RUN, "running", [Stage("evaluate")]), last_event=time.time())
    session.show(stage)
    async with console(session, size) as pilot:
        text = await until_shown(pilot, "evaluating, for 0:", "┃for 0:")
        first = re.search(r"evaluating, for 0:\d\d", text)
        await until(pilot, lambda: first and first.group() not in screen(pilot), "another time in the details")
        assert "┃for 0:" in screen(pilot)
        await pilot.press("3")
        text = await until_shown(pilot, "evaluating  for 0:")
        first = re.search(r"evaluating  for 0:\d\d", text)
        await until(pilot, lambda: first and first.group() not in screen(pilot), "another time in view 3")


async def test_a_notice_at_80_columns_leaves_the_details_and_the_keys_in_sight() -> None:
    session = FakeSession()
    session.show(finished(RUN))
    async with console(session) as pilot:
        await pilot.press("l")
        await until(pilot, lambda: pilot.app.screen.query("Toast"))
        text = await until_shown(pilot, "finished with these settings")
        last = text.splitlines()[-4:]
        assert last[0].startswith(" A/42  ✓ finished  Took 1:23. Not synced yet")
        assert last[1].startswith(" Top-1 46.1, top-3 76.1, coherence 83.0  (mean pooling 45.2, 77.1, 74.0)")
        assert last[2].startswith(" At step 200 (epoch 4.0): dev top-1 52.0 (mean pooling 45.2), attention")
        assert "? help" in last[3]


@SIZES
async def test_the_hint_to_launch_appears_once_the_host_has_reported_its_runs(size: tuple[int, int]) -> None:
    session = FakeSession()
    session.show(runs_reported=False)
    async with console(session, size) as pilot:
        await until_shown(pilot, "up, ", "The host is connected, and reports its runs in a moment.")
        assert "to launch all nine" not in screen(pilot)
        session.show(runs_reported=True)
        await until_shown(pilot, "No runs yet: press a to launch all nine.")
        assert "in a moment" not in screen(pilot)


@pytest.mark.parametrize(
    ("sync", "words"),
    [
        (SyncState(), "No local copy of a run, and the host is not connected yet."),
        (SyncState("synced"), "The host is not connected yet."),
    ],
)
def test_a_host_that_was_never_connected_does_not_hide_synced_runs(sync: SyncState, words: str) -> None:
    session = FakeSession()
    session.show(link="lost", detail="no route", sync_states={RUN: sync})
    assert details_text(session.snapshot, RUN, None, now=100.0).plain.splitlines()[0] == f"{words} no route"


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (RunState("lost", "0" * 32, processes=2), "! Its job still runs; x aborts it"),
        (RunState("lost", "0" * 32, supervised=True), "! Its supervisor exists, so it may go on; x aborts it"),
        (RunState("lost", "0" * 32), None),
    ],
)
def test_a_lost_run_of_which_something_is_left_shows_the_key_that_ends_it(state: RunState, line: str | None) -> None:
    session = FakeSession()
    session.show(RunView(RUN, state=state))
    lines = details_text(session.snapshot, RUN, None, now=100.0).plain.splitlines()
    assert [one for one in lines if "aborts it" in one] == ([line] if line else [])


async def test_the_settings_that_a_condition_overrides_are_among_its_details() -> None:
    shorter = replace(SCALING.conditions["A"], training={"steps": 900}, model={"dropout": 0.2})
    session = FakeSession(replace(SCALING, conditions={**SCALING.conditions, "A": shorter}), "full")
    line = "Differs from the base: model.dropout 0.2 (base 0.1), training.epochs none (base 2), training.steps 900 (base none)"
    async with console(session, (140, 40)) as pilot:
        await until_shown(pilot, line)
        await pilot.press("down")
        await until(pilot, lambda: "Differs from the base" not in screen(pilot), "B differs in nothing")
