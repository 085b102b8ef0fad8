"""Examining and repairing a real host: the embedded one, and its workspace as if it were another machine's."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from console.hosts.agent import environment as agent_environment
from console.hosts.agent.workspace import Refused, Workspace
from console.hosts.preflight.checks import checklist
from console.hosts.preflight.examine import engine_command, environment_name, examine_host, make_environment
from console.hosts.remote.agent_client import AgentRefused
from console.hosts.remote.wheel import engine_requirements
from console.hosts.ssh.errors import LinkDown
from tests.console.hosts.conftest import EMBEDDED, Host

FEW = [line for line in engine_requirements() if line.startswith("msgspec")]  # enough for ``--help``
REMOTE = msgspec.structs.replace(EMBEDDED, launcher="ssh", address="127.0.0.1", workspace="/w")


async def test_the_embedded_host_passes_preflight(host: Host) -> None:
    async with host.open_connection() as (connection, link):
        found = await examine_host(EMBEDDED, connection, link)
    checks = {check.name: check for check in checklist(found, EMBEDDED, runs=9)}
    assert checks["engine"].status == "ok", checks["engine"]
    assert checks["login"].found.startswith(
        "root" if found.preflight_facts.user == "root" else found.preflight_facts.user
    )
    assert abs(found.clock_offset) < 5 and 0 < found.round_trip < 5


@pytest.mark.parametrize("reply", [AgentRefused("Permission denied"), {"state": "asleep"}], ids=["refused", "unknown"])
async def test_an_environment_state_that_cannot_be_read_is_a_link_error(
    host: Host, reply: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with host.open_connection() as (connection, agent):
        real = agent.request

        async def request(verb: str, **arguments: Any) -> Any:
            if verb != "environment_state":
                return await real(verb, **arguments)
            if isinstance(reply, Exception):
                raise reply
            return reply

        monkeypatch.setattr(agent, "request", request)
        with pytest.raises(LinkDown, match="the host's reply cannot be read"):
            await examine_host(REMOTE, connection, agent)


async def test_an_environment_is_made_once_and_runs_the_engine(host: Host) -> None:
    async with host.open_connection() as (connection, link):
        assert (await examine_host(REMOTE, connection, link)).environment.state == "none"
        states = [now async for now in make_environment(REMOTE, connection, link, requirements=FEW)]
        assert states[0].state == "making" and states[-1].state == "ready", states[-1]
        python = engine_command(REMOTE, connection)[0]
        help_text = subprocess.run([python, "-m", "engine.cli", "--help"], capture_output=True, text=True, check=True)
        assert "qllm-engine" in help_text.stdout and Path(python).is_relative_to(host.workspace)
        config = "from engine.contract.toml_file import find_config; print(find_config('scaling.toml'))"
        found = subprocess.run([python, "-c", config], capture_output=True, text=True, check=True, cwd="/")
        assert Path(found.stdout.strip()).is_relative_to(host.workspace)
        before = Path(python).stat().st_ctime_ns
        assert [now.state async for now in make_environment(REMOTE, connection, link, requirements=FEW)] == ["ready"]
        assert Path(python).stat().st_ctime_ns == before, "it is not made again"


@pytest.mark.fault("an installation of preflight --repair fails", "its reason is told, nothing of it is left")
async def test_a_failed_installation_gives_its_reason_and_leaves_nothing(host: Host) -> None:
    async with host.open_connection() as (connection, link):
        states = [now async for now in make_environment(REMOTE, connection, link, requirements=["no such requirement"])]
        assert states[-1].state == "failed" and states[-1].error
        assert not (host.workspace / "env" / environment_name()).exists()


@pytest.mark.fault("an installation of preflight --repair is interrupted", "it has failed, and can be made again")
def test_an_interrupted_installation_has_failed(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "x.json").write_text('{"state": "making"}')
    assert agent_environment.state(workspace, {"name": "x"}) == {"state": "failed", "error": "it was interrupted"}


def test_an_environment_whose_python_or_torch_went_with_the_machine_can_be_made_again(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (used := tmp_path / "python").touch()
    record = {"state": "ready", "python": str(used), "uses": [str(used)]}
    (tmp_path / "env" / "x.json").write_text(json.dumps(record))
    assert agent_environment.state(Workspace(tmp_path), {"name": "x"}) == record
    used.unlink()
    error = f"{used}, which it uses, is gone"
    assert agent_environment.state(Workspace(tmp_path), {"name": "x"}) == {"state": "failed", "error": error}


@pytest.mark.parametrize("name", ["..", "a/b", "", "-x"])
def test_environment_names_stay_in_their_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused):
        agent_environment.folder(Workspace(tmp_path), name)
