"""Runs through a real Slurm: launched once, one by one or as an array, and aborted. What all hosts promise: ``test_jobs``."""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from pathlib import Path

import pytest

from console.hosts.agent.claims import Claim, claim
from console.hosts.agent.workspace import Workspace
from console.hosts.host_config import HostConfig, SlurmSettings
from console.hosts.remote.agent_client import AgentClient, AgentRefused
from console.hosts.remote.launch_request import launch_request
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId, resolve
from engine.contract.toml_file import find_config
from tests.console.hosts.conftest import FOLDER, Host, in_state, states_when
from tests.console.hosts.slurm import Slurm
from tests.console.hosts.slurm_runs import (
    ONE_AT_A_TIME,
    WAIT_FOR_GO_FILE,
    WAIT_FOREVER,
    jobs_with_comment,
    launch,
    python_job,
    state_when,
    until,
)

pytestmark = pytest.mark.on_slurm


async def test_the_settings_of_a_host_reach_slurm(link: AgentClient, slurm: Slurm) -> None:
    settings = SlurmSettings("main", "physics", "gpu:1", "02:00:00", cpus=3, memory="100M", constraint="fast|new")
    host = HostConfig("cluster", "slurm", slurm=settings)
    wanted = resolve(read_experiment(find_config("scaling.toml")), "smoke", RunId("A", 42))
    request = launch_request(host, ("python3",), wanted, FOLDER, "", uuid.uuid4().hex, strict=False)
    assert request["slurm"]["array"] == "A"
    assert request["restart"] == {"checkpoint": "checkpoint.json", "argv": ["--resume"]}
    await link.request("launch", **{**request, "argv": ["python3", "-c", WAIT_FOREVER]})
    await states_when(link, in_state("A_seed42", "running"))
    ((job, _),) = jobs_with_comment(slurm, request["key"])
    shown = slurm.command("scontrol", "show", "job", job).split()
    expected = ["JobName=qllm-A_seed42", "Partition=main", "Account=physics", "TresPerNode=gres:gpu:1"]
    expected += ["TimeLimit=02:00:00", "NumCPUs=3", "MinMemoryNode=100M", "Requeue=1", "Features=fast|new"]
    assert [word for word in expected if word not in shown] == []


async def test_forty_launches_at_once_with_one_key_are_one_job(link: AgentClient, slurm: Slurm) -> None:
    request = python_job("A_seed1", WAIT_FOREVER)
    replies = await asyncio.gather(*(link.request("launch", **request) for _ in range(40)))
    assert sorted(reply["new"] for reply in replies) == [False] * 39 + [True]
    assert len(jobs_with_comment(slurm, request["key"])) == 1


async def test_a_launch_interrupted_before_submission_is_continued(link: AgentClient, host: Host, slurm: Slurm) -> None:
    request = python_job("A_seed1", "")
    made = claim(Workspace(host.workspace), request)
    assert isinstance(made, Claim)
    made.release()  # as the death of an agent does
    state = await state_when(link, "A_seed1", lambda state: state["state"] == "lost")
    assert state["reason"] == "it was never submitted to Slurm"
    assert (await link.request("launch", **request))["new"]
    await states_when(link, in_state("A_seed1", "finished"))
    assert len(jobs_with_comment(slurm, request["key"])) == 1


async def test_a_launch_interrupted_after_submission_is_found_by_its_key(
    link: AgentClient, host: Host, slurm: Slurm
) -> None:
    request = python_job("A_seed1", WAIT_FOREVER)
    await link.request("launch", **request)
    await states_when(link, in_state("A_seed1", "running"))
    (host.workspace / "jobs" / request["key"] / "slurm.json").unlink()
    request = {**request, "argv": ["false"]}
    ((job, _),) = jobs_with_comment(slurm, request["key"])
    slurm.command("scontrol", "requeue", job)  # nobody supervises it now: only Slurm can tell
    await states_when(link, in_state("A_seed1", "queued"))
    await until(lambda: [state for _, state in jobs_with_comment(slurm, request["key"])] == ["PENDING"])
    again = {"new": False, "key": request["key"], "state": "queued"}
    assert await link.request("launch", **request) == again
    assert [its_job for its_job, _ in jobs_with_comment(slurm, request["key"])] == [job]


async def test_a_launch_that_slurm_rejects_leaves_no_claim(link: AgentClient, host: Host) -> None:
    before = await launch(link, "A_seed1", "")
    await states_when(link, in_state("A_seed1", "finished"))
    request = python_job("A_seed1", "", slurm={"partition": "nowhere"})
    with pytest.raises(AgentRefused, match="Slurm rejects it: invalid partition specified: nowhere"):
        await link.request("launch", **request)
    state = await state_when(link, "A_seed1", lambda _: True)
    assert (state["key"], state["state"]) == (before, "finished"), "the run before stands in its place"
    assert (await link.request("launch", **{**request, "slurm": {}}))["new"], "the key is as good as new"


async def test_a_waiting_run_has_a_reason_and_is_aborted_without_starting(
    link: AgentClient, host: Host, slurm: Slurm
) -> None:
    first = await launch(link, "A_seed1", WAIT_FOR_GO_FILE, slurm=ONE_AT_A_TIME)
    second = await launch(link, "A_seed2", "open('started', 'w')", slurm=ONE_AT_A_TIME)
    # right after the submission Slurm has no reason yet
    state = await state_when(link, "A_seed2", lambda state: "queue: " in state.get("reason", ""))
    assert state["state"] == "queued"
    known = ("Resources (no node has what it needs free)", "Priority (other jobs come first)")
    assert state["reason"] in [f"waits in Slurm's queue: {reason}" for reason in known]
    state = await link.request("abort", key=second, by="the test")
    assert (state["state"], state["reason"]) == ("aborted", "aborted by the test")
    assert [state for _, state in jobs_with_comment(slurm, second)] == ["CANCELLED"]
    assert (host.run_folder / "A_seed2" / "manifest.json").exists()
    (host.workspace / "go").touch()
    state = await state_when(link, "A_seed1", lambda state: state["state"] == "finished")
    assert state["key"] == first
    assert not (host.workspace / "started").exists()


async def test_the_seeds_of_a_condition_are_one_array_and_one_of_them_can_be_aborted(
    link: AgentClient, host: Host, slurm: Slurm
) -> None:
    array = {"gres": "gpu:1", "array": "A"}
    runs = [f"A_seed{number}" for number in range(4)]
    requests = [python_job(run, f"open('{run}', 'w')\n{WAIT_FOR_GO_FILE}", slurm=array) for run in runs]
    refused = python_job("../A_seed4", "", slurm=array)
    (*outcomes, said) = (await link.request("launch_all", requests=[*requests, refused]))["outcomes"]
    assert outcomes == [{"new": True, "key": request["key"], "state": "queued"} for request in requests]
    assert list(said) == ["refused"] and "not a run name" in said["refused"]
    await states_when(link, lambda states: all(in_state(run, "running")(states) for run in runs[:2]))
    jobs = slurm.queue()
    comment = next(comment for _, state, comment in jobs if state == "PENDING")
    number = jobs_with_comment(slurm, comment)[0][0].partition("_")[0]
    began = ["RUNNING", "RUNNING", "PENDING", "PENDING"]
    assert sorted(jobs_with_comment(slurm, comment)) == [
        (f"{number}_{index}", state) for index, state in enumerate(began)
    ]
    for waiting_or_running in (3, 0):
        state = await link.request("abort", key=requests[waiting_or_running]["key"], by="the test")
        assert state["state"] == "aborted"
    await states_when(link, in_state(runs[2], "running"))
    (host.workspace / "go").touch()
    end = await states_when(link, lambda states: not any(in_state(run, "queued", "running")(states) for run in runs))
    assert [end[run]["state"] for run in runs] == ["aborted", "finished", "finished", "aborted"]
    assert not (host.workspace / runs[3]).exists()
    again = (await link.request("launch_all", requests=requests))["outcomes"]
    ends = ["aborted", "finished", "finished", "aborted"]
    assert again == [
        {"new": False, "key": request["key"], "state": end} for request, end in zip(requests, ends, strict=True)
    ]


async def test_one_squeue_every_other_second_serves_all_runs(
    slurm: Slurm, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = tmp_path / "bin" / "squeue"
    counting.parent.mkdir()
    counting.write_text(f'#!/bin/sh\necho call >> {tmp_path}/calls\nexec {shutil.which("squeue")} "$@"\n')
    counting.chmod(0o755)
    monkeypatch.setenv("PATH", f"{counting.parent}:{os.environ['PATH']}")
    async with host.open_connection() as (_, link):
        requests = [python_job(f"A_seed{number}", WAIT_FOREVER) for number in range(6)]
        await link.request("launch_all", requests=requests)
        seconds = asyncio.get_running_loop().time
        began = seconds()
        await states_when(link, lambda _: seconds() - began > 3.0)
        calls = len((tmp_path / "calls").read_text().splitlines())
    assert 2 <= calls <= 3


async def test_a_launch_on_a_host_without_slurm_is_refused_and_leaves_no_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    async with Host(tmp_path / "host").open_connection() as (_, link):
        with pytest.raises(AgentRefused, match="sbatch is not on this host"):
            await launch(link, "A_seed1", "")
        assert await states_when(link, lambda _: True) == {}
