"""Hosts whose Python is too old for the agent: one line says so, and which setting names another, before anything is tried."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from console.hosts.preflight.checks import checklist
from console.hosts.preflight.examine import examine_host
from console.hosts.remote.agent_client import open_agent
from console.hosts.ssh.errors import Misconfigured
from console.hosts.ssh.remote_python import NAME_ONE
from tests.console.hosts.conftest import Host, in_state, launch, states_when
from tests.console.hosts.pythons import python_of
from tests.console.hosts.sshd import ME, Sshd, connection, started


@pytest.mark.fault("a host with Python 2.7, 3.6 or 3.7", "one line names the setting, nothing else is tried")
@pytest.mark.parametrize(
    ("version", "said"),
    [("2.7", "is Python 2, too old: "), ("3.6", "is Python 3.6.15, too old: "), ("3.7", "is Python 3.7.")],
)
@pytest.mark.parametrize("workspace", ["absolute", "~/found/by/the/host"])
async def test_a_python_that_is_too_old_is_named_with_the_setting(
    sshd: Sshd, operator: Path, tmp_path: Path, version: str, said: str, workspace: str
) -> None:
    python = python_of(version)
    folder = tmp_path / "host" if workspace == "absolute" else workspace
    host = replace(sshd.host(folder), python=python)
    with pytest.raises(Misconfigured) as raised:
        async with connection(host, sshd.access(operator)) as connected, open_agent(connected):
            pass
    assert f"{python} on the host {said}" in str(raised.value) and NAME_ONE in str(raised.value)
    assert not (tmp_path / "host").exists(), "nothing else was tried"


@pytest.mark.parametrize("python", ["python3.99", "/nowhere/python3", "/etc/passwd"])
async def test_a_python_that_is_not_there_is_named_with_the_setting(
    sshd: Sshd, operator: Path, tmp_path: Path, python: str
) -> None:
    host = replace(sshd.host(tmp_path / "host"), python=python)
    with pytest.raises(Misconfigured) as raised:
        async with connection(host, sshd.access(operator)) as connected, open_agent(connected):
            pass
    assert f"python '{python}' cannot be run on the host" in str(raised.value) and NAME_ONE in str(raised.value)


async def test_a_newer_one_that_the_host_has_is_named(operator: Path, tmp_path: Path) -> None:
    newer = tmp_path / "bin" / "python3.19"
    newer.parent.mkdir()
    newer.touch(0o755)
    (folder := tmp_path / "sshd").mkdir()
    with started(Sshd(folder, ME, settings=(f"SetEnv PATH={newer.parent}:/usr/bin:/bin",))) as sshd:
        host = replace(sshd.host("~"), python=python_of("3.6"))
        with pytest.raises(Misconfigured, match=f"too old: .*; the host has {newer}$"):
            async with connection(host, sshd.access(operator)):
                pass


@pytest.mark.parametrize("version", ["3.8", "3.10"])
async def test_agent_and_preflight_run_on_a_python_that_is_too_old_for_the_engine(
    sshd: Sshd, operator: Path, tmp_path: Path, version: str
) -> None:
    host = Host(
        tmp_path / "host", replace(sshd.host(tmp_path / "host"), python=python_of(version)), sshd.access(operator)
    )
    async with host.open_connection() as (connected, link):
        found = await examine_host(host.config, connected, link)
        await launch(link, "A_seed1", "print('hello')")
        await states_when(link, in_state("A_seed1", "finished"))
    assert found.preflight_facts.python.startswith(version)
    check = next(check for check in checklist(found, host.config, 1) if check.name == "Python")
    assert check.status == "blocker"
    assert "`python` in hosts.toml" in check.advice
