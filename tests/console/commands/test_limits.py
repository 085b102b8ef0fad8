"""Ended runs that are not synced: how long a command waits for them, and the reason it gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace

from console.commands import limits
from console.commands.limits import WaitLimit
from console.hosts import host_link
from console.runs.run_view import RunView
from console.runs.snapshot import HostView, Link, Snapshot, SyncState
from console.session import Session
from engine.contract.settings import RunId
from engine.contract.state import RunState
from tests.console.commands.quick_engine import command, run_folders, states, use_job
from tests.console.waiting import until

A42, B42 = RunId("A", 42), RunId("B", 42)
KEY = "a" * 32


class SilentSession:
    """A session that only takes a listener."""

    def subscribe(self, _: Callable[[Snapshot], None]) -> None: ...


def snapshot(a: SyncState, b: SyncState | None = None, link: Link = "up") -> Snapshot:
    host = HostView("box", "box", "ssh", "", link=link, runs_reported=True)
    runs = {run: RunView(run, state=RunState("finished", KEY)) for run in (A42, B42)}
    return Snapshot(host, "scaling", "full", runs, {A42: a, B42: b or SyncState("synced", key=KEY)})


def limit_after(*steps: tuple[float, Snapshot]) -> WaitLimit:
    """The limit after snapshots, each so many seconds after the one before."""
    now = 0.0
    limit = WaitLimit(cast(Session, SilentSession()), (A42, B42), lambda: now)
    for seconds, shown in steps:
        now += seconds
        limit.update(shown)
    return limit


def test_a_run_that_makes_no_progress_is_given_up_and_one_that_does_is_not() -> None:
    stuck = snapshot(SyncState("pulling", bytes_done=7, bytes_total=9))
    assert limit_after((0, stuck), (59, stuck)).given_up == frozenset()
    assert limit_after((0, stuck), (59, stuck), (2, stuck)).given_up == {A42}
    more = snapshot(SyncState("pulling", bytes_done=8, bytes_total=9))
    assert limit_after((0, stuck), (59, stuck), (2, more), (59, more)).given_up == frozenset()
    synced = snapshot(SyncState("synced", key=KEY))
    assert limit_after((0, stuck), (99, stuck), (1, synced)).given_up == frozenset()


def test_a_pull_that_fails_and_begins_again_is_no_progress() -> None:
    tried, waits = snapshot(SyncState("pulling", bytes_done=7)), snapshot(SyncState("not synced", note="disk full"))
    steps = [(5.0, one) for _ in range(7) for one in (waits, tried)]
    assert limit_after((0, tried), *steps).given_up == {A42}


def test_the_pull_of_one_run_is_progress_for_those_that_wait_for_it() -> None:
    waits = SyncState("syncing", bytes_done=3)
    steps = [(50.0, snapshot(SyncState("pulling", bytes_done=done), waits)) for done in range(9)]
    assert limit_after(*steps).given_up == frozenset()


def test_the_time_without_a_link_does_not_count() -> None:
    up = snapshot(SyncState("syncing", bytes_done=7))
    lost = replace(up, host=replace(up.host, link="lost"))
    assert limit_after((0, up), (30, up), (900, lost), (20, up)).given_up == frozenset()


def test_a_lost_run_is_given_up_only_if_its_supervisor_does_not_go_on() -> None:
    before = snapshot(SyncState())
    stands = RunView(A42, state=RunState("lost", KEY, supervised=True))
    goes_on, gone = (RunView(A42, state=RunState(name, KEY)) for name in ("running", "lost"))
    lost, runs, over = (replace(before, runs={**before.runs, A42: view}) for view in (stands, goes_on, gone))
    assert limit_after((0, lost), (599, lost)).given_up == frozenset()
    assert limit_after((0, lost), (599, lost), (1, lost)).given_up == {A42}
    assert limit_after((0, lost), (599, lost), (1, runs), (1, lost)).given_up == frozenset()
    assert limit_after((0, lost), (9999, over)).given_up == frozenset(), "it is over by itself"


UNSEALED = pytest.mark.fault("a run ends and cannot be sealed", "shown as ended, not sealed; every command ends")


@UNSEALED
@pytest.mark.server
def test_run_and_sync_pull_end_with_the_reason_at_a_run_that_is_never_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(limits, "NO_PROGRESS_S", 2.0)
    monkeypatch.setattr(host_link, "POLL_WAIT_S", 0.2)
    use_job(monkeypatch, "os.mkdir('manifest.json')")  # in the place of the manifest
    assert command("run", tmp_path, "--condition", "A", "--seed", "42")() == 1
    assert "A/42: ended, not sealed" in capsys.readouterr().err
    assert command("sync", tmp_path, "pull", "--json")() == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["full"] is False and printed["not_synced"]["A/42"].startswith("ended, not sealed")


@UNSEALED
@pytest.mark.server
def test_a_run_that_is_sealed_late_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_job(monkeypatch, "os.mkdir('manifest.json')")
    once = command("run", tmp_path, "--condition", "A", "--seed", "42", "--detach")
    assert once() == 0
    until(lambda: states(tmp_path)["A_seed42"]["state"] == "finished")
    waiting = limits.WaitLimit.wait

    async def wait(limit: WaitLimit) -> None:
        await waiting(limit)
        if "ended, not sealed" in capsys.readouterr().err:
            (run_folders(tmp_path) / "A_seed42" / "manifest.json").rmdir()

    monkeypatch.setattr(WaitLimit, "wait", wait)
    assert command("sync", tmp_path, "pull")() == 0
