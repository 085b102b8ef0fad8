"""Clusters whose commands are not as Slurm ships them: they rewrite comments, and print more than a job's id."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from console.hosts.agent.slurm.commands import JOB_ID, submit
from console.hosts.agent.workspace import read_json
from console.hosts.remote.agent_client import AgentClient
from tests.console.hosts.conftest import Host, in_state, states_when
from tests.console.hosts.slurm import Slurm
from tests.console.hosts.slurm_runs import ONE_AT_A_TIME, WAIT_FOR_GO_FILE, has_job, python_job, state_when

# what a cluster's wrapper or submit plugin does, with the real sbatch behind it
SBATCH = """#!{python} -IS
import subprocess, sys
options = sys.argv[1:]
{edit}
done = subprocess.run([{real!r}, *options], stdout=subprocess.PIPE, text=True)
job = done.stdout.strip()
if done.returncode == 0:
    print({output})
sys.exit(done.returncode)
"""
DROP = "options = [option for option in options if not option.startswith('--comment')]"
BANNER = "'*** Welcome. You have 12 hours left ***', job + ';test', 'Charged to project 7.', sep='\\n'"
POLICIES = {
    "only the id tells": (f"{DROP} + ['--comment=cost|center=7', '--chdir=/tmp']", BANNER),
    "no id is printed": (DROP, "'accepted: 1 job, 4 cores'"),
}


@pytest.fixture(params=POLICIES)
async def cluster(
    request: pytest.FixtureRequest, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AgentClient]:
    """A host with such a cluster."""
    edit, output = POLICIES[request.param]
    wrapper = tmp_path / "bin" / "sbatch"
    wrapper.parent.mkdir()
    wrapper.write_text(SBATCH.format(python=sys.executable, edit=edit, real=shutil.which("sbatch"), output=output))
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    async with host.open_connection() as (_, link):
        yield link


def waits(state: dict[str, Any]) -> bool:
    return state["state"] == "queued" and "waits in Slurm's queue: " in state.get("reason", "")


@pytest.mark.on_slurm
@pytest.mark.fault("a Slurm that rewrites comments and talks", "each job is known, never lost while it waits")
async def test_a_job_is_known_whatever_the_cluster_does_to_comments_and_to_what_sbatch_prints(
    cluster: AgentClient, host: Host, slurm: Slurm
) -> None:
    first = python_job("A_seed1", WAIT_FOR_GO_FILE, slurm=ONE_AT_A_TIME)
    await cluster.request("launch", **first)
    await state_when(cluster, "A_seed1", has_job)
    array = [python_job(f"A_seed{seed}", "", slurm={**ONE_AT_A_TIME, "array": "A"}) for seed in (2, 3)]
    alone = python_job("A_seed4", "", slurm=ONE_AT_A_TIME)
    for requests in (array, [alone]):
        outcomes = (await cluster.request("launch_all", requests=requests))["outcomes"]
        assert outcomes == [{"new": True, "key": request["key"], "state": "queued"} for request in requests]
    waiting = [*array, alone]
    await states_when(cluster, lambda states: all(waits(states[request["run"]]) for request in waiting))
    again = (await cluster.request("launch_all", requests=waiting))["outcomes"]
    assert again == [{"new": False, "key": request["key"], "state": "queued"} for request in waiting]
    records = [host.workspace / "jobs" / request["key"] / "slurm.json" for request in waiting]
    ids = [(read_json(record) or {})["job"] for record in records]
    for request, job in ((array[1], ids[1]), (alone, ids[2])):
        state = await cluster.request("abort", key=request["key"], by="the test")
        assert (state["state"], state["reason"]) == ("aborted", "aborted by the test")
        assert job not in {found for found, _, _ in slurm.queue("pending,running")}
    (host.workspace / "go").touch()
    await states_when(cluster, lambda states: all(in_state(run, "finished")(states) for run in ("A_seed1", "A_seed2")))


@pytest.mark.parametrize(
    ("printed", "ids"),
    [
        ("12\n", ["12"]),
        ("12;cluster\n", ["12"]),
        ("Submitted batch job 12 on cluster north\n", ["12"]),
        ("--- 2031 ---\nqueue: 3 jobs, 17 nodes\n  12  \nSee https://example.org/7\n", ["12"]),
        ("job 12 accepted\n", []),
        ("", []),
    ],
)
def test_the_id_is_a_line_of_its_own(printed: str, ids: list[str]) -> None:
    assert JOB_ID.findall(printed) == ids


def test_settings_that_this_slurm_does_not_show_reach_sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no accounting, and so no qualities of service."""
    sbatch = tmp_path / "sbatch"
    sbatch.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >"$0.options"\necho 7\n')
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    settings = {"qos": "long", "constraint": "a100|h100"}
    job = submit(
        settings, name="n", comment="c", folder=tmp_path, log=tmp_path / "log", command=["true"], tasks=1, locks=[]
    )
    options = (tmp_path / "sbatch.options").read_text().splitlines()
    assert job == "7" and {"--qos=long", "--constraint=a100|h100"} <= set(options)
