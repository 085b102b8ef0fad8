"""Launch, queue, abort and loss of runs, over real SSH, with real processes."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import psutil
import pytest

from console.hosts.agent import job_processes, process, run_states
from console.hosts.agent.abort import abort
from console.hosts.agent.workspace import Workspace, write_json
from console.hosts.remote.agent_client import AgentClient, AgentRefused
from engine.contract import manifest
from engine.contract.run_folder import size_and_sha256
from engine.contract.state import decode as decode_state
from tests.console.hosts.conftest import FOLDER, Host, in_state, launch, states_when

pytestmark = pytest.mark.every_host

WAIT_FOR_EVER = "import time\nwhile True: time.sleep(60)"


def processes_of(key: str) -> list[int]:
    """Living processes that carry the job's mark."""
    return [identity["pid"] for identity in job_processes.job_processes(key, None, None)]


async def test_a_run_finishes_and_is_sealed(link: AgentClient, host: Host) -> None:
    key = await launch(link, "A_seed1", "print('hello')")
    states = await states_when(link, in_state("A_seed1", "finished", "failed"))
    assert states["A_seed1"]["state"] == "finished"
    folder = host.run_folder / "A_seed1"
    async with asyncio.timeout(10):
        while not (folder / "manifest.json").exists():
            await asyncio.sleep(0.01)
    sealed = manifest.decode((folder / "manifest.json").read_bytes())
    assert sealed.key == key
    assert {entry.path for entry in sealed.files} == {"exit.json", "log.txt", "state.json"}
    assert all(size_and_sha256(folder / entry.path)[1] == entry.sha256 for entry in sealed.files)
    assert (folder / "log.txt").read_text() == "hello\n"


async def test_the_state_file_fits_the_contract(link: AgentClient, host: Host) -> None:
    key = await launch(link, "A_seed1", "raise SystemExit('no data')")
    await states_when(link, in_state("A_seed1", "failed"))
    state = decode_state((host.run_folder / "A_seed1" / "state.json").read_bytes())
    assert (state.state, state.key, state.exit_code, state.reason) == ("failed", key, 1, "no data")
    assert state.supervisor and state.job and state.supervisor.pid != state.job.pid


async def test_a_job_killed_by_a_signal_has_its_name_as_reason(link: AgentClient) -> None:
    await launch(link, "A_seed1", "import os; os.kill(os.getpid(), 9)")
    states = await states_when(link, in_state("A_seed1", "failed"))
    assert states["A_seed1"]["reason"] == "killed by SIGKILL"
    assert states["A_seed1"]["exit_code"] == -9


@pytest.mark.fault("40 launches at once with one key", "exactly one run")
async def test_forty_launches_at_once_with_one_key_start_one_run(link: AgentClient, host: Host) -> None:
    key = uuid.uuid4().hex
    code = "import os, pathlib; pathlib.Path('started').open('a').write('x')"
    keys = await asyncio.gather(*(launch(link, "A_seed1", code, key=key) for _ in range(40)))
    assert set(keys) == {key}
    await states_when(link, in_state("A_seed1", "finished"))
    assert (host.workspace / "started").read_text() == "x"


async def test_an_active_run_is_not_launched_again_under_another_key(link: AgentClient) -> None:
    first = await launch(link, "A_seed1", WAIT_FOR_EVER)
    assert await launch(link, "A_seed1", "") == first
    await link.request("abort", key=first, by="the test")


async def test_an_ended_run_is_set_aside_by_the_next_launch(link: AgentClient, host: Host) -> None:
    first = await launch(link, "A_seed1", "print('one')")
    await states_when(link, in_state("A_seed1", "finished"))
    second = await launch(link, "A_seed1", "print('two')")
    await states_when(
        link, lambda states: states["A_seed1"]["key"] == second and states["A_seed1"]["state"] == "finished"
    )
    log = (host.run_folder / "A_seed1" / "log.txt").read_text()
    assert log.endswith("two\n") and "one" not in log, "Slurm may say above it that it started the job again by itself"
    assert (host.run_folder / ".previous" / f"A_seed1-{first}" / "log.txt").read_text() == "one\n"


async def test_one_slot_runs_in_the_order_of_launch(link: AgentClient, host: Host) -> None:
    runs = [f"A_seed{number}" for number in range(4)]
    for run in runs:
        await launch(link, run, f"open('order', 'a').write('{run} ')")
    await states_when(link, lambda states: all(state["state"] == "finished" for state in states.values()))
    assert (host.workspace / "order").read_text().split() == runs


async def test_two_slots_run_two_at_a_time(link: AgentClient) -> None:
    keys = [await launch(link, f"A_seed{number}", WAIT_FOR_EVER, slots=2) for number in range(3)]
    states = await states_when(
        link, lambda states: [state["state"] for state in states.values()].count("running") == 2 and len(states) == 3
    )
    assert [states[run]["state"] for run in sorted(states)] == ["running", "running", "queued"]
    for key in reversed(keys):
        await link.request("abort", key=key, by="the test")


@pytest.mark.fault("a job that ignores TERM, with a setsid grandchild", "gone within 20 s")
async def test_abort_ends_a_job_that_ignores_term_with_its_setsid_grandchild(link: AgentClient) -> None:
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = [sys.executable, '-c', 'import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)']\n"
        "subprocess.Popen(child, start_new_session=True, env={})\n"  # not even its mark is left
        "print('ready', flush=True)\n"
        "time.sleep(600)"
    )
    key = await launch(link, "A_seed1", code)
    following = await launch(link, "A_seed2", "print('next')")
    states = await states_when(link, in_state("A_seed1", "running"))
    supervisor = psutil.Process(states["A_seed1"]["supervisor"]["pid"])
    async with asyncio.timeout(10):
        while len(family := supervisor.children(recursive=True)) < 2:
            await asyncio.sleep(0.02)
    state = await link.request("abort", key=key, by="the test")
    assert (state["state"], state["reason"]) == ("aborted", "aborted by the test")
    assert not [member for member in family if member.is_running() and member.status() != psutil.STATUS_ZOMBIE]
    states = await states_when(link, in_state("A_seed2", "finished"))
    assert states["A_seed2"]["key"] == following


async def test_a_queued_run_that_is_aborted_never_starts(link: AgentClient, host: Host) -> None:
    first = await launch(link, "A_seed1", WAIT_FOR_EVER)
    second = await launch(link, "A_seed2", "open('started', 'w')")
    await states_when(link, in_state("A_seed1", "running"))
    state = await link.request("abort", key=second, by="the test")
    assert state["state"] == "aborted"
    await link.request("abort", key=first, by="the test")
    assert not (host.workspace / "started").exists()


async def test_runs_survive_the_link_and_the_ssh_server(host: Host) -> None:
    code = "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.02)"
    async with host.open_connection() as (_, link):
        await launch(link, "A_seed1", code)
        await launch(link, "A_seed2", "print('second')")
        await states_when(link, in_state("A_seed1", "running"))
    (host.workspace / "go").touch()
    async with host.open_connection() as (_, link):
        states = await states_when(link, lambda states: all(state["state"] == "finished" for state in states.values()))
    assert set(states) == {"A_seed1", "A_seed2"}


@pytest.mark.fault("supervisor killed", "lost; no signal ever sent to a stranger")
async def test_a_run_whose_supervisor_was_killed_is_lost_and_can_be_aborted(link: AgentClient) -> None:
    key = await launch(link, "A_seed1", WAIT_FOR_EVER)
    states = await states_when(
        link, lambda states: in_state("A_seed1", "running")(states) and bool(states["A_seed1"].get("job"))
    )
    os.kill(states["A_seed1"]["supervisor"]["pid"], signal.SIGKILL)
    states = await states_when(link, in_state("A_seed1", "lost"))
    assert states["A_seed1"]["reason"] == "its supervisor is gone; its job still runs"
    assert processes_of(key)
    assert await launch(link, "A_seed1", "") == key, "what still runs is not launched over"
    state = await link.request("abort", key=key, by="the test")
    assert state["state"] == "aborted"
    assert not processes_of(key)


@pytest.mark.parametrize(
    ("field", "value"),
    [("key", "../../etc"), ("key", "A" * 32), ("folder", ".."), ("run", "a/b"), ("run", "-rf"), ("run", "a\nb")],
)
async def test_names_that_could_lead_out_of_the_workspace_are_refused(
    link: AgentClient, field: str, value: str
) -> None:
    request: dict[str, Any] = {
        "key": uuid.uuid4().hex,
        "folder": FOLDER,
        "run": "A_seed1",
        "argv": ["true"],
        field: value,
    }
    with pytest.raises(AgentRefused, match="not a"):
        await link.request("launch", **request)


async def test_a_supervisor_whose_run_was_deleted_ends(link: AgentClient, host: Host) -> None:
    await launch(link, "A_seed1", "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.02)")
    states = await states_when(link, lambda states: bool(states.get("A_seed1", {}).get("job")))
    supervisor = psutil.Process(states["A_seed1"]["supervisor"]["pid"])
    shutil.rmtree(host.run_folder)
    (host.workspace / "go").touch()
    async with asyncio.timeout(20):
        while supervisor.is_running() and supervisor.status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.05)
    assert not host.run_folder.exists(), "nothing of it is made again"


async def test_a_job_that_cannot_start_has_failed(link: AgentClient) -> None:
    await link.request("launch", key=uuid.uuid4().hex, folder=FOLDER, run="A_seed1", argv=["/nowhere/python"])
    states = await states_when(link, in_state("A_seed1", "failed"))
    assert "did not start" in states["A_seed1"]["reason"]


async def test_a_supervisor_logs_no_error(link: AgentClient, host: Host) -> None:
    key = await launch(link, "A_seed1", "print()")
    await states_when(link, in_state("A_seed1", "finished"))
    log = host.workspace / "ended" / key / "supervisor.log"
    async with asyncio.timeout(10):
        while not log.exists():
            await asyncio.sleep(0.01)
    assert log.read_text() == ""


@pytest.mark.fault("boot id changed", "lost; no signal ever sent to a stranger")
def test_a_run_from_before_a_reboot_is_lost_and_its_pids_are_left_alone(tmp_path: Path) -> None:
    """A process of ours now has the pid that the run's supervisor and job had before the reboot."""
    workspace = Workspace(tmp_path)
    workspace.prepare()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        before = {**process.identity(stranger.pid), "boot": "another boot"}
        run_folder, key = workspace.run("experiment", "A_seed1"), "0" * 32
        run_folder.mkdir(parents=True)
        workspace.job(key).mkdir()
        (workspace.job(key) / "lock").touch()
        write_json(run_folder / "state.json", {"state": "running", "key": key, "supervisor": before, "job": before})
        write_json(
            workspace.job(key) / "job.json", {"key": key, "run_folder": str(run_folder), "ticket": 1, "slots": 1}
        )
        state = run_states.current_states(workspace, "experiment")["A_seed1"]
        assert (state["state"], state["reason"]) == ("lost", "the host was rebooted")
        assert abort(workspace, {"key": key, "by": "the test"})["state"] == "aborted"
        assert stranger.poll() is None, "the stranger lives"
        stranger.communicate(b"\n")


@pytest.mark.fault("pid recycled", "lost; no signal ever sent to a stranger")
def test_another_process_with_a_recycled_pid_is_not_signalled() -> None:
    me = process.identity(os.getpid())
    assert process.alive(me)
    for stranger in ({**me, "start": me["start"] - 1}, {**me, "boot": "another"}):
        assert not process.alive(stranger)
        assert not process.send_signal(stranger, signal.SIGKILL)
    assert not process.alive(None)
