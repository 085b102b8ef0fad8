"""The supervisor of one run, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from console.hosts.agent.claims import Claim, claim
from console.hosts.agent.workspace import Workspace, read_json

SUPERVISE = """
import errno, sys
from pathlib import Path
from console.hosts.agent import supervisor
from console.hosts.agent.workspace import Workspace, write_json

def full_once(path, value, durable=True):
    if value.get("state") == "running" and ("job" in value) == (sys.argv[3] == "job") and not failed:
        failed.append(path)
        raise OSError(errno.ENOSPC, "No space left on device")
    write_json(path, value, durable)

failed = []
supervisor.write_json = full_once
workspace = Workspace(Path(sys.argv[1]))
lock = supervisor.take_lock(workspace.job(sys.argv[2]) / "lock", wait=True)
supervisor.Supervisor(workspace, sys.argv[2], lock).supervise()
assert failed
"""


@pytest.mark.fault("the host's disk is full when a run starts", "it waits for room, or runs supervised to its end")
@pytest.mark.parametrize("write", ["slot", "job"])
def test_a_run_whose_start_meets_a_full_disk_is_supervised_to_its_end(tmp_path: Path, write: str) -> None:
    workspace, key = Workspace(tmp_path), "a" * 32
    request = {"key": key, "folder": "experiment", "run": "A_seed1", "argv": [sys.executable, "-c", "print('done')"]}
    claimed = claim(workspace, request)
    assert isinstance(claimed, Claim)
    claimed.release()
    subprocess.run([sys.executable, "-c", SUPERVISE, str(tmp_path), key, write], check=True, timeout=60)
    state = read_json(claimed.run_folder / "state.json") or {}
    assert (state["state"], state["exit_code"]) == ("finished", 0)
    assert (claimed.run_folder / "log.txt").read_text() == "done\n"
