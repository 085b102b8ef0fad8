"""What a pushed folder requires is installed into the engine's environment, under its constraints; offline, with small wheels."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pip
import pytest
from msgspec.structs import replace

from console.hosts.agent import requirements
from console.hosts.agent.workspace import Workspace, write_json
from console.hosts.preflight.checks import Requirements, checklist
from console.hosts.preflight.examine import (
    engine_command,
    environment_name,
    examine_host,
    install_requirements,
)
from console.hosts.remote.agent_client import AgentClient
from console.hosts.remote.agent_package import zip_bytes
from console.hosts.ssh.channels import HostConnection
from console.hosts.transfer.folder_sync import push
from console.hosts.transfer.request import SyncRequest
from tests.console.hosts.conftest import EMBEDDED, Host

REMOTE = replace(EMBEDDED, launcher="ssh", address="127.0.0.1", workspace="/w")


def write_wheel(folder: Path, name: str, version: str) -> str:
    """A wheel with one module in ``folder``; returns its SHA-256."""
    info = f"{name}-{version}.dist-info"
    content = zip_bytes(
        {
            f"{name}.py": f"VERSION = {version!r}\n".encode(),
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
            f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/RECORD": b"",
        }
    )
    (folder / f"{name}-{version}-py3-none-any.whl").write_bytes(content)
    return hashlib.sha256(content).hexdigest()


class Pushed:
    """A project that is pushed to a host which has an environment with pip; ``need`` is constrained to 1.0 there."""

    def __init__(self, host: Host, connection: HostConnection, link: AgentClient, folder: Path) -> None:
        self.host, self.connection, self.link = host, connection, link
        self.folder = folder / "project"
        (self.folder / "wheels").mkdir(parents=True)
        self._records = folder / "records"
        self.sha256 = {
            (name, version): write_wheel(self.folder / "wheels", name, version)
            for name, version in (("small", "1.0"), ("small", "2.0"), ("need", "1.0"), ("need", "2.0"))
        }
        path = host.workspace / "env" / environment_name()
        subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", str(path)], check=True)
        (site,) = path.glob("lib/python3*/site-packages")
        (site / "pip.pth").write_text(str(Path(pip.__file__).parents[1]))
        inputs = path.parent / "wheels" / path.name
        inputs.mkdir(parents=True)
        (inputs / "constraints.txt").write_text("need==1.0\n")
        write_json(path.with_suffix(".json"), {"state": "ready"})

    async def push(self, *lines: str, **files: str) -> None:
        (self.folder / "requirements.txt").write_text("\n".join(("--no-index", "--find-links=wheels", *lines, "")))
        for name, text in files.items():
            (self.folder / f"{name}.txt").write_text(text)
        assert (await push(self.connection, SyncRequest(self.folder, "code/project", self._records))).full

    async def state(self) -> Requirements:
        (found,) = (await self.link.request("requirements_state", name=environment_name()))["folders"]
        return msgspec.convert(found, Requirements)

    async def install(self) -> list[Requirements]:
        return [one async for one in install_requirements(REMOTE, self.link)]

    def version(self, name: str) -> str:
        python = engine_command(REMOTE, self.connection)[0]
        code = f"import {name}; print({name}.VERSION)"
        done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=False)
        return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


@pytest.fixture
async def pushed(host: Host, tmp_path: Path) -> AsyncIterator[Pushed]:
    async with host.open_connection() as (connection, link):
        yield Pushed(host, connection, link, tmp_path)


async def test_requirements_are_installed_on_request_and_a_change_is_seen(pushed: Pushed) -> None:
    assert await pushed.link.request("requirements_state", name=environment_name()) == {"folders": []}
    await pushed.push("-r more.txt", more=f"small==1.0 --hash=sha256:{pushed.sha256['small', '1.0']}\n")
    found = await examine_host(REMOTE, pushed.connection, pushed.link)
    (check,) = (check for check in checklist(found, REMOTE, 1) if check.name == "requirements")
    assert (check.status, check.repair) == ("warning", "requirements") and "code/project" in check.found
    steps = await pushed.install()
    assert steps[0].state == "making" and steps[-1].state == "ready", steps
    assert pushed.version("small") == "1.0" and (await pushed.state()).state == "ready"
    await pushed.push("-r more.txt", more="small==2.0\n")
    assert (await pushed.state()).state == "changed", "an included file counts"


async def test_what_the_engine_needs_keeps_its_version(pushed: Pushed) -> None:
    await pushed.push("need==2.0")
    failed = (await pushed.install())[-1]
    assert failed.state == "failed" and "No module named 'need'" in pushed.version("need")
    assert "need==2.0" in failed.error and "(constraint) need==1.0" in failed.error and "\n" not in failed.error
    assert await pushed.state() == failed


async def test_hashes_are_checked(pushed: Pushed) -> None:
    await pushed.push(f"small==1.0 --hash=sha256:{pushed.sha256['small', '2.0']}")
    failed = (await pushed.install())[-1]
    assert failed.state == "failed" and "DO NOT MATCH THE HASHES" in failed.error, failed


@pytest.mark.fault("an installation of preflight --repair is interrupted", "it has failed, and can be made again")
def test_an_interrupted_installation_has_failed(tmp_path: Path) -> None:
    project, path = tmp_path / "project", tmp_path / "env" / "x"
    for folder in (project, path, tmp_path / ".sync" / "x" / "receipts"):
        folder.mkdir(parents=True)
    (project / "requirements.txt").write_text("small")
    write_json(
        tmp_path / ".sync" / "x" / "receipts" / "1.json", {"remote": "project", "verdict": {"direction": "push"}}
    )
    write_json(path / "requirements.json", {"project": {"state": "making", "sha256": ""}})
    found = requirements.state(Workspace(tmp_path), {"name": "x"})
    assert found == {"folders": [{"folder": "project", "state": "failed", "error": "it was interrupted"}]}


@pytest.mark.parametrize(
    "receipt",
    [
        {"remote": "../project", "verdict": {"direction": "push"}},
        {"remote": "/project", "verdict": {"direction": "push"}},
        {"remote": "project", "verdict": {"direction": "pull"}},
        {"remote": ["project"], "verdict": "push"},
    ],
)
def test_only_folders_of_the_workspace_that_were_pushed_count(tmp_path: Path, receipt: dict[str, object]) -> None:
    for folder in (tmp_path / "project", tmp_path / "host" / "project", tmp_path / "host" / ".sync" / "x" / "receipts"):
        folder.mkdir(parents=True)
        (folder / "requirements.txt").write_text("small")
    write_json(tmp_path / "host" / ".sync" / "x" / "receipts" / "1.json", receipt)
    assert requirements.pushed_folders(Workspace(tmp_path / "host")) == []


@pytest.mark.parametrize(
    ("output", "error"),
    [
        ("Looking in links\nERROR: No matching distribution found for x\n", "No matching distribution found for x"),
        (
            "ERROR: Cannot install a==2 because of conflicts.\n\nThe conflict is caused by:\n    The user requested a==2\n"
            "    The user requested (constraint) a==1\n\nERROR: ResolutionImpossible: for help visit https://pip\n",
            "Cannot install a==2 because of conflicts. The conflict is caused by: The user requested a==2 "
            "The user requested (constraint) a==1",
        ),
        ("error: no pip\n", "error: no pip"),
        ("", ""),
    ],
)
def test_an_error_of_pip_is_one_line(output: str, error: str) -> None:
    assert requirements.pip_error(output) == error


@pytest.mark.parametrize("included", ["pipe", "no\0name", "sub/../requirements.txt", "sub"])
def test_an_included_file_that_is_none_neither_blocks_nor_ends_the_check(tmp_path: Path, included: str) -> None:
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR)  # who opens it is not kept waiting, who reads from it is
    try:
        (tmp_path / "requirements.txt").write_text(f"-r {included}\n")
        assert len(requirements.digest(tmp_path)) == 64
    finally:
        os.close(writer)
