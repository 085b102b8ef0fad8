"""``run`` while links are cut and supervisors killed: every run is launched once, and what has finished is kept."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from console.hosts.agent import process
from console.hosts.remote.agent_client import AgentClient
from console.hosts.ssh.errors import LinkDown
from console.hosts.ssh.retry import Retry
from tests.conftest import Fault
from tests.console.commands.quick_engine import command, launches, run_folders, set_aside, states, use_job
from tests.console.hosts.shared_server import kill_servers
from tests.console.waiting import until

pytestmark = pytest.mark.server
RUNS = 4


def cut_after_claims(monkeypatch: pytest.MonkeyPatch, folder: Path, claims: int) -> None:
    """Kill the server once the host has claimed ``claims`` launches, before the console has the reply to the first request."""
    real = AgentClient.request

    async def request(agent: AgentClient, verb: str, *timeout: float, **arguments: Any) -> dict[str, Any]:
        if verb != "launch_all":
            return await real(agent, verb, *timeout, **arguments)
        monkeypatch.setattr(AgentClient, "request", real)
        reply = asyncio.create_task(real(agent, verb, *timeout, **arguments))
        await asyncio.to_thread(until, lambda: len(launches(folder)) >= claims)
        kill_servers()
        with suppress(LinkDown):
            await reply  # on a busy machine it may have arrived before
        raise LinkDown("the link was cut")

    monkeypatch.setattr(AgentClient, "request", request)


def reconnect_after(monkeypatch: pytest.MonkeyPatch, folder: Path, ended: int) -> None:
    """Have the console reconnect only after that many runs have ended on the host."""

    async def wait(*_: object) -> None:
        while sum("ended_at" in state for state in states(folder).values()) < ended:
            await asyncio.sleep(0.02)

    monkeypatch.setattr(Retry, "wait", wait)


@pytest.mark.fault("link cut during launch all, the runs end before the reconnect", "each is launched once and kept")
@pytest.mark.parametrize("more", [(), ("--restart", "--yes")])
def test_runs_that_end_while_the_link_is_cut_are_not_launched_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fault: Fault,
    more: tuple[str, ...],
) -> None:
    use_job(monkeypatch, "")
    reconnect_after(monkeypatch, tmp_path, RUNS)
    cut_after_claims(monkeypatch, tmp_path, 1 + fault.random.randrange(RUNS - 1))
    code = command("run", tmp_path, *more)()
    said = capsys.readouterr().err
    assert "not launched yet: " in said and code == 0, said
    assert (len(launches(tmp_path)), set_aside(tmp_path)) == (RUNS, []), said
    assert command("run", tmp_path)() == 0 and "4 finished with these settings" in capsys.readouterr().err
    assert len(launches(tmp_path)) == RUNS


@pytest.mark.fault("link cut during launch all, some of the runs fail", "each is launched once; exit code 1")
def test_runs_that_fail_while_the_link_is_cut_are_not_launched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: Fault
) -> None:
    use_job(monkeypatch, "sys.exit(3 * ('A' in os.getcwd()))")
    reconnect_after(monkeypatch, tmp_path, RUNS)
    cut_after_claims(monkeypatch, tmp_path, 1 + fault.random.randrange(RUNS - 1))
    code = command("run", tmp_path)()
    said = capsys.readouterr().err
    assert code == 1 and (len(launches(tmp_path)), set_aside(tmp_path)) == (RUNS, []), said
    assert sorted(state["state"] for state in states(tmp_path).values()) == ["failed", "failed", "finished", "finished"]


@pytest.mark.fault("supervisor killed alone, the job lives", "not launched again; one abort ends the job")
def test_a_lost_run_whose_job_lives_is_aborted_before_it_is_launched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = ("--condition", "A", "--seed", "42")
    use_job(monkeypatch, "import time; open('began', 'w').close(); time.sleep(1000)")
    assert command("run", tmp_path, *one, "--detach")() == 0
    until(lambda: (run_folders(tmp_path) / "A_seed42" / "began").exists() and states(tmp_path)["A_seed42"].get("job"))
    state = states(tmp_path)["A_seed42"]
    process.send_signal(state["supervisor"], signal.SIGKILL)
    until(lambda: not process.alive(state["supervisor"]))
    capsys.readouterr()
    assert command("run", tmp_path, *one)() == 1
    said = capsys.readouterr().err
    assert (
        "Nothing to launch: A/42 is lost, but its job still runs; abort it first." in said
        and len(launches(tmp_path)) == 1
    )
    assert command("abort", tmp_path, "--all")() == 0
    assert not process.alive(state["job"]) and "A/42: aborted" in capsys.readouterr().out
    use_job(monkeypatch, "")
    assert command("run", tmp_path, *one)() == 0
