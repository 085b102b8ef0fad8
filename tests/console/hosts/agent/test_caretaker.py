"""The agent's caretaker: ended runs are sealed, a seal that fails is named and costs nothing else, past launches move away."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from console.hosts.agent import run_states
from console.hosts.agent.caretaker import Caretaker
from console.hosts.agent.workspace import Workspace, read_json, write_json
from tests.console.waiting import until


class Host:
    """A workspace with runs whose processes are all gone."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(root)
        self.workspace.prepare()

    def run(self, name: str, state: str, *, launch: bool = True) -> tuple[Path, str]:
        """A run in ``state``, unsealed; ``launch``: its job folder is still there."""
        folder, key = self.workspace.run("experiment", name), uuid.uuid4().hex
        folder.mkdir(parents=True)
        write_json(folder / "state.json", {"state": state, "key": key, "exit_code": 0, "ended_at": 1.0})
        if launch:
            job = self.workspace.job(key)
            job.mkdir()
            (job / "lock").touch()
            write_json(job / "job.json", {"key": key, "run_folder": str(folder), "ticket": 1, "slots": 1})
        return folder, key

    def state(self, name: str) -> dict[str, object]:
        return run_states.current_states(self.workspace, "experiment")[name]


@pytest.fixture
def caretaker(monkeypatch: pytest.MonkeyPatch) -> Caretaker:
    caretaker = Caretaker()
    monkeypatch.setattr(run_states, "CARETAKER", caretaker)
    return caretaker


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


def sealed_key(folder: Path) -> object:
    return (read_json(folder / "manifest.json") or {}).get("key")


def test_an_ended_run_is_sealed_and_its_launch_is_over(host: Host, caretaker: Caretaker) -> None:
    folder, key = host.run("A_seed1", "finished")
    caretaker.look(host.workspace)
    assert sealed_key(folder) == key
    assert not (host.workspace.jobs / key).exists() and (host.workspace.ended / key / "job.json").exists()


def test_an_ended_run_without_a_job_folder_is_sealed_once_it_was_looked_at(host: Host, caretaker: Caretaker) -> None:
    folder, key = host.run("A_seed1", "failed", launch=False)
    host.state("A_seed1")
    caretaker.look(host.workspace)
    assert sealed_key(folder) == key


HOLD = """
import os, signal, sys
from pathlib import Path
from console.hosts.agent import process
from console.hosts.agent.workspace import read_json, write_json
from engine.contract.file_lock import take_lock
lock = take_lock(sys.argv[1], wait=True)
if sys.argv[2:]:
    path = Path(sys.argv[2])
    write_json(path, {**read_json(path), "supervisor": process.identity(os.getpid())})
print("holds the lock", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
os._exit(0)  # as it would after its last steps
"""


@contextmanager
def stopped_holder(host: Host, key: str, *state: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A stopped process that holds the lock of a job; with ``state``, it is recorded there as its supervisor."""
    command = [sys.executable, "-c", HOLD, *map(str, (host.workspace.job(key) / "lock", *state))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline()
        until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.fault("supervisor stopped before it has sealed the run", "it is continued, and the run is sealed")
@pytest.mark.parametrize("recorded", [True, False])
def test_who_stands_still_before_an_ended_run_is_sealed_is_continued(
    host: Host, caretaker: Caretaker, recorded: bool
) -> None:
    folder, key = host.run("A_seed1", "finished")
    with stopped_holder(host, key, *([folder / "state.json"] if recorded else [])) as process:
        caretaker.look(host.workspace)
        assert process.wait(20) == 0
    caretaker.look(host.workspace)
    assert sealed_key(folder) == key


def test_the_supervisor_of_a_run_that_has_not_ended_is_left_stopped(host: Host, caretaker: Caretaker) -> None:
    folder, key = host.run("A_seed1", "running")
    with stopped_holder(host, key, folder / "state.json") as process:
        caretaker.look(host.workspace)
        assert psutil.Process(process.pid).status() == psutil.STATUS_STOPPED


def test_a_seal_that_fails_is_named_and_costs_no_other_run(host: Host, caretaker: Caretaker) -> None:
    broken, broken_key = host.run("A_seed1", "finished")
    (broken / "manifest.json").mkdir()
    (broken / "manifest.json" / "full").touch()
    intact, key = host.run("A_seed2", "finished")
    caretaker.look(host.workspace)
    assert sealed_key(intact) == key
    state = host.state("A_seed1")
    assert state["state"] == "finished" and str(state["reason"]).startswith("ended, not sealed: ")
    assert (host.workspace.jobs / broken_key).exists(), "it is tried again"
    (broken / "manifest.json" / "full").unlink()
    (broken / "manifest.json").rmdir()
    Caretaker().look(host.workspace)
    assert sealed_key(broken) == broken_key


def test_a_lost_run_is_left_as_it_is(host: Host, caretaker: Caretaker) -> None:
    folder, key = host.run("A_seed1", "running")
    caretaker.look(host.workspace)
    assert sealed_key(folder) is None and (host.workspace.jobs / key).exists()
    assert host.state("A_seed1")["state"] == "lost"


def test_an_interrupted_claim_is_discarded(host: Host, caretaker: Caretaker) -> None:
    key = uuid.uuid4().hex
    host.workspace.job(key).mkdir()
    staged = host.workspace.staged(host.workspace.run("experiment", "A_seed1"), key)
    staged.mkdir(parents=True)
    caretaker.look(host.workspace)
    assert not staged.exists() and not host.workspace.job(key).exists()


def test_a_run_that_was_replaced_before_it_was_sealed_leaves_no_manifest_in_the_next_one(
    host: Host, caretaker: Caretaker
) -> None:
    folder, _ = host.run("A_seed1", "finished", launch=False)
    host.state("A_seed1")
    folder.rename(folder.with_name("aside"))
    host.run("A_seed1", "queued", launch=False)
    caretaker.look(host.workspace)
    assert not (folder / "manifest.json").exists()
