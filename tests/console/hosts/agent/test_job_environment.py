"""A job gets the variables that it needs and those that the host's entry names, and nothing else of the environment."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from console.hosts.agent.job_environment import job_environment, run_as_job
from console.hosts.agent.workspace import Refused, Workspace
from console.hosts.preflight.checks import checklist
from console.hosts.preflight.examine import examine_host
from tests.console.hosts.conftest import FOLDER, Host, in_state, states_when

SECRET = "hf_not_to_be_found_anywhere"  # noqa: S105 - nobody's
GIVEN = {
    "PATH": "/bin",
    "LC_ALL": "C",
    "CUDA_VISIBLE_DEVICES": "0",
    "SLURM_JOB_ID": "7",
    "https_proxy": "http://proxy:3128",
    "HF_HOME": "/models",
    "HF_TOKEN": SECRET,
    "NVIDIA_API_KEY": SECRET,
    "SLURM_JWT": SECRET,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "PYTHONPATH": "/home/me",
    "LD_PRELOAD": "/home/me/malloc.so",
    "OMP_NUM_THREADS": "3",
}
CODE = "import json, os; print(json.dumps({name: len(text) for name, text in os.environ.items()}))"


def test_a_job_gets_what_it_needs_and_what_is_named() -> None:
    needed = ("PATH", "LC_ALL", "CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID", "https_proxy", "HF_HOME")
    plain = job_environment({"env": {"TOKENIZERS_PARALLELISM": "false"}}, GIVEN)
    assert {name: plain[name] for name in plain if not name.startswith(("PYTHON", "TOK"))} == {
        name: GIVEN[name] for name in needed
    }
    assert "PYTHONPATH" not in plain and plain["TOKENIZERS_PARALLELISM"] == "false"
    named = job_environment({"environment": ["HF_TOKEN", "OMP_NUM_THREADS", "UNSET"]}, GIVEN)
    assert named["HF_TOKEN"] == SECRET and named["OMP_NUM_THREADS"] == "3" and "UNSET" not in named


@pytest.mark.parametrize(
    "name", ["LC_api_key", "NVIDIA_Api_Token", "SLURM_jwt", "CUDA_AUTH", "NVIDIA_PAT", "LC_Password"]
)
def test_a_secret_is_known_by_its_name_in_any_case(name: str) -> None:
    assert name not in job_environment({}, {name: SECRET})
    assert job_environment({"environment": [name]}, {name: SECRET})[name] == SECRET


@pytest.mark.parametrize("name", ["CUDA_PATH", "NVIDIA_DRIVER_CAPABILITIES", "SLURM_NODE_ALIASES", "LC_PAPER"])
def test_a_variable_that_is_no_secret_is_not_taken_for_one(name: str) -> None:
    assert job_environment({}, {name: "x"})[name] == "x"


@pytest.mark.every_host
@pytest.mark.fault("secrets in the console's or host's environment", "only named ones reach a job; no file has them")
async def test_a_named_secret_reaches_the_job_and_no_file(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "SSH_CONNECTION" if host.config.launcher == "ssh" else "HF_TOKEN"  # a variable that sessions of sshd have
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("OTHER_TOKEN", SECRET)
    for named in ((), (name,)):
        host.config = replace(host.config, environment=named)
        async with host.open_connection() as (connection, link):
            argv = ["python3", "-c", CODE]
            run = f"A_seed{len(named)}"
            request: dict[str, Any] = {"folder": FOLDER, "run": run, "argv": argv, "environment": named}
            await link.request("launch", key=uuid.uuid4().hex, **request)
            await states_when(link, in_state(run, "finished"))
            found = json.loads((host.run_folder / run / "log.txt").read_text())
            assert (name in found) == bool(named) and "OTHER_TOKEN" not in found and {"PATH", "HOME"} <= set(found)
            check = f"import os, sys; sys.exit({name!r} in os.environ)"
            reply = await link.request("run_as_job", argv=["python3", "-c", check], environment=named, seconds=20)
            assert reply["code"] == len(named), "the check before a launch has the job's environment"
            facts = (await examine_host(host.config, connection, link)).preflight_facts
            assert facts.unset == ()
    written = [path for path in host.workspace.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert written == []


async def test_preflight_names_variables_that_are_not_set(host: Host) -> None:
    config = replace(host.config, environment=("HF_TOKEN_OF_NOBODY", "PATH"))
    async with host.open_connection() as (connection, link):
        found = await examine_host(config, connection, link)
    (check,) = (check for check in checklist(found, config, 1) if check.name == "variables")
    assert check.status == "warning" and check.found == "not set: HF_TOKEN_OF_NOBODY"


@pytest.mark.parametrize(
    ("argv", "code", "error"),
    [
        (["/bin/sh", "-c", "pwd >&2; exit 3"], 3, "{root}"),
        (["/bin/sh", "-c", "cat $0 >&2", "{job}/a.txt"], 0, "text"),
        (["/no/such/program"], -1, "/no/such/program cannot be run: No such file or directory"),
        (["/bin/sh", "-c", "sleep 60"], -1, "/bin/sh did not end within 0.3 s"),
    ],
)
def test_a_command_runs_as_a_job_does(tmp_path: Path, argv: list[str], code: int, error: str) -> None:
    seconds = 0.3 if "sleep 60" in argv else 60
    request: dict[str, Any] = {"argv": argv, "files": {"a.txt": "text"}, "seconds": seconds}
    reply = run_as_job(Workspace(tmp_path / "host"), request)
    assert reply == {"code": code, "error": error.format(root=tmp_path / "host")}


def test_files_of_a_check_stay_in_its_folder(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        run_as_job(Workspace(tmp_path), {"argv": ["true"], "files": {"../a": ""}, "seconds": 1})


async def test_the_workspace_is_private_whatever_the_umask(host: Host) -> None:
    before = os.umask(0)
    try:
        for _ in range(2):  # made, and one that an earlier version left open to all
            async with host.open_connection():
                folders = (host.workspace, host.workspace / "agent", host.workspace / "jobs")
                assert {folder.name: oct(folder.stat().st_mode & 0o777) for folder in folders if folder.exists()} == {
                    folder.name: "0o700" for folder in folders if folder.exists()
                }
            host.workspace.chmod(0o755)
    finally:
        os.umask(before)
