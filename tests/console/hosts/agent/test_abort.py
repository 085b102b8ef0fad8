"""Abort by the key alone: whoever has died, whatever files were lost, however full the disk is."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from console.hosts.agent import process
from console.hosts.agent.abort import abort
from console.hosts.agent.workspace import Refused, Workspace, read_json, write_json
from console.hosts.remote.agent_client import AgentClient, AgentRefused
from tests.conftest import Fault
from tests.console.hosts.conftest import FOLDER, Host, in_state, launch, states_when
from tests.console.hosts.small_disk import fill

RUN = "A_seed1"
SLEEP = "import time\nprint('ready', flush=True)\nwhile True: time.sleep(60)"
# each child: an empty environment, a session of its own, an orphan, no file of the run open, and it ignores SIGTERM
ESCAPING = """
import pathlib, subprocess, sys, time
child = "import os, signal, time; signal.signal(15, signal.SIG_IGN); open(str(os.getpid()), 'w'); time.sleep(600)"
between = f'''import subprocess, sys
for _ in range(int(sys.argv[1])):
    subprocess.Popen([sys.executable, "-S", "-E", "-c", {child!r}], env={{}}, start_new_session=True)'''
folder = pathlib.Path("children")
folder.mkdir()
for count in %s:
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([sys.executable, "-S", "-c", between, str(count)], env={}, cwd=folder, **quiet)
time.sleep(600)
"""


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


async def launched(link: AgentClient, host: Host, code: str = SLEEP) -> tuple[str, dict[str, Any]]:
    """Key and state of a run whose job has written to its log, or made a folder."""
    key = await launch(link, RUN, code)
    states = await states_when(link, lambda states: in_state(RUN, "running")(states) and bool(states[RUN].get("job")))
    log = host.run_folder / RUN / "log.txt"
    await until(lambda: log.read_text() != "" or (host.workspace / "children").exists())
    return key, states[RUN]


def kill_supervisor(state: dict[str, Any]) -> None:
    """Kill the supervisor alone, and wait until it is gone."""
    supervisor = psutil.Process(state["supervisor"]["pid"])
    supervisor.kill()
    psutil.wait_procs([supervisor], timeout=10)


def living(pids: set[int]) -> set[int]:
    return {pid for pid in pids if (stat := process.read_stat(pid)) is not None and stat.living}


def recorded(host: Host) -> dict[str, Any]:
    return read_json(host.run_folder / RUN / "state.json") or {}


@pytest.mark.fault(
    "supervisor killed alone, 201 children with an empty environment in own sessions", "all are ended, or named"
)
async def test_children_that_nothing_marks_are_ended_after_their_supervisor_was_killed(
    link: AgentClient, host: Host, fault: Fault
) -> None:
    count = fault.size(60, 201)
    key, state = await launched(link, host, ESCAPING % [*[10] * (count // 10), count % 10])
    children = host.workspace / "children"
    await until(lambda: len(list(children.iterdir())) == count)
    pids = {int(child.name) for child in children.iterdir()}
    assert living(pids) == pids
    kill_supervisor(state)
    await states_when(link, in_state(RUN, "lost"))
    ended = await link.request("abort", key=key, by="the test")
    assert ended["state"] == "aborted"
    assert ended["reason"] == f"aborted by the test; its supervisor was gone; {count + 1} processes ended"
    assert not living(pids | {state["job"]["pid"]})
    assert recorded(host)["reason"] == ended["reason"]


@pytest.mark.fault("SIGTERM to a supervisor", "the run is aborted, with all its processes")
async def test_sigterm_to_a_supervisor_is_a_request_to_abort(link: AgentClient, host: Host) -> None:
    _, state = await launched(link, host)
    os.kill(state["supervisor"]["pid"], signal.SIGTERM)
    states = await states_when(link, in_state(RUN, "aborted"))
    assert states[RUN]["reason"] == "aborted by SIGTERM to its supervisor"
    assert not living({state["job"]["pid"]})


LOSSES: dict[str, Callable[[Host, str], object]] = {
    "the folder jobs": lambda host, key: shutil.rmtree(host.workspace / "jobs"),
    "the job's lock": lambda host, key: (host.workspace / "jobs" / key / "lock").unlink(),
    "job.json": lambda host, key: (host.workspace / "jobs" / key / "job.json").unlink(),
}


@pytest.mark.fault("files of a job deleted while it runs", "abort ends it all the same")
@pytest.mark.parametrize("supervised", [True, False], ids=["supervised", "supervisor killed"])
@pytest.mark.parametrize("lost", LOSSES)
async def test_an_abort_needs_no_file_of_the_job(link: AgentClient, host: Host, lost: str, supervised: bool) -> None:
    key, state = await launched(link, host)
    if not supervised:
        kill_supervisor(state)
    LOSSES[lost](host, key)
    ended = await link.request("abort", key=key, by="the test")
    assert ended["state"] == recorded(host)["state"] == "aborted"
    assert not living({state["job"]["pid"]})
    await until(lambda: not process.alive(state["supervisor"]))  # it may still have sealed the run


@pytest.mark.fault(
    "run folder moved away and back", "abort ends the run while it is away, and records that once it is back"
)
@pytest.mark.parametrize("supervised", [True, False], ids=["supervised", "supervisor killed"])
async def test_a_run_whose_folder_was_moved_away_and_back_is_aborted(
    link: AgentClient, host: Host, supervised: bool
) -> None:
    key, state = await launched(link, host)
    (host.run_folder / RUN).rename(host.workspace / "away")
    if not supervised:
        kill_supervisor(state)
    ended = await link.request("abort", key=key, by="the test")
    assert not living({state["supervisor"]["pid"], state["job"]["pid"]})
    assert (ended["state"], ended["key"]) == ("aborted", key)
    assert "not recorded: its run folder is gone" in ended["reason"]
    (host.workspace / "away").rename(host.run_folder / RUN)
    ended = await link.request("abort", key=key, by="the test")
    assert ended["state"] == recorded(host)["state"] == "aborted"


@pytest.mark.parametrize("deadly", [False, True], ids=["stopped", "cannot be woken"])
@pytest.mark.fault("a supervisor that stands still", "abort ends the run")
async def test_a_supervisor_that_stands_still_is_woken_or_killed(
    link: AgentClient, host: Host, deadly: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, state = await launched(link, host)
    os.kill(state["supervisor"]["pid"], signal.SIGSTOP)
    if not deadly:
        ended = await link.request("abort", key=key, by="the test")
        assert ended["reason"] == "aborted by the test", "its supervisor ended it"
    else:
        monkeypatch.setattr("console.hosts.agent.abort.KILL_AFTER_S", 0.3)
        send = process.send_signal

        def kill_only(identity: dict[str, Any] | None, number: int) -> bool:
            deaf = identity == state["supervisor"] and number != signal.SIGKILL
            return not deaf and send(identity, number)

        with monkeypatch.context() as patched:
            patched.setattr(process, "send_signal", kill_only)
            ended = await asyncio.to_thread(abort, Workspace(host.workspace), {"key": key, "by": "the test"})
        assert ended["reason"] == "aborted by the test; its supervisor was gone; 1 process ended"
    assert ended["state"] == recorded(host)["state"] == "aborted"
    assert not living({state["job"]["pid"]})
    await until(lambda: not process.alive(state["supervisor"]))


async def test_what_an_ended_run_has_left_behind_is_ended_too(link: AgentClient, host: Host) -> None:
    key, state = await launched(link, host)
    kill_supervisor(state)
    write_json(host.run_folder / RUN / "state.json", {**state, "state": "failed", "reason": "no data"})
    ended = await link.request("abort", key=key, by="the test")
    assert (ended["state"], ended["reason"]) == ("failed", "no data; 1 process ended")
    assert not living({state["job"]["pid"]})


async def test_a_run_that_has_ended_stays_as_it_is(link: AgentClient, host: Host) -> None:
    key = await launch(link, RUN, "print('done')")
    states = await states_when(link, in_state(RUN, "finished"))
    assert await link.request("abort", key=key, by="the test") == states[RUN]
    with pytest.raises(AgentRefused, match="no run was launched with key"):
        await link.request("abort", key="f" * 32, by="the test")


async def test_a_launch_whose_folder_another_one_has_is_ended_by_its_key(link: AgentClient, host: Host) -> None:
    key, state = await launched(link, host)
    kill_supervisor(state)
    other = {**state, "key": "f" * 32, "state": "finished", "job": None, "supervisor": None}
    write_json(host.run_folder / RUN / "state.json", other)
    ended = await link.request("abort", key=key, by="the test")
    assert ended["reason"] == "aborted by the test; 1 process ended; not recorded: that launch was replaced by another"
    assert not living({state["job"]["pid"]})
    assert recorded(host) == other, "nothing is written to what is another launch's"
    with pytest.raises(AgentRefused, match="replaced by another"):
        await link.request("abort", key=key, by="the test")


@pytest.mark.fault("the host's disk is full when a run is aborted", "it ends, and that is recorded once there is room")
@pytest.mark.parametrize("supervised", [True, False], ids=["supervised", "supervisor killed"])
async def test_an_abort_needs_no_room_on_the_disk(small_disk: Path, supervised: bool) -> None:
    host = Host(small_disk / "host")
    async with host.open_connection() as (_, link):
        key, state = await launched(link, host)
        if not supervised:
            kill_supervisor(state)
        filler = fill(small_disk)
        ended = await link.request("abort", key=key, by="the test")
        assert not living({state["job"]["pid"]})
        assert ended["state"] == "aborted"
        assert ended["reason"].startswith("aborted by the test")
        assert f"not recorded yet: the disk at {small_disk} is full" in ended["reason"]
        filler.unlink()
        states = await states_when(link, in_state(RUN, "aborted"))
        assert states[RUN]["reason"].startswith("aborted by ")
        await until((host.run_folder / RUN / "manifest.json").exists)


@pytest.mark.fault("the state file of a lost run is damaged while its job runs", "it is reported, and abort ends it")
@pytest.mark.parametrize("content", ["", "{}", '{"state": "running", "key": null}', "missing"])
async def test_a_lost_run_whose_state_cannot_be_read_is_aborted(link: AgentClient, host: Host, content: str) -> None:
    _, state = await launched(link, host)
    kill_supervisor(state)
    path = host.run_folder / RUN / "state.json"
    path.unlink() if content == "missing" else path.write_text(content)
    if content != "missing":
        states = await states_when(link, lambda states: states[RUN].get("processes") == 1)
        assert states[RUN]["state"] == "lost"
    ended = await link.request("abort", key="", folder=FOLDER, run=RUN, by="the test")
    assert (ended["state"], ended["reason"]) == ("aborted", "aborted by the test; 1 process ended")
    assert not living({state["job"]["pid"]})
    states = await states_when(link, in_state(RUN, "aborted"))
    assert states[RUN]["key"] == state["key"]
    with pytest.raises(AgentRefused, match="nothing of this run is left to abort"):
        await link.request("abort", key="", folder=FOLDER, run="A_seed2", by="the test")


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    with pytest.raises(Refused, match="no run was launched"):
        abort(workspace, {"key": "a" * 32})
