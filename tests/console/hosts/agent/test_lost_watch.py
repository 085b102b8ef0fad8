"""Runs that are lost, and supervisors that stand still: told once, by whoever else is on the host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from console.hosts.agent import lost_watch, notify, process
from console.hosts.agent.claims import Claim
from console.hosts.agent.disk import Space
from console.hosts.agent.lost_watch import LostWatch
from console.hosts.agent.supervisor import Supervisor
from console.hosts.agent.workspace import Workspace, read_json, write_json
from engine.contract.file_lock import take_lock
from tests.console.hosts.agent.notifying import claimed, service, workspace
from tests.console.notify_server import NotifyServer
from tests.console.waiting import until

__all__ = ["service", "workspace"]  # fixtures


def lost_run(workspace: Workspace) -> Claim:
    """A run whose supervisor was killed while its job ran."""
    found = claimed(workspace)
    state = read_json(found.run_folder / "state.json") or {}
    gone = {"pid": 2**22 + 1, "start": 1, "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip()}
    write_json(found.run_folder / "state.json", {**state, "state": "running", "supervisor": gone})
    found.release()
    return found


def test_a_lost_run_is_told_once_by_whoever_finds_it_twice(service: NotifyServer, workspace: Workspace) -> None:
    notify.keep_urls(workspace, [service.url()])
    lost = lost_run(workspace)
    agent, supervisor = LostWatch(0.0, asks_slurm=True), LostWatch(0.0, asks_slurm=False)
    agent.look(workspace)
    supervisor.look(workspace)
    assert not (lost.job / "told-lost").exists(), "one look may fall between two steps of others"
    for watch in (supervisor, agent, agent):
        watch.look(workspace)
    notify.wait_for_senders(60)
    assert service.titles() == ["A/42 lost: its supervisor is gone"] and service.got[0]["type"] == "failure"


def standing_still(workspace: Workspace, run: str = "A_seed42", state: str = "running") -> tuple[Claim, int]:
    """A run whose job's lock is held, but whose heartbeat does not advance; and that lock."""
    found = claimed(workspace, run=run)
    recorded = read_json(found.run_folder / "state.json") or {}
    write_json(found.run_folder / "state.json", {**recorded, "state": state, "heartbeat": 7})
    return found, found.lock


def test_a_supervisor_that_stands_still_is_told_of_once_and_again_if_it_is_lost(
    service: NotifyServer, workspace: Workspace
) -> None:
    notify.keep_urls(workspace, [service.url()])
    still, _ = standing_still(workspace)
    beating, _ = standing_still(workspace, run="A_seed1", state="queued")
    watch = LostWatch(0.0, asks_slurm=False, still=0.0)
    for beat in range(4):
        state = read_json(beating.run_folder / "state.json") or {}
        write_json(beating.run_folder / "state.json", {**state, "heartbeat": beat})
        watch.look(workspace)
    notify.wait_for_senders(60)
    text = "A/42 lost: its supervisor stands still: no heartbeat for 0 minutes; it may go on"
    assert service.titles() == [text]
    for one in (still, beating):
        one.release()
    for _ in range(3):
        watch.look(workspace)
    notify.wait_for_senders(60)
    assert service.titles() == [text, "A/42 lost: its supervisor is gone"]


def test_no_supervisor_stands_still_for_moments_or_where_the_disk_is_full(
    service: NotifyServer, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify.keep_urls(workspace, [service.url()])
    still, _ = standing_still(workspace)
    patient = LostWatch(0.0, asks_slurm=False)
    for _ in range(3):
        patient.look(workspace)
    monkeypatch.setattr(lost_watch, "disk_space", lambda _: Space(0, 1 << 30))
    hasty = LostWatch(0.0, asks_slurm=False, still=0.0)
    for _ in range(3):
        hasty.look(workspace)
    still.release()
    assert not list(workspace.root.rglob("told-*"))


def test_neither_a_supervised_nor_a_queued_run_is_lost(service: NotifyServer, workspace: Workspace) -> None:
    notify.keep_urls(workspace, [service.url()])
    queued, lost = claimed(workspace, run="A_seed1"), lost_run(workspace)
    queued.release()
    lock = take_lock(lost.job / "lock", wait=False)
    assert lock is not None
    watch = LostWatch(0.0, asks_slurm=False)
    for _ in range(3):
        watch.look(workspace)
    os.close(lock)
    assert not notify.SENDERS or all(one.poll() is not None for one in notify.SENDERS)
    assert not service.got and not list(workspace.root.rglob("told-*"))


def test_a_supervisor_that_waits_tells_of_runs_that_are_lost(
    service: NotifyServer, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify.keep_urls(workspace, [service.url()])
    lost_run(workspace)
    other = claimed(workspace, run="A_seed1")
    supervisor = Supervisor(workspace, other.key, other.lock)
    supervisor.state["supervisor"] = process.identity(os.getpid())
    monkeypatch.setattr(supervisor, "_lost", LostWatch(0.0, asks_slurm=False))
    for _ in range(2):
        supervisor._last_beat = 0.0
        supervisor._beat()
    until(lambda: service.got)
    other.release()
    assert service.titles() == ["A/42 lost: its supervisor is gone"]
