"""Claims: what a launch takes over from the run before it, and what a refused one leaves as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from console.hosts.agent import claims, jobs, launches, process
from console.hosts.agent.caretaker import Caretaker
from console.hosts.agent.claims import Claim, Existing, claim
from console.hosts.agent.workspace import Refused, Workspace, read_json, write_json
from engine.contract.file_lock import is_locked, take_lock
from tests.console.hosts.agent import odd_files
from tests.console.hosts.agent.odd_files import NOT_FILES, NOT_STATES
from tests.console.waiting import until

CARRIED = ["checkpoint.json", "events.jsonl"]


class Host:
    """A workspace in which one run is launched over and over; nothing is ever started."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(root)
        self.run_folder = self.workspace.run("experiment", "A_seed1")

    def launch(self, settings: str, **more: Any) -> Claim:
        request = {"key": uuid.uuid4().hex, "folder": "experiment", "run": "A_seed1", "argv": ["true"], **more}
        made = claim(self.workspace, {**request, "settings": settings})
        assert isinstance(made, Claim)
        made.release()
        return made

    def end(self, claim: Claim, settings: str) -> None:
        write_json(self.run_folder / "state.json", {"state": "aborted", "key": claim.key, "settings": settings})

    def contents(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.run_folder.iterdir()}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A run that stopped after a checkpoint."""
    host = Host(tmp_path / "host")
    host.end(host.launch("one"), "one")
    for name in (*CARRIED, "exit.json"):
        (host.run_folder / name).write_text(f"{name} of the first")
    return host


def test_a_resumed_launch_copies_the_checkpoint_and_the_earlier_run_stays_complete(host: Host) -> None:
    before = host.contents()
    made = host.launch("one", carry=CARRIED)
    assert set(host.contents()) == {*CARRIED, "state.json"}, "its end is not the new one's"
    assert all(host.contents()[name] == before[name] for name in CARRIED)
    (host.run_folder / "events.jsonl").write_text("more")
    assert made.launch.previous is not None
    assert {path.name: path.read_bytes() for path in made.launch.previous.iterdir()} == before


def test_nothing_is_copied_from_a_run_with_other_settings_or_unrequested(host: Host) -> None:
    host.end(host.launch("another", carry=CARRIED), "another")
    assert set(host.contents()) == {"state.json"}
    host.launch("another")
    assert set(host.contents()) == {"state.json"}


@pytest.mark.parametrize("wrong", [{"carry": ["../state.json"]}, {"files": {"../evil": ""}}, {"slots": "many"}])
def test_a_refused_launch_leaves_the_earlier_run_in_its_folder(host: Host, wrong: dict[str, Any]) -> None:
    before = host.contents()
    with pytest.raises((Refused, ValueError)):
        host.launch("one", **wrong)
    assert host.contents() == before
    assert (read_json(host.run_folder / "state.json") or {})["settings"] == "one"


def test_a_launch_waits_until_the_earlier_run_is_sealed(host: Host) -> None:
    (host.run_folder / "state.json").write_text(json.dumps({"state": "aborted", "key": "a" * 32, "settings": "one"}))
    recording = host.workspace.job("a" * 32)
    recording.mkdir(parents=True)
    lock = take_lock(recording / "lock", wait=True)
    assert lock is not None
    with ThreadPoolExecutor() as pool:
        launching = pool.submit(host.launch, "one", carry=CARRIED)
        with pytest.raises(TimeoutError):
            launching.result(0.3)
        (host.run_folder / "manifest.json").write_text("the seal")
        os.close(lock)
        previous = launching.result(10).launch.previous
    assert previous is not None and (previous / "manifest.json").read_text() == "the seal"
    assert "manifest.json" not in host.contents()


@pytest.mark.fault("a run that was lost when its launch was planned finishes", "its results are not set aside unasked")
@pytest.mark.parametrize("recorded", ["state", "exit"])
def test_a_finished_run_is_replaced_only_if_the_operator_was_told(host: Host, recorded: str) -> None:
    state = {"state": "finished", "key": "a" * 32, "settings": "one", "exit_code": 0, "ended_at": 1.0}
    (host.run_folder / "state.json").write_text(
        json.dumps(state if recorded == "state" else {**state, "state": "running"})
    )
    (host.run_folder / "exit.json").write_text(json.dumps(state))
    (host.run_folder / "manifest.json").write_text("the seal")
    request = {"key": "b" * 32, "folder": "experiment", "run": "A_seed1", "argv": ["true"], "replaces": "a" * 32}
    assert claim(host.workspace, {**request, "sets_aside_results": False}) == Existing("a" * 32, "finished")
    claimed = claim(host.workspace, {**request, "sets_aside_results": True})
    assert isinstance(claimed, Claim)
    claimed.release()


@pytest.mark.fault("supervisor stopped when its run had ended", "it is continued, and the run can be launched again")
def test_a_launch_continues_a_stopped_process_that_holds_the_lock_of_an_ended_run(host: Host) -> None:
    (host.run_folder / "state.json").write_text(json.dumps({"state": "aborted", "key": "a" * 32, "settings": "one"}))
    lock = host.workspace.ended / ("a" * 32) / "lock"
    lock.parent.mkdir(parents=True)
    hold = (
        "import fcntl, os, sys; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print(flush=True); os.kill(os.getpid(), 19)"
    )
    with subprocess.Popen([sys.executable, "-c", hold, str(lock)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline()
        until(lambda: psutil.Process(holder.pid).status() == psutil.STATUS_STOPPED)
        assert host.launch("one", carry=CARRIED).launch.previous is not None
        assert holder.wait(20) == 0


def test_a_launch_whose_supervisor_does_not_start_stays_queued_and_is_started_later(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = {"key": "b" * 32, "folder": "experiment", "run": "A_seed1", "argv": ["true"]}
    with monkeypatch.context() as broken:
        broken.setattr(process, "start_detached", lambda *_: False)
        reply = jobs.launch(host.workspace, request)
        assert (reply["new"], reply["key"], reply["state"]) == (True, "b" * 32, "queued")
        assert "does not start" in reply["note"]
        assert jobs.launch(host.workspace, request)["new"] is False, "a key means one launch"
        caretaker = Caretaker()
        caretaker.look(host.workspace)
        assert "does not start" in caretaker.problem("b" * 32)
    started: list[str] = []

    def start(_root: Path, _program: str, key: str, *_: Any) -> bool:
        started.append(key)
        return True

    monkeypatch.setattr(process, "start_detached", start)
    Caretaker().look(host.workspace)
    assert started == ["b" * 32]


def test_a_run_that_was_moved_into_the_place_of_an_interrupted_launch_stays(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = host.run_folder.with_name("moved")
    with monkeypatch.context() as killed:
        host.run_folder.rename(moved)
        killed.setattr(claims, "settle", lambda *_, **__: None)  # killed once the claim was committed
        made = host.launch("one", replaces="")
    moved.rename(host.run_folder)
    before = host.contents()
    Caretaker().look(host.workspace)
    assert host.contents().items() >= before.items(), "it is sealed at most"
    assert (host.workspace.ended / made.key / "job.json").exists() and not list(host.run_folder.parent.glob(".l*/*"))
    assert host.launch("one").key != made.key


def test_nobody_can_write_to_the_earlier_run_while_it_is_set_aside(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = str((read_json(host.run_folder / "state.json") or {})["key"])
    held = []

    def settle(*arguments: Any, **options: Any) -> None:
        held.append(is_locked(host.workspace.job(earlier) / "lock"))
        launches.settle(*arguments, **options)

    monkeypatch.setattr(claims, "settle", settle)
    host.launch("one")
    assert held == [True] and not is_locked(host.workspace.job(earlier) / "lock")


@pytest.mark.parametrize("odd", ["missing", "empty", "{}", "no number", "a FIFO", "a folder"])
def test_a_ticket_file_that_cannot_be_read_keeps_the_order_of_the_queue(host: Host, odd: str) -> None:
    first = int((read_json(host.launch("one").job / "job.json") or {})["ticket"])
    ticket = host.workspace.ticket
    parts = {
        **NOT_FILES,
        **NOT_STATES,
        "missing": lambda path: None,
        "no number": lambda path: write_json(path, {"ticket": "x"}),
    }
    odd_files.replace(ticket, parts[odd])
    request = {"key": uuid.uuid4().hex, "folder": "experiment", "run": "B_seed1", "argv": ["true"]}
    if odd == "a folder":
        with pytest.raises(OSError, match=str(ticket)):
            claim(host.workspace, request)
        return
    made = claim(host.workspace, request)
    assert isinstance(made, Claim)
    made.release()
    assert int((read_json(made.job / "job.json") or {})["ticket"]) == first + 1
