"""No module of the user's counts on a host: those of the workspace, of the home folder, or named by PYTHONPATH."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from console.hosts.remote.agent_client import AgentClient
from console.hosts.transfer.folder_sync import push
from console.hosts.transfer.request import SyncRequest
from tests.console.hosts.conftest import FOLDER, Host, in_state, states_when
from tests.console.hosts.sshd import Sshd, open_folder, started
from tests.console.user_modules import STANDARD, write_user_modules

pytestmark = pytest.mark.server

# a child of a job's, too: such as the processes in which a library compiles
CODE = f"""
import json, subprocess, sys
import {", ".join(STANDARD)}
child = [sys.executable, "-c", "import {", ".join(STANDARD)}; print('imported')"]
safe = sys.version_info >= (3, 11)
print(json.dumps([json.__file__, subprocess.run(child, capture_output=True, text=True).stdout if safe else "imported\\n"]))
"""


@pytest.mark.every_host
@pytest.mark.fault("the user's modules in home, workspace and PYTHONPATH", "runs and checks import the installed ones")
async def test_a_job_starts_in_a_workspace_full_of_modules(host: Host) -> None:
    write_user_modules(host.workspace)
    async with host.open_connection() as (_, link):
        await check_job(host, link)


@pytest.mark.fault("the user's modules in home, workspace and PYTHONPATH", "runs and checks import the installed ones")
async def test_modules_of_the_home_folder_and_of_the_environment_do_not_count(
    user: str, operator: Path, tmp_path: Path
) -> None:
    with open_folder() as folder, open_folder(user) as home:
        named = write_user_modules(home / "named")
        lines = [f"PYTHONPATH={named}:", f"PYTHONSTARTUP={named / 'queue.py'}", "PYTHONHOME=/nowhere"]
        modules = write_user_modules(Path(f"~{user}").expanduser())
        with started(Sshd(folder, user, (f"SetEnv {' '.join(lines)}",))) as sshd:
            host = Host(home / "host", sshd.host(home / "host"), sshd.access(operator))
            async with host.open_connection() as (connection, link):
                await check_job(host, link)
                sent = await push(connection, SyncRequest(modules / "engine", "engine", tmp_path / "records"))
                assert sent.full and (host.workspace / "engine" / "__init__.py").exists()
                await check_job(host, link, "A_seed2")


async def check_job(host: Host, link: AgentClient, run: str = "A_seed1") -> None:
    """A job with the flags of an engine's run imports Python's own modules, and so does a check as a job."""
    argv = ["python3", "-I", "-u", "-c", CODE]
    await link.request("launch", key=uuid.uuid4().hex, folder=FOLDER, run=run, argv=argv)
    await states_when(link, in_state(run, "finished", "failed"))
    found, child = json.loads((host.run_folder / run / "log.txt").read_text())
    assert not Path(found).is_relative_to(host.workspace) and child == "imported\n"
    reply = await link.request("run_as_job", argv=argv, seconds=20)
    assert reply == {"code": 0, "error": ""}
