"""The locks of the host's queue and of run folders: nobody waits without limit for a process that stands still."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from console.hosts.agent import process
from console.hosts.agent.locks import queue_locked, run_locked
from console.hosts.agent.workspace import LockHeld, Workspace
from console.hosts.remote.agent_client import AgentClient
from tests.console.hosts.conftest import FOLDER, Host, in_state, launch, states_when

HOLD = "import fcntl, sys; file = open(sys.argv[1], 'a'); fcntl.flock(file, fcntl.LOCK_EX); print('held', flush=True); input()"
HOLD_FOLDER = HOLD.replace("file = open(sys.argv[1], 'a')", "import os; file = os.open(sys.argv[1], os.O_RDONLY)")
HOLD_UNTIL_CONTINUED = HOLD.replace("input()", "import os; os.kill(os.getpid(), 19); file.close(); input()")
WAIT_FOR_EVER = "import time\nwhile True: time.sleep(60)"


@contextmanager
def holder(workspace: Workspace, code: str = HOLD, path: Path | None = None) -> Iterator[psutil.Process]:
    """Another process that holds the lock of the queue, or the one on ``path``."""
    workspace.prepare()
    command = [sys.executable, "-c", code, str(path or workspace.queue_lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        try:
            yield psutil.Process(other.pid)
        finally:
            other.kill()


def test_the_lock_is_waited_for(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.prepare()

    def take() -> None:
        with queue_locked(workspace):
            pass

    with ThreadPoolExecutor() as pool:
        with queue_locked(workspace):
            taking = pool.submit(take)
            with pytest.raises(TimeoutError):
                taking.result(0.2)
        taking.result(10)


def test_a_process_that_keeps_the_lock_is_named(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with holder(workspace) as other:
        named = rf"held for 0 s by python.* \({other.pid}\)"
        with pytest.raises(LockHeld, match=named), queue_locked(workspace, 0.1):
            pass
    with queue_locked(workspace):
        pass


def test_a_run_folder_is_locked_by_itself_so_that_deleting_what_is_in_it_frees_nothing(tmp_path: Path) -> None:
    run_folder = tmp_path / "runs" / "experiment" / "A_seed1"
    run_folder.mkdir(parents=True)
    with holder(Workspace(tmp_path), HOLD_FOLDER, run_folder) as other:
        shutil.rmtree(tmp_path / "jobs")
        named = rf"run A_seed1 has been held for 0 s by python.* \({other.pid}\)"
        with pytest.raises(LockHeld, match=named), run_locked(run_folder, 0.1):
            pass
    with run_locked(run_folder):
        assert list(run_folder.iterdir()) == [], "a full disk does not matter"
    run_folder.rmdir()
    with pytest.raises(FileNotFoundError), run_locked(run_folder):
        pass


def test_without_a_known_holder_the_wait_has_the_same_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "lock_holders", lambda _: [])
    workspace = Workspace(tmp_path)
    with holder(workspace), pytest.raises(LockHeld, match="by an unknown process"), queue_locked(workspace, 0.1):
        pass


def test_a_stopped_process_that_has_the_lock_is_continued(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with holder(workspace) as other:
        other.suspend()
        with pytest.raises(LockHeld, match=r"held for . s by"), queue_locked(workspace, 1.5):
            pass
        assert other.status() != psutil.STATUS_STOPPED


@pytest.mark.fault("a process stopped while it holds the queue", "it is continued; the launch that waited for it runs")
async def test_a_launch_runs_though_a_process_was_stopped_while_it_held_the_queue(
    link: AgentClient, host: Host
) -> None:
    request = {"key": uuid.uuid4().hex, "folder": FOLDER, "run": "A_seed1", "slots": 1, "argv": ["/bin/true"]}
    with holder(Workspace(host.workspace), HOLD_UNTIL_CONTINUED) as other:
        async with asyncio.timeout(10):
            while other.status() != psutil.STATUS_STOPPED:
                await asyncio.sleep(0.01)
        reply = await link.request("launch_all", requests=[request])
        assert reply["outcomes"][0]["new"]
    await states_when(link, in_state("A_seed1", "finished"))


@pytest.mark.fault("the supervisor of a queued run stopped", "the runs behind it start; it starts when it goes on")
async def test_a_queued_run_whose_supervisor_is_stopped_does_not_hold_up_the_queue(
    link: AgentClient, host: Host
) -> None:
    first = await launch(link, "A_seed1", WAIT_FOR_EVER)
    await states_when(link, in_state("A_seed1", "running"))
    await launch(link, "A_seed2", WAIT_FOR_EVER)
    states = await states_when(link, lambda states: bool(states.get("A_seed2", {}).get("supervisor")))
    stopped = psutil.Process(states["A_seed2"]["supervisor"]["pid"])
    with queue_locked(Workspace(host.workspace)):  # so that it does not hold it
        stopped.send_signal(signal.SIGSTOP)
    await launch(link, "A_seed3", "print('done')")
    await link.request("abort", key=first, by="the test")
    await states_when(link, in_state("A_seed3", "finished"))
    stopped.send_signal(signal.SIGCONT)
    states = await states_when(link, in_state("A_seed2", "running"))
    await link.request("abort", key=states["A_seed2"]["key"], by="the test")
