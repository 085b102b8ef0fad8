"""The agent that serves a console: when that is gone, a launch under way is finished all the same."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from console.hosts.agent.workspace import Workspace, read_json
from console.hosts.remote.agent_package import agent_file
from engine.contract.file_lock import locked
from tests.console.waiting import until


@pytest.mark.parametrize(("link", "argument"), [("lost", ""), ("open", ""), ("open", "poll"), ("open", "run_as_job")])
def test_a_launch_under_way_is_finished_however_often_the_agent_is_terminated(
    tmp_path: Path, link: str, argument: str
) -> None:
    """``argument``: of the job, which may be called as a request is that nothing waits for."""
    workspace, agent = Workspace(tmp_path / "host"), tmp_path / "agent.pyz"
    workspace.prepare()
    agent.write_bytes(agent_file()[0])
    serving = subprocess.Popen(
        [sys.executable, str(agent), "serve", str(workspace.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert serving.stdin is not None and serving.stdout is not None
    launch = {"id": 2, "verb": "launch", "key": uuid.uuid4().hex, "folder": "experiment", "run": "A_seed1"}
    with locked(workspace.queue_lock):  # the launch waits for it; it is under way once the request after it is answered
        for request in ({**launch, "argv": [sys.executable, "-c", "", argument]}, {"id": 1, "verb": "hello"}):
            serving.stdin.write(json.dumps(request).encode() + b"\n")
        serving.stdin.close() if link == "lost" else serving.stdin.flush()
        assert json.loads(serving.stdout.readline())["id"] == 1
        serving.stdout.close()
        for _ in range(20):
            time.sleep(0.02)  # at twenty moments of its leaving
            serving.send_signal(signal.SIGTERM)
        assert serving.poll() is None
    serving.stdin.close()
    serving.wait(20)
    state = workspace.run("experiment", "A_seed1") / "state.json"
    until(lambda: (read_json(state) or {}).get("state") == "finished", 20.0)
