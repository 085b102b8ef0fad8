"""What a real Slurm does to runs behind our back: it cancels, puts back, falls silent, forgets."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from console.hosts.remote.agent_client import AgentClient, AgentRefused, open_agent
from console.hosts.ssh.connection import open_connection
from engine.contract.state import decode as decode_state
from tests.console.hosts.conftest import EMBEDDED, Host, in_state, states_when
from tests.console.hosts.slurm import Slurm
from tests.console.hosts.slurm_runs import (
    ONE_AT_A_TIME,
    WAIT_FOR_GO_FILE,
    WAIT_FOREVER,
    has_job,
    jobs_with_comment,
    launch,
    log_of,
    python_job,
    state_when,
    until,
)
from tests.console.notify_server import notify_server

pytestmark = pytest.mark.on_slurm


async def test_while_slurms_controller_is_down_runs_continue_and_keep_their_last_known_state(
    link: AgentClient, slurm: Slurm, host: Host
) -> None:
    await launch(link, "A_seed1", WAIT_FOR_GO_FILE)
    doomed = await launch(link, "A_seed3", WAIT_FOREVER)
    await states_when(link, lambda states: has_job(states["A_seed1"]) and has_job(states["A_seed3"]))
    slurm.stop_controller()
    request = python_job("A_seed2", "")
    try:
        launching = asyncio.create_task(link.request("launch", **request))
        aborting = asyncio.create_task(link.request("abort", key=doomed, by="the test"))
        state = await state_when(link, "A_seed1", lambda state: "does not answer" in state.get("reason", ""))
        assert state["state"] == "running"
        (host.workspace / "go").touch()
        await states_when(link, in_state("A_seed1", "finished"))
        assert (await aborting)["state"] == "aborted", "its supervisor needs no Slurm for that"
        with pytest.raises(AgentRefused, match="does not answer"):
            await launching
        state = await state_when(link, "A_seed2", lambda state: bool(state.get("reason")))
        assert state["state"] == "queued", "it may have been submitted: nobody knows"
    finally:
        slurm.start_controller()
    reply = await link.request("launch", **request)
    assert reply["key"] == request["key"]
    state = await state_when(link, "A_seed2", lambda state: state["state"] == "finished")
    assert not state.get("reason")
    assert len(jobs_with_comment(slurm, request["key"])) == 1


class LongAgo(NamedTuple):
    """Runs that go on while the other tests run, in a workspace of their own."""

    workspace: Path
    finished: str
    limited: str

    @asynccontextmanager
    async def open_connection(self) -> AsyncIterator[AgentClient]:
        async with open_connection(EMBEDDED, self.workspace) as connection, open_agent(connection) as link:
            yield link


@pytest.fixture(scope="module")
def long_ago(slurm: Slurm, tmp_path_factory: pytest.TempPathFactory) -> LongAgo:
    """One run that is over long before Slurm is asked about it again, and one whose time is up.

    Slurm looks for such every 30 s, counted from the start of its controller.
    """
    runs = LongAgo(tmp_path_factory.mktemp("long_ago") / "host", uuid.uuid4().hex, uuid.uuid4().hex)
    slurm.kept |= {runs.finished, runs.limited}

    async def begin() -> None:
        async with runs.open_connection() as link:
            await launch(link, "A_seed1", "", key=runs.finished)
            await launch(link, "A_seed2", WAIT_FOREVER, key=runs.limited, slurm={"time": "1"})
            await state_when(link, "A_seed2", has_job)

    asyncio.run(begin())
    slurm.command("scontrol", "update", f"JobId={jobs_with_comment(slurm, runs.limited)[0][0]}", "EndTime=now+1")
    return runs


@pytest.mark.usefixtures("long_ago")
@pytest.mark.parametrize(
    "code",
    [
        pytest.param(WAIT_FOREVER, id="dies of SIGTERM"),
        pytest.param(f"import signal\nsignal.signal(15, lambda *_: exit(0))\n{WAIT_FOREVER}", id="exits with 0 on it"),
    ],
)
async def test_a_running_job_cancelled_in_slurm_has_failed(
    link: AgentClient, slurm: Slurm, host: Host, code: str
) -> None:
    key = await launch(link, "A_seed1", code)
    await until(lambda: "ready" in log_of(host, "A_seed1"))
    ((job, _),) = jobs_with_comment(slurm, key)
    slurm.command("scancel", job)
    state = await state_when(link, "A_seed1", lambda state: state["state"] not in ("queued", "running"))
    assert (state["state"], state["reason"], state["exit_code"]) == ("failed", "Slurm ended it: cancelled", None)


async def test_a_waiting_job_cancelled_in_slurm_has_failed(link: AgentClient, slurm: Slurm, host: Host) -> None:
    await launch(link, "A_seed1", WAIT_FOREVER, slurm=ONE_AT_A_TIME)
    key = await launch(link, "A_seed2", "", slurm=ONE_AT_A_TIME)
    ((job, _),) = jobs_with_comment(slurm, key)
    slurm.command("scancel", job)
    state = await state_when(link, "A_seed2", lambda state: state["state"] != "queued")
    assert (state["state"], state["reason"]) == ("failed", "Slurm ended it before it began: cancelled")
    written = decode_state((host.run_folder / "A_seed2" / "state.json").read_bytes())
    assert written.state == "failed", "recorded, since Slurm forgets"
    assert (host.run_folder / "A_seed2" / "manifest.json").exists()


async def test_a_run_that_reached_its_time_limit_has_failed(long_ago: LongAgo) -> None:
    """Before the tests in which the node fails: what that puts back in the queue has all its time again."""
    async with long_ago.open_connection() as link:
        state = await state_when(link, "A_seed2", lambda state: state["state"] not in ("queued", "running"), 60.0)
    assert (state["state"], state["reason"]) == ("failed", "Slurm ended it: time limit")


@pytest.mark.parametrize(
    ("checkpoint", "cause"), [(True, "job requeue"), (False, "preemption"), (True, "node failure")]
)
async def test_a_requeued_run_resumes_or_starts_over(
    link: AgentClient, slurm: Slurm, host: Host, checkpoint: bool, cause: str
) -> None:
    code = (
        "import pathlib, sys, time\n"
        "run, *more = sys.argv[1:]\n"
        "print('attempt', *more, flush=True)\n"
        f"pathlib.Path(run, {'checkpoint.json' if checkpoint else 'events.jsonl'!r}).touch()\n"
        "while not pathlib.Path('go').exists(): time.sleep(0.02)"
    )
    restart = {"checkpoint": "checkpoint.json", "argv": ["--resume"]}
    key = await launch(link, "A_seed1", code, restart=restart, slurm=ONE_AT_A_TIME)
    await until(lambda: "attempt" in log_of(host, "A_seed1"))
    ((job, _),) = jobs_with_comment(slurm, key)
    if cause == "preemption":
        await launch(link, "B_seed1", "", slurm={**ONE_AT_A_TIME, "partition": "urgent"})
        await states_when(link, in_state("B_seed1", "finished"))
    elif cause == "node failure":
        slurm.node_is("DOWN")
    else:
        slurm.command("scontrol", "requeue", job)
    await until(lambda: jobs_with_comment(slurm, key) == [(job, "PENDING")])
    record = host.run_folder / "A_seed1" / "state.json"
    await until(lambda: decode_state(record.read_bytes()).state == "queued")
    slurm.node_is("IDLE")
    assert decode_state(record.read_bytes()).reason.startswith(f"requeued by Slurm: {cause}")
    assert not (host.run_folder / "A_seed1" / "exit.json").exists(), "it has not ended"
    await states_when(link, in_state("A_seed1", "queued"))
    slurm.command(
        "scontrol", "update", f"JobId={job}", "StartTime=now+2"
    )  # it revokes what it granted up to this second
    (host.workspace / "go").touch()
    state = await state_when(link, "A_seed1", lambda state: state["state"] not in ("queued", "running"))
    assert (state["state"], state["key"], state["slurm"]["restart"]) == ("finished", key, 1)
    lines = log_of(host, "A_seed1").splitlines()
    aside = host.run_folder / ".previous" / f"A_seed1-{key}-attempt1"
    if checkpoint:
        assert lines[0] == "attempt" and lines[-1] == "attempt --resume"
        assert "it resumes from its checkpoint" in lines[-2]
        assert not aside.exists()
    else:
        assert len(lines) == 2 and "it starts over" in lines[0] and lines[1] == "attempt"
        assert {path.name for path in aside.iterdir()} == {"events.jsonl", "log.txt"}
        assert (aside / "log.txt").read_text() == "attempt\n"


@pytest.mark.fault(
    "slurmd killed, the node with it or not", "the run goes on or resumes; it never runs twice, nor is lost"
)
@pytest.mark.parametrize("with_jobs", [False, True], ids=["daemon", "node"])
async def test_a_run_whose_node_loses_its_daemon(link: AgentClient, slurm: Slurm, host: Host, with_jobs: bool) -> None:
    code = (
        "import pathlib, sys, time\n"
        "pathlib.Path(sys.argv[1], 'checkpoint.json').touch()\n"
        f"print('attempt', *sys.argv[2:], flush=True)\n{WAIT_FOR_GO_FILE}"
    )
    restart = {"checkpoint": "checkpoint.json", "argv": ["--resume"]}
    key = await launch(link, "A_seed1", code, restart=restart)
    await until(lambda: "attempt" in log_of(host, "A_seed1"))
    ((job, _),) = jobs_with_comment(slurm, key)
    slurm.kill_node(with_jobs)
    slurm.node_is("DOWN")  # as Slurm itself does after its SlurmdTimeout
    await until(lambda: jobs_with_comment(slurm, key) == [(job, "PENDING")])
    if with_jobs:
        await state_when(link, "A_seed1", lambda state: state["state"] == "queued" and "waits" in state["reason"])
    else:
        state = await state_when(link, "A_seed1", lambda _: True)
        assert (state["state"], state["reason"]) == ("running", ""), "Slurm has given it up, and it works on"
        (host.workspace / "go").touch()
        await states_when(link, in_state("A_seed1", "finished"))
    slurm.start_node()
    # it revokes what it granted up to this second
    slurm.command("scontrol", "update", f"JobId={job}", "StartTime=now+2")
    if with_jobs:
        await until(lambda: "--resume" in log_of(host, "A_seed1"), timeout=60.0)
        (host.workspace / "go").touch()
    await until(lambda: not slurm.queue("pending,running,completing"), timeout=60.0)
    state = await state_when(link, "A_seed1", lambda state: state["state"] not in ("queued", "running"))
    assert (state["state"], state["key"]) == ("finished", key)
    attempts = [line for line in log_of(host, "A_seed1").splitlines() if line.startswith("attempt")]
    assert attempts == ["attempt", "attempt --resume"][: 1 + with_jobs]


async def test_a_run_that_slurm_no_longer_lists_has_the_state_its_supervisor_recorded(
    long_ago: LongAgo, slurm: Slurm
) -> None:
    await until(lambda: not jobs_with_comment(slurm, long_ago.finished), timeout=60.0)
    async with long_ago.open_connection() as link:
        state = await state_when(link, "A_seed1", lambda _: True)
    assert (state["state"], state["key"]) == ("finished", long_ago.finished)


async def test_a_run_that_slurm_no_longer_lists_and_that_never_began_is_lost(link: AgentClient, slurm: Slurm) -> None:
    """The last of these tests: the controller is restarted with an empty memory."""
    await launch(link, "A_seed1", WAIT_FOREVER, slurm={"gres": "gpu:2"})
    key = await launch(link, "A_seed2", "", slurm={"gres": "gpu:2"})
    await state_when(link, "A_seed2", lambda state: "waits" in state.get("reason", ""))
    slurm.stop_controller()
    slurm.start_controller("-c")
    state = await state_when(link, "A_seed2", lambda state: state["state"] not in ("queued", "running"))
    assert (state["state"], state["reason"]) == ("lost", "Slurm does not know it any more")
    assert await launch(link, "A_seed2", "") != key, "what is lost can be launched again"
    await states_when(link, in_state("A_seed2", "finished"))


async def test_under_slurm_the_message_is_sent_before_the_allocation_ends(link: AgentClient, slurm: Slurm) -> None:
    settings = {"command": [sys.executable, "-I", "-m", "engine.cli", "notify"], "host": "the cluster"}
    with notify_server() as service:
        await link.request("launch_all", requests=[], notify=[service.url()])
        key = await launch(link, "A_seed1", "", notify=settings)
        await states_when(link, in_state("A_seed1", "finished"))
        await until(lambda: all(state not in ("RUNNING", "COMPLETING") for _, state in jobs_with_comment(slurm, key)))
        assert service.titles() == ["A/1 finished"], "Slurm would have ended what sends it"
