"""The supervisor inside an allocation, started by hand: it needs no Slurm to be told that it is over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.hosts.agent import job_processes, notify
from console.hosts.agent.claims import Claim, claim
from console.hosts.agent.workspace import Workspace, read_json, write_json
from console.hosts.remote.agent_package import agent_file
from engine.contract.file_lock import is_locked
from tests.console.notify_server import notify_server
from tests.console.waiting import until


class Allocation:
    """A claimed run, and the command that Slurm would run for it."""

    def __init__(self, folder: Path) -> None:
        self.workspace = Workspace(folder / "host")
        self.agent = folder / "agent.pyz"
        self.agent.write_bytes(agent_file()[0])
        self.run_folder = self.workspace.run("experiment", "A_seed1")
        self.key = uuid.uuid4().hex

    def claim(self, code: str) -> None:
        argv = [sys.executable, "-c", code]
        engine = [sys.executable, "-I", "-m", "engine.cli", "notify"]
        request = {"key": self.key, "folder": "experiment", "run": "A_seed1", "argv": argv, "slurm": {}}
        request["notify"] = {"command": engine, "host": "the cluster"}
        made = claim(self.workspace, request)
        assert isinstance(made, Claim)
        made.release()

    def begin(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(self.agent), "supervise-allocation", str(self.workspace.root), self.key]
        return subprocess.Popen(command, stderr=subprocess.PIPE)

    def state(self) -> dict[str, Any]:
        return read_json(self.run_folder / "state.json") or {}

    def running(self) -> dict[str, Any]:
        """The state once the job runs."""
        until(lambda: self.state()["state"] == "running" and bool(self.state().get("job")))
        return self.state()


@pytest.fixture
def allocation(tmp_path: Path) -> Iterator[Allocation]:
    made = Allocation(tmp_path)
    yield made
    job_processes.terminate_job(made.key, None, None, 0.0)


@pytest.mark.parametrize(
    "handler", ["", "signal.signal(signal.SIGTERM, lambda *_: exit(0))\n"], ids=["dies", "exits with 0"]
)
def test_a_job_that_slurm_ends_before_its_supervisor_has_failed(allocation: Allocation, handler: str) -> None:
    """Slurm signals the processes of an allocation one after the other."""
    allocation.claim(f"import signal, time\n{handler}open('ready', 'w')\ntime.sleep(600)")
    with allocation.begin() as supervisor:
        until((allocation.workspace.root / "ready").exists)
        job = allocation.running()["job"]["pid"]
        os.kill(job, signal.SIGTERM)
        until(lambda: not Path(f"/proc/{job}").exists())  # the supervisor knows
        os.kill(supervisor.pid, signal.SIGTERM)
    assert (allocation.state()["state"], allocation.state()["reason"]) == ("failed", "Slurm ended it: terminated")


def test_a_second_slurm_job_of_an_ended_run_changes_nothing(allocation: Allocation) -> None:
    allocation.claim("open('started', 'a').write('x')")
    for _ in range(2):
        with allocation.begin() as supervisor:
            _, said = supervisor.communicate()
        assert supervisor.returncode == 0
    assert b"nothing to do" in said
    assert (allocation.workspace.root / "started").read_text() == "x"


def test_a_slurm_job_of_a_replaced_launch_changes_nothing(allocation: Allocation) -> None:
    allocation.claim("open('started', 'a').write('x')")
    write_json(allocation.run_folder / "state.json", {**allocation.state(), "state": "lost"})
    old, allocation.key = allocation.key, uuid.uuid4().hex
    allocation.claim("")
    allocation.key = old
    with allocation.begin() as supervisor:
        _, said = supervisor.communicate()
    assert b"nothing to do" in said
    assert not (allocation.workspace.root / "started").exists()


def test_an_allocation_waits_for_its_message_but_nobody_for_the_allocation(allocation: Allocation) -> None:
    with notify_server() as service:
        notify.keep_urls(allocation.workspace, [service.url("hangs")])
        allocation.claim("")
        supervisor = allocation.begin()
        until(lambda: service.got)
        lock = allocation.workspace.job(allocation.key) / "lock"
        until(lambda: not is_locked(lock))
        assert supervisor.poll() is None, "Slurm would end the sender with it"
        assert (allocation.run_folder / "manifest.json").exists()
        service.released.set()
        assert supervisor.wait(60) == 0
    (message,) = notify.log(allocation.workspace, {})["messages"]
    assert message["text"] == "A/1 finished"
