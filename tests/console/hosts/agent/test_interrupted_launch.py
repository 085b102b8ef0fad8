"""A launch, or a supervisor, that is killed at any durable step: the next request completes or undoes what is there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from console.hosts.agent import jobs
from console.hosts.agent.caretaker import Caretaker
from console.hosts.agent.job_processes import job_processes
from console.hosts.agent.run_states import current_states
from console.hosts.agent.workspace import Workspace, read_json, write_json
from console.hosts.remote.agent_package import agent_file
from engine.contract.run_folder import build_manifest
from tests.conftest import Fault

pytestmark = pytest.mark.server

EARLIER = "e" * 32
RUN = "A_seed1"
SAMPLE = 5
TIMEOUT_S = 30.0

# Kills this process as it is about to make its n-th change that outlives it: a change to a folder, a flush, a child.
KILLED_AT_STEP = """
import json, os, signal, subprocess, sys
from pathlib import Path

step, root, sys.argv[0] = int(sys.argv[1]), sys.argv[2], sys.argv[3]

def counted(function):
    def call(*arguments, **options):
        global step
        if not step:
            os.kill(os.getpid(), signal.SIGKILL)
        step -= 1
        return function(*arguments, **options)
    return call

for name in ("rename", "replace", "mkdir", "fsync", "unlink", "rmdir"):
    setattr(os, name, counted(getattr(os, name)))
subprocess.Popen.__init__ = counted(subprocess.Popen.__init__)

from console.hosts.agent import jobs
from console.hosts.agent.supervisor import Supervisor
from console.hosts.agent.workspace import Workspace
from engine.contract.file_lock import take_lock

workspace = Workspace(Path(root))
if sys.argv[4] == "launch":
    jobs.launch(workspace, json.loads(sys.argv[5]))
else:
    key = sys.argv[5]
    Supervisor(workspace, key, take_lock(workspace.job(key) / "lock", wait=True)).supervise()
"""


class Host:
    """A workspace with an earlier, sealed run, and requests that are answered in this process or killed in another."""

    def __init__(self, root: Path, program: Path) -> None:
        self.workspace = Workspace(root)
        self.program = program
        self.run_folder = self.workspace.run("experiment", RUN)
        self.key, self.later, self.last = (uuid.uuid4().hex for _ in range(3))
        self.workspace.prepare()
        self.run_folder.mkdir(parents=True)
        write_json(self.run_folder / "state.json", {"state": "aborted", "key": EARLIER, "settings": "s"})
        (self.run_folder / "checkpoint.json").write_text("a checkpoint")
        write_json(self.run_folder / "manifest.json", build_manifest(self.run_folder, EARLIER))
        self.earlier = self.contents(self.run_folder)

    @staticmethod
    def contents(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    def request(self, key: str, replaces: str) -> dict[str, Any]:
        code = f"open({str(self.workspace.root / 'ran')!r}, 'a').write('{key}\\n')"
        more = {"files": {"experiment.toml": "x"}, "settings": "s", "carry": ["checkpoint.json"], "replaces": replaces}
        return {"key": key, "folder": "experiment", "run": RUN, "argv": [sys.executable, "-c", code], **more}

    def killed_at(self, step: int, *what: str) -> bool:
        """Whether a process that does ``what`` has a step of that number: it was killed at it."""
        command = [sys.executable, "-c", KILLED_AT_STEP, str(step), str(self.workspace.root), str(self.program), *what]
        done = subprocess.run(command, check=False, timeout=TIMEOUT_S, capture_output=True, text=True)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode != 0

    def ran(self) -> list[str]:
        path = self.workspace.root / "ran"
        return path.read_text().split() if path.exists() else []

    def state(self) -> dict[str, Any]:
        return current_states(self.workspace, "experiment").get(RUN, {})

    def settled(self, caretaker: Caretaker) -> dict[str, Any]:
        """The run's state once it is sealed, or lost without processes."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            caretaker.look(self.workspace)
            sealed_key = (read_json(self.run_folder / "manifest.json") or {}).get(
                "key"
            )  # before the state: it comes last
            state = self.state()
            key = str(state.get("key", ""))
            if sealed_key == key or (state.get("state") == "lost" and not job_processes(key, None, None)):
                return state
            time.sleep(0.02)
        raise AssertionError(f"still {self.state()}")

    def launch_to_the_end(self, key: str) -> None:
        """What an operator does next: launch the run that is seen there, again and again until it has run."""
        caretaker = Caretaker()
        seen = self.settled(caretaker)
        if seen["key"] != key:
            reply = jobs.launch(self.workspace, self.request(key, replaces=seen["key"]))
            assert reply["new"], (reply, seen)
        assert (self.settled(caretaker)["state"], self.state()["key"]) == ("finished", key)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped agent, which a launch starts the supervisor from."""
    path = tmp_path / "agent.pyz"
    path.write_bytes(agent_file()[0])
    monkeypatch.setattr(sys, "argv", [str(path)])
    return path


def sampled(fault: Fault, steps: int) -> list[int]:
    fault.note(f"{steps} durable steps")
    return list(range(steps)) if fault.full else sorted(fault.random.sample(range(steps), min(steps, SAMPLE)))


def count_steps(host: Host, *what: str) -> int:
    """How many steps ``what`` takes, found by halving: each try is undone by a new host."""
    host_root = host.workspace.root
    low, high = 0, 256
    while low < high:
        middle = (low + high) // 2
        trial = Host(host_root.with_name(f"count{middle}"), host.program)
        prepare(trial, *what)
        if trial.killed_at(middle, *of(trial, *what)):
            low = middle + 1
        else:
            high = middle
    return low


def prepare(host: Host, what: str) -> None:
    if what == "supervise":  # claimed, and never started
        with pytest.MonkeyPatch.context() as nothing_starts:
            nothing_starts.setattr("console.hosts.agent.process.start_detached", lambda *_: False)
            jobs.launch(host.workspace, host.request(host.key, replaces=EARLIER))


def of(host: Host, what: str) -> tuple[str, str]:
    return what, host.key if what == "supervise" else json.dumps(host.request(host.key, replaces=EARLIER))


@pytest.mark.fault("launch killed at each durable step", "completed or undone by the next request, runs once")
@pytest.mark.parametrize("same", [True, False], ids=["same request", "another request"])
def test_a_launch_killed_at_any_step(tmp_path: Path, program: Path, fault: Fault, same: bool) -> None:
    steps = count_steps(Host(tmp_path / "host", program), "launch")
    assert steps > 10
    for step in sampled(fault, steps):
        host = Host(tmp_path / f"host{step}", program)
        assert host.killed_at(step, *of(host, "launch"))
        if same:
            reply = jobs.launch(host.workspace, host.request(host.key, replaces=EARLIER))
            assert reply["key"] == host.key
        next_key = host.key if same else host.later
        host.launch_to_the_end(next_key)
        assert host.ran() in ([next_key], [host.key, next_key])
        assert host.contents(host.run_folder.parent / ".previous" / f"{RUN}-{EARLIER}") == host.earlier
        host.launch_to_the_end(host.last)
        assert host.ran()[-1] == host.last, "the run can be launched ever again"
        assert not list((host.run_folder.parent / ".launching").iterdir())


@pytest.mark.fault("supervisor killed at each durable step", "queued again, lost, or sealed as it ended; runs once")
def test_a_supervisor_killed_at_any_step(tmp_path: Path, program: Path, fault: Fault) -> None:
    steps = count_steps(Host(tmp_path / "host", program), "supervise")
    assert steps > 10
    for step in sampled(fault, steps):
        host = Host(tmp_path / f"host{step}", program)
        prepare(host, "supervise")
        assert host.killed_at(step, *of(host, "supervise"))
        state = host.settled(Caretaker())
        assert state["state"] in ("finished", "lost")
        assert host.ran() in ([], [host.key]) if state["state"] == "lost" else host.ran() == [host.key]
        host.launch_to_the_end(host.key if state["state"] == "finished" else host.later)
        if state["state"] == "lost":
            assert (host.run_folder.parent / ".previous" / f"{RUN}-{host.key}").is_dir()
