"""A supervisor or a job that stands still is found, and the processes of a lost run are counted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from console.hosts.agent import process
from console.hosts.agent.run_states import HeartbeatWatch, with_processes
from console.hosts.remote.agent_client import AgentClient
from tests.console.hosts.agent import odd_files
from tests.console.hosts.agent.odd_files import NOT_FILES, NOT_STATES
from tests.console.hosts.conftest import Host, in_state, launch, states_when

RUNNING: dict[str, Any] = {"state": "running", "key": "k", "supervisor": {"pid": 1}}


def test_a_run_whose_heartbeat_stands_still_is_lost_until_it_advances(monkeypatch: Any) -> None:
    now = 100.0
    monkeypatch.setattr("console.hosts.agent.run_states.time.monotonic", lambda: now)
    watch = HeartbeatWatch(stale=30.0)
    assert watch.judge({**RUNNING, "heartbeat": 1})["state"] == "running"
    now = 129.0
    assert watch.judge({**RUNNING, "heartbeat": 1})["state"] == "running"
    assert watch.judge({**RUNNING, "heartbeat": 2})["state"] == "running"
    now = 158.9
    assert watch.judge({**RUNNING, "heartbeat": 2})["state"] == "running"
    now = 159.1
    lost = watch.judge({**RUNNING, "heartbeat": 2})
    assert (lost["state"], lost["reason"]) == ("lost", "its supervisor stands still: no heartbeat for 30 s")
    assert lost["supervised"] is True, "it may be taken back"
    assert watch.judge({**RUNNING, "heartbeat": 3})["state"] == "running", "it moves again"


def test_a_run_that_ended_needs_no_heartbeat(monkeypatch: Any) -> None:
    now = 0.0
    monkeypatch.setattr("console.hosts.agent.run_states.time.monotonic", lambda: now)
    watch = HeartbeatWatch(stale=1.0)
    finished = {**RUNNING, "state": "finished"}
    watch.judge(finished)
    now = 100.0
    assert watch.judge(finished) == finished


@pytest.mark.fault("the job stopped by a signal", "the run is shown as stopped, until it continues")
async def test_a_job_that_a_signal_has_stopped_is_shown_as_that(link: AgentClient) -> None:
    key = await launch(link, "A_seed1", "import time; time.sleep(600)")
    states = await states_when(
        link, lambda states: in_state("A_seed1", "running")(states) and bool(states["A_seed1"].get("job"))
    )
    job = states["A_seed1"]["job"]["pid"]
    os.kill(job, signal.SIGSTOP)
    states = await states_when(link, lambda states: bool(states["A_seed1"].get("reason")))
    assert states["A_seed1"]["state"] == "running"
    assert states["A_seed1"]["reason"] == "stopped by a signal (SIGCONT continues it)"
    os.kill(job, signal.SIGCONT)
    await states_when(link, lambda states: not states["A_seed1"].get("reason"))
    os.kill(job, signal.SIGSTOP)
    assert (await link.request("abort", key=key, by="the test"))["state"] == "aborted", "also one that is stopped"


def test_a_lost_run_tells_how_many_of_its_processes_live(tmp_path: Path) -> None:
    other = uuid.uuid4().hex
    lost: dict[str, Any] = {"state": "lost", "key": uuid.uuid4().hex, "reason": "its supervisor is gone"}
    assert with_processes(tmp_path, lost) == {**lost, "processes": 0}
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={process.KEY_VARIABLE: other}
    ) as job:
        lost = {**lost, "key": other, "job": process.identity(job.pid)}
        assert with_processes(tmp_path, lost)["processes"] == 1
        job.communicate(b"\n")
    assert with_processes(tmp_path, lost)["processes"] == 0


SLEEP = "import time; time.sleep(600)"
ODD: dict[str, Callable[[Path], None]] = {
    "missing": lambda path: None,
    **{name: NOT_FILES[name] for name in ("a folder", "a FIFO", "a symlink")},
    **{name: NOT_STATES[name] for name in ("empty", "{}", "key null", "state null")},
}


@pytest.mark.fault(
    "the state file of a running run: missing, garbage, a folder, a FIFO; its supervisor killed",
    "the run is lost under its key, the file is named, no second job starts, abort ends the first",
)
@pytest.mark.parametrize("odd", ODD)
async def test_no_second_job_starts_beside_one_whose_state_cannot_be_read(
    link: AgentClient, host: Host, odd: str
) -> None:
    key = await launch(link, "A_seed1", SLEEP)
    running = await states_when(
        link, lambda states: in_state("A_seed1", "running")(states) and bool(states["A_seed1"].get("job"))
    )
    supervisor, job = (psutil.Process(running["A_seed1"][name]["pid"]) for name in ("supervisor", "job"))
    supervisor.kill()
    psutil.wait_procs([supervisor], timeout=10)
    odd_files.replace(host.run_folder / "A_seed1" / "state.json", ODD[odd])
    other = await launch(link, "B_seed1", SLEEP)
    states = await states_when(link, in_state("B_seed1", "running", "queued"))
    lost = states["A_seed1"]
    assert (lost["state"], lost["key"], lost["processes"]) == ("lost", key, 1) and "state.json" in lost["reason"]
    assert await launch(link, "A_seed1", SLEEP) == key, "it is active"
    assert job.is_running()
    assert (await link.request("abort", key=key, by="the test"))["state"] == "aborted"
    psutil.wait_procs([job], timeout=10)
    assert not psutil.pid_exists(job.pid) or job.status() == psutil.STATUS_ZOMBIE
    again = await launch(link, "A_seed1", SLEEP)
    assert again != key, "nothing of it is left"
    await states_when(link, in_state("A_seed1", "running", "queued"))
    for one in (again, other):
        await link.request("abort", key=one, by="the test")


async def test_a_supervisor_writes_a_broken_state_again(link: AgentClient, host: Host) -> None:
    key = await launch(link, "A_seed1", SLEEP)
    await states_when(link, in_state("A_seed1", "running"))
    odd_files.replace(host.run_folder / "A_seed1" / "state.json", NOT_STATES["NUL bytes"])
    await states_when(link, in_state("A_seed1", "running"))
    assert (await link.request("abort", key=key, by="the test"))["state"] == "aborted"
