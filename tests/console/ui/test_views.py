"""The five views at the sizes people have, with runs in every state, without a link, and with hostile text."""

from __future__ import annotations

import threading
import time

import pytest
from msgspec.structs import replace
from textual._compositor import Compositor

from console.results.records import Results
from console.runs.snapshot import SyncState
from engine.contract.events import Stage, Warning
from engine.contract.settings import RunId
from tests.console.ui.driving import HOSTILE, LARGE, SIZES, SMALL, console, notices, screen, until, until_shown
from tests.console.ui.fake_session import SCALING, FakeSession
from tests.console.ui.scenes import finished, item, training, view_of

# What each view of ``busy_session`` shows once it is complete.
SHOWN_ONCE_COMPLETE = {
    "1": ("Host key", "✓ ok"),
    "2": ("▶ running", "✓ finished"),
    "3": ("following", "training loss"),
    "4": ("DO NOT SHIP", "≥ 80"),
    "5": ("showing 2 of 2", "● all"),
}


def busy_session() -> FakeSession:
    """A run in every state."""
    session = FakeSession()
    runs = list(session.snapshot.runs)
    session.show(
        finished(runs[0]),
        finished(runs[1], coherence=0.70, failed=("coherence_accuracy",)),
        view_of(runs[2], "failed", reason="CUDA out of memory"),
        view_of(runs[3], "running", training(100, offset=0.1)),
        view_of(runs[4], "running", [Stage("data", "v2.3 bundles")]),
        view_of(runs[5], "queued"),
        view_of(runs[6], "aborted", reason="by the operator"),
        view_of(runs[7], "lost", reason="the host restarted"),
        sync_states={
            runs[0]: SyncState("synced", 9, 9, 120_000, 120_000),
            runs[1]: SyncState("pulling", 0, 9, 60_000, 120_000, left=4.0),
        },
    )
    session.item_rows = {
        RunId("A", 42): [item("r1", "bank"), item("r2", "spring", 2)],
        RunId("A", 123): [item("r1", "bank", 3), item("r2", "spring", 2)],
    }
    return session


class SlowSession(FakeSession):
    """Its first results are worked out, of the snapshot as it was, until a test lets them go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()

    def results(self) -> Results:
        """Of the snapshot as it was at the beginning."""
        found = super().results()
        self.begun.set()
        self.go_on.wait(10)
        return found


@SIZES
async def test_the_runs_view_names_every_state(size: tuple[int, int]) -> None:
    async with console(busy_session(), size) as pilot:
        await until_shown(
            pilot,
            "✓ finished  synced",
            "✓ finished  pulling 50%",
            "synced 1/4, pulling 50%, 0:04",
            "top-1 46.1",
            "passes every gate",
            "fails coherence",
            "✗ failed",
            "CUDA out of memory",
            "▶ running  training",
            "50%",
            "ETA 1:4",
            "building data",
            "◦ queued",
            "■ aborted",
            "? lost",
            "· not launched",
        )


@SIZES
async def test_the_top_line_always_has_link_age_and_counts(size: tuple[int, int]) -> None:
    session = busy_session()
    session.show(last_reply_at=time.monotonic())
    async with console(session, size) as pilot:
        top = screen(pilot).splitlines()[0]
        assert "this machine" in top
        assert "● up, " in top
        assert " s ago" in top
        assert ("▶2" if size == SMALL else "2 running") in top


async def test_live_turns_to_other_runs_and_their_logs() -> None:
    session = busy_session()
    session.log(RunId("A", 42)).feed(b"log of the first\n")
    session.log(RunId("A", 123)).feed(b"log of the second\n")
    async with console(session) as pilot:
        await pilot.press("3")
        await until_shown(pilot, "log of the first")
        await pilot.press("right_square_bracket")
        await until_shown(pilot, "A/123", "log of the second")
        await pilot.press("left_square_bracket", "left_square_bracket")
        await until_shown(pilot, "C/456", "No log yet")
        await pilot.press("2")
        await until_shown(pilot, "C/456  · not launched")


async def test_a_long_name_gives_way_to_state_progress_and_log() -> None:
    name = "a" * 64
    conditions = {name: SCALING.conditions["A"]}
    experiment = replace(
        SCALING, conditions=conditions, profiles={"demo": replace(SCALING.profiles["demo"], conditions=None)}
    )
    session, run = FakeSession(experiment), RunId(name, 42)
    session.show(view_of(run, "running", training(100)), sync_states={run: SyncState("syncing", bytes_done=1200)})
    async with console(session) as pilot:
        text = await until_shown(pilot, "aaa…/42  ▶ running  Syncing: 1.2 KiB", name)
        await pilot.press("3")
        text = await until_shown(pilot, "…/42  ▶ running  training  50%  ETA ", "log: 0 lines, following")
        assert name not in text


@SIZES
async def test_results_have_means_verdicts_in_words_and_why_runs_have_none(size: tuple[int, int]) -> None:
    async with console(busy_session(), size) as pilot:
        await pilot.press("4")
        await until_shown(pilot, "DO NOT SHIP", "2 of 9 runs evaluated", "coherence", "FAIL", "76.5")
        while "aborted   by the operator" not in screen(pilot) or "lost      the host restarted" not in screen(pilot):
            before = screen(pilot)
            await pilot.press("]")
            await until(pilot, lambda seen=before: screen(pilot) != seen, "the next section")  # type: ignore[misc]


async def test_results_fill_in_as_runs_end() -> None:
    session = FakeSession()
    async with console(session, (80, 60)) as pilot:
        await pilot.press("4")
        await until_shown(pilot, "No results yet: launch runs in view 2")
        session.show(view_of(RunId("A", 42), "running", training(10)))
        await until_shown(pilot, "No run has been evaluated yet")
        session.show(finished(RunId("A", 42)))
        await until_shown(pilot, "1 of 9 runs evaluated", "1/3")


async def test_synced_results_are_shown_though_the_host_was_never_connected() -> None:
    ran = FakeSession()
    ran.show(finished(RunId("A", 42)))
    session = FakeSession()
    session.show(link="lost", last_reply_at=0.0)
    async with console(session) as pilot:
        await pilot.press("4")
        await until_shown(pilot, "No results yet")
        session.fixed_results = ran.results()
        session.show(sync_states={RunId("A", 42): SyncState("synced", 9, 9, 1000, 1000)})
        await until_shown(pilot, "1 of 9 runs evaluated", "46.1")


async def test_what_changes_while_results_are_worked_out_is_read_next() -> None:
    session = SlowSession()
    async with console(session) as pilot:
        await pilot.press("4")
        await until(pilot, session.begun.is_set)
        session.show(finished(RunId("A", 42)))
        await until(pilot, lambda: "1 finished" in screen(pilot))
        session.go_on.set()
        await until_shown(pilot, "1 of 9 runs evaluated")


@SIZES
async def test_host_shows_key_facts_and_age(size: tuple[int, int]) -> None:
    async with console(busy_session(), size) as pilot:
        await pilot.press("1")
        await until_shown(pilot, "● up, ", "SHA256:abcdef0123456789 (verified)")
        texts = ("L40S, 87% busy", "354 GiB of 466 GiB", "old")
        # the page may still grow after a key press, as its parts get their heights
        while not all(text in screen(pilot) for text in texts):
            await pilot.press("end")


@pytest.mark.fault("the host's disk is full while the console is open", "header, view 1, view 2 and a notice say so")
@SIZES
async def test_a_full_disk_of_the_host_is_shown_and_launching_is_not_advised(size: tuple[int, int]) -> None:
    session = FakeSession()
    async with console(session, size) as pilot:
        await until_shown(pilot, "press a to launch all nine")
        session.show(disk_free=12_000, disk_full=True)
        await until_shown(pilot, "host's disk full", "the host's disk is full (11.7 KiB free)", "No runs yet")
        assert "press a" not in screen(pilot)
        assert notices(pilot) == ["The host's disk is full (11.7 KiB free); queued runs wait until there is room."]
        await pilot.press("1")
        await until_shown(pilot, "Disk full", "the host's disk is full (11.7 KiB free)")
        session.show(disk_free=10**9, disk_full=False)
        await until(pilot, lambda: "disk full" not in screen(pilot).lower())


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("1", "Facts about the host appear once it is connected"),
        ("2", "press a to launch all nine"),
        ("3", "the curves begin when a run trains"),
        ("4", "launch runs in view 2"),
        ("5", "No items yet"),
    ],
)
async def test_every_empty_view_explains_what_will_appear_or_what_to_do(key: str, text: str) -> None:
    session = FakeSession()
    session.show(facts=None)
    async with console(session, LARGE) as pilot:
        await pilot.press(key)
        await until_shown(pilot, text)


async def test_hostile_text_is_shown_as_it_is_and_never_obeyed() -> None:
    session = FakeSession()
    runs = list(session.snapshot.runs)
    session.item_rows = {RunId("A", 42): [item("r1", HOSTILE, 2)]}
    warned = [*training(5), Warning("loss_spike", HOSTILE, 5, 1.0)]
    session.show(
        view_of(runs[0], "failed", warned, reason=HOSTILE),
        finished(runs[1]),
        view_of(runs[2], "running", [Stage("data", HOSTILE)]),
        sync_states={runs[1]: SyncState("damaged", note=HOSTILE)},
        detail=HOSTILE,
        title="[red]box",
    )
    session.log(runs[0]).feed(f"{HOSTILE}\x1b[31mred\x1b]0;title\x07 \x9b2J\n".encode())
    async with console(session, LARGE) as pilot:
        await until_shown(pilot, "[red]box", f"Reason: {HOSTILE}", f"1 warning: {HOSTILE}")
        await pilot.press("1")
        await until_shown(pilot, f"Status       {HOSTILE}")
        await pilot.press("3")
        text = await until_shown(pilot, f"{HOSTILE}red")
        assert "\x1b" not in text
        await pilot.press("4")
        await until_shown(pilot, "SHIP")
        await pilot.press("end")
        await until_shown(pilot, f"failed    {HOSTILE}")
        await pilot.press("5")
        await until_shown(pilot, HOSTILE, f"They sat on the {HOSTILE} of the river.")


@pytest.mark.parametrize("size", [(20, 6), (40, 10), (1, 1), (300, 90)])
async def test_no_size_breaks_any_view(size: tuple[int, int]) -> None:
    async with console(busy_session(), size) as pilot:
        for key in "134525":
            await pilot.press(key)
            await pilot.pause()
        await pilot.resize_terminal(80, 24)
        await pilot.press("2")
        await until_shown(pilot, "✓ finished")


async def test_only_the_view_in_sight_is_kept_up_to_date() -> None:
    session = busy_session()
    async with console(session) as pilot:
        await pilot.press("1")
        await until_shown(pilot, "Host key")
        before = pilot.app.screen.query_one("#runs").snapshot  # type: ignore[attr-defined]
        session.show(finished(RunId("C", 456)))
        await until_shown(pilot, "✓3")
        assert pilot.app.screen.query_one("#runs").snapshot is before  # type: ignore[attr-defined]
        await pilot.press("2", "down", "down", "right", "right")
        await until_shown(pilot, "C/456  ✓ finished")


async def test_a_click_selects_a_run_and_goes_to_a_view() -> None:
    async with console(busy_session()) as pilot:
        await pilot.click("#cell-B-42")
        await until_shown(pilot, "B/42  ▶ running")
        await pilot.click("#tab-bar", offset=(18, 0))
        await until_shown(pilot, ">3 Live<", "B/42")


async def test_a_new_snapshot_draws_only_what_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reply of the host that brings nothing new costs no drawing of the whole screen."""
    session = FakeSession()
    session.show(*(finished(run) for run in session.snapshot.runs), last_reply_at=time.monotonic() - 190)
    async with console(session, LARGE) as pilot:
        await until_shown(pilot, "9 finished", "up, 3 min")
        await pilot.pause()
        drawn: list[object] = []
        draw = Compositor.render_full_update

        def counted(compositor: Compositor, *arguments: bool) -> object:
            drawn.append(arguments)
            return draw(compositor, *arguments)

        monkeypatch.setattr(Compositor, "render_full_update", counted)
        for minutes in (4, 5, 6):
            session.show(last_reply_at=time.monotonic() - 60 * minutes - 10)
            await until_shown(pilot, f"up, {minutes} min")
        assert not drawn
