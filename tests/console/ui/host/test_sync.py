"""Sync status in view 1 and in the tab bar; sync now; verification of the local copy."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from console.hosts.pull.verify import DifferingFile, VerifyResult
from console.runs.snapshot import SyncState
from console.ui.host.pane import HostPane
from console.ui.state import VerifyState
from console.ui.sync_text import sync_text, sync_text_short
from engine.contract.settings import RunId
from tests.console.ui.driving import HOSTILE, LARGE, SIZES, SMALL, console, notices, screen, until, until_shown
from tests.console.ui.fake_session import ILL, FakeSession
from tests.console.ui.scenes import finished, training, view_of

A42, A123, B42, C42 = RunId("A", 42), RunId("A", 123), RunId("B", 42), RunId("C", 42)
HERE = SyncState("synced", 9, 9, 1_200_000, 1_200_000)


def sync_lines(session: FakeSession, width: int = 120, now: float | None = None) -> str:
    words = sync_text(
        session.snapshot, VerifyState(), session.snapshot.host.last_reply_at if now is None else now, width
    )
    return "\n".join(line.rstrip() for line in words.plain.splitlines())


def two_ended(**sync_states: SyncState) -> FakeSession:
    session = FakeSession()
    session.show(finished(A42), finished(A123), sync_states={A42: HERE, A123: sync_states.get("second", HERE)})
    return session


def test_all_is_synced_once_every_ended_run_is() -> None:
    text = sync_lines(two_ended())
    assert text.splitlines()[0] == ("Local copy   ✓ synced: 2 of 2 ended runs, 18 files, 2.3 MiB, checksums match")
    assert text.splitlines()[1] == "Verified     when pulled; v verifies again"
    assert sync_text_short(two_ended().snapshot).plain == "synced 2 runs, 2.3 MiB"


@pytest.mark.parametrize(
    ("second", "line", "short"),
    [
        (
            SyncState("pulling", 0, 9, 630_000, 1_000_000, left=4.0),
            "A/123 pulling 63%, 615 KiB of 977 KiB, 0:04 left",
            "synced 1/2, pulling 63%, 0:04",
        ),
        (SyncState(), "1 run not synced yet", "synced 1/2, 1 not synced yet"),
        (
            SyncState(note="the disk at / is full"),
            "A/123 not synced yet; s pulls it now: the disk at / is full",
            "synced 1/2, 1 not synced yet",
        ),
        (
            SyncState("syncing", note="ended, not sealed: the disk is full"),
            "! A/123 ended, not sealed: the disk is full",
            "synced 1/2, 1 not synced yet",
        ),
        (
            SyncState("damaged", note="items.parquet is not what its manifest says"),
            "✗ A/123 damaged; s pulls it again: items.parquet is not what its manifest says",
            "synced 1/2, 1 damaged: s",
        ),
    ],
    ids=["pulling", "not synced", "delayed", "not sealed", "damaged"],
)
def test_runs_not_synced_are_named_with_the_key_that_helps(second: SyncState, line: str, short: str) -> None:
    session = two_ended(second=second)
    text = sync_lines(session)
    assert text.splitlines()[0] == "Local copy   1 of 2 ended runs synced, 9 files, 1.1 MiB"
    assert text.splitlines()[1] == f"             {line}"
    assert sync_text_short(session.snapshot).plain == short


def test_running_and_lost_runs_have_lines_of_their_own() -> None:
    session = two_ended()
    mirrored = SyncState("syncing", bytes_done=34_000, as_of=99.0)
    session.show(
        view_of(B42, "running", training(5)), view_of(C42, "lost"), sync_states=dict.fromkeys((B42, C42), mirrored)
    )
    lines = sync_lines(session, now=100.0).splitlines()
    assert "synced: 2 of 2" in lines[0]
    assert lines[1].strip() == "1 running run: syncing 33.2 KiB of events and logs, 1.0 s old"
    assert lines[2].strip() == "1 lost run: 33.2 KiB of events and logs, without a manifest to verify"


def test_before_the_host_answers_the_totals_do_not_claim_all() -> None:
    session = two_ended()
    session.show(last_reply_at=0.0, runs_reported=False)
    assert "2 runs synced, 18 files, 2.3 MiB; the host has not answered yet, it may have more" in sync_lines(session)
    assert sync_text_short(session.snapshot).plain == "synced 2/2"


@SIZES
async def test_a_runs_folder_that_another_console_writes_is_shown_as_read_only(size: tuple[int, int]) -> None:
    session = two_ended()
    session.snapshot = replace(session.snapshot, local_writer="another console (ann, pid 7)")
    async with console(session, size) as pilot:
        await until_shown(pilot, "read-only: synced 2 runs, 2.3 MiB")
        await pilot.press("1")
        await until_shown(pilot, "read-only here: another console (ann, pid 7)")


def test_a_lost_link_gives_the_totals_their_age() -> None:
    session = two_ended()
    session.show(link="lost")
    assert (
        sync_lines(session, now=session.snapshot.host.last_reply_at + 300)
        .splitlines()[0]
        .endswith("checksums match, as of 5 min ago")
    )


def test_of_many_damaged_runs_a_few_are_named_and_the_rest_counted() -> None:
    session = FakeSession()
    runs = list(session.snapshot.runs)
    session.show(*map(finished, runs), sync_states=dict.fromkeys(runs, SyncState("damaged", note="x")))
    text = sync_lines(session)
    assert text.count("pulls it again: x") == 3 and "and 6 more damaged; s pulls all of them again" in text


def test_another_console_that_writes_the_local_copy_is_named() -> None:
    session = two_ended()
    session.snapshot = replace(session.snapshot, local_writer="another console (ann, pid 7)")
    assert "! read-only here: another console (ann, pid 7) writes this runs folder" in sync_lines(session)


@pytest.mark.parametrize("width", [0, 20, 40, 80, 200])
def test_no_line_exceeds_the_width(width: int) -> None:
    session = two_ended(second=SyncState("damaged", note="items.parquet is not what its manifest says " * 3))
    for line in sync_text(session.snapshot, VerifyState(), 1.0, width).plain.splitlines():
        assert len(line) <= max(width, 21)


async def test_beside_a_scrollbar_every_line_stays_in_its_column() -> None:
    session = FakeSession()
    session.checks = ILL
    notes = dict(zip((A42, A123, B42), ("x " * 40, f"x{' x' * 40}", f"xx{' x' * 40}"), strict=True))
    states = {run: SyncState("damaged", note=note) for run, note in notes.items()}
    session.show(*map(finished, notes), sync_states=states)
    async with console(session, SMALL) as pilot:
        await pilot.press("1")
        await until_shown(pilot, "Local copy", "GPU")
        pane = pilot.app.screen.query_one(HostPane)
        await until(pilot, lambda: pane.show_vertical_scrollbar)

        def lines() -> list[str]:
            return screen(pilot).partition("Local copy")[2].partition("Preflight")[0].splitlines()[1:-1]

        await until(pilot, lambda: all(line.startswith(" " * 14) for line in lines() if line.strip()))


@SIZES
async def test_every_view_shows_the_short_sync_status(size: tuple[int, int]) -> None:
    session = two_ended(second=SyncState("pulling", 0, 9, 600_000, 1_200_000, left=4.0))
    async with console(session, size) as pilot:
        for key in "12345":
            await pilot.press(key)
            await until(pilot, lambda: "synced 1/2, pulling 50%, 0:04" in screen(pilot).splitlines()[1])
        session.show(sync_states={A123: HERE})
        await until(pilot, lambda: "synced 2 runs, 2.3 MiB" in screen(pilot).splitlines()[1])
        await pilot.press("1")
        await until_shown(pilot, "✓ synced: 2 of 2 ended runs, 18 files, 2.3 MiB")


@SIZES
@pytest.mark.parametrize("view", ["1", "2"])
async def test_one_key_pulls_damaged_runs_again_even_in_a_view_only_console(size: tuple[int, int], view: str) -> None:
    session = two_ended(second=SyncState("damaged", note=HOSTILE))
    session.show(lease="ann@laptop")
    async with console(session, size, read_only=True) as pilot:
        await pilot.press(view)
        await until_shown(pilot, "synced 1/2, 1 damaged: s")
        await pilot.press("right", "s")
        await until(pilot, lambda: session.sync_requests == [(A123,)])
        await until(pilot, lambda: "Pulling 1 run." in notices(pilot))
        session.show(sync_states={A123: HERE})
        await pilot.press("s")
        await until(pilot, lambda: "Every ended run is synced already." in notices(pilot))


async def test_sync_now_without_a_link_shows_the_error() -> None:
    session = two_ended(second=SyncState("damaged"))
    session.error = ConnectionError("there is no link to the host")
    async with console(session) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: "Could not sync: there is no link to the host" in notices(pilot))


def step(read: int, files: int, *differing: DifferingFile) -> VerifyResult:
    return VerifyResult(2, files, 18, read, read, 2_400_000, differing)


@SIZES
async def test_a_verification_shows_its_progress_and_ends_with_numbers(size: tuple[int, int]) -> None:
    session = two_ended()
    async with console(session, size, read_only=True) as pilot:
        await pilot.press("1", "v")
        await until_shown(pilot, "starting; Esc stops")
        session.verify_results.put_nowait(step(1_200_000, 9))
        await until_shown(pilot, "9 of 18 files, 1.1 MiB of 2.3 MiB read, 0:0", "left; Esc stops")
        await pilot.press("2", "v", "1")
        session.verify_results.put_nowait(step(2_400_000, 18))
        session.verify_results.put_nowait(None)
        await until_shown(pilot, "18 files, 2.3 MiB match, ", " s ago; v verifies again")
        assert "Verified: 18 files, 2.3 MiB, all match their manifests." in notices(pilot)


async def test_a_verification_names_the_files_that_differ() -> None:
    session = two_ended()
    wrong = DifferingFile(A123, "k", "items.parquet", "its SHA-256 differs")
    async with console(session, LARGE) as pilot:
        await pilot.press("1", "v")
        session.verify_results.put_nowait(step(2_400_000, 17, wrong))
        session.verify_results.put_nowait(None)
        await until_shown(pilot, "1 of 18 files do not match", "A/123 items.parquet: its SHA-256 differs")
        assert notices(pilot) == ["1 file does not match: A/123 items.parquet: its SHA-256 differs"]
        await pilot.press("s")
        await until(pilot, lambda: "not match" not in screen(pilot).partition("Preflight")[0])


async def test_a_verification_can_be_stopped_and_started_again() -> None:
    session = two_ended()
    async with console(session, LARGE) as pilot:
        await pilot.press("1", "v")
        session.verify_results.put_nowait(step(10, 1))
        await until_shown(pilot, "10 B of 2.3 MiB read")
        await pilot.press("escape")
        await until_shown(pilot, "stopped, ", "ago; v verifies again")
        await pilot.press("v")
        await until_shown(pilot, "starting; Esc stops")


def shown_age(text: str) -> float:
    """Seconds since the verification ended; -1 if none has."""
    age = re.search(r"match, ([\d.]+) s ago", text)
    return float(age.group(1)) if age else -1


async def test_the_age_of_a_verification_is_updated_by_itself() -> None:
    session = two_ended()
    async with console(session, LARGE) as pilot:
        await pilot.press("1", "v")
        session.verify_results.put_nowait(step(2_400_000, 18))
        session.verify_results.put_nowait(None)
        first = shown_age(await until_shown(pilot, "match, "))
        await until(pilot, lambda: shown_age(screen(pilot)) >= first + 1)
