"""The supervisor of one run, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from console.hosts.agent import launches, process
from console.hosts.agent.claims import Claim, claim
from console.hosts.agent.lifecycle import owns_run
from console.hosts.agent.supervisor import Supervisor
from console.hosts.agent.workspace import Workspace, read_json, write_json
from engine.contract.file_lock import locked
from tests.console.hosts.agent import odd_files
from tests.console.hosts.agent.odd_files import NOT_FILES, NOT_STATES

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
    workspace, key = Workspace(tmp_path), uuid.uuid4().hex
    request = {"key": key, "folder": "experiment", "run": "A_seed1", "argv": [sys.executable, "-c", "print('done')"]}
    claimed = claim(workspace, request)
    assert isinstance(claimed, Claim)
    claimed.release()
    subprocess.run([sys.executable, "-c", SUPERVISE, str(tmp_path), key, write], check=True, timeout=60)
    state = read_json(claimed.run_folder / "state.json") or {}
    assert (state["state"], state["exit_code"]) == ("finished", 0)
    assert (claimed.run_folder / "log.txt").read_text() == "done\n"


@pytest.mark.fault("a folder, a FIFO or a link has the name of a job's log", "the run fails, and names it")
@pytest.mark.parametrize("kind", ["folder", "FIFO", "link"])
def test_a_job_whose_log_cannot_be_one_does_not_start(tmp_path: Path, kind: str) -> None:
    workspace, key = Workspace(tmp_path), uuid.uuid4().hex
    claimed = claim(workspace, {"key": key, "folder": "experiment", "run": "A_seed1", "argv": ["/bin/echo"]})
    assert isinstance(claimed, Claim)
    log = claimed.run_folder / "log.txt"
    if kind == "folder":
        log.mkdir()
    elif kind == "FIFO":
        os.mkfifo(log)
    else:
        log.symlink_to("/etc/hostname")
    Supervisor(workspace, key, claimed.lock).supervise()
    state = read_json(claimed.run_folder / "state.json") or {}
    assert state["state"] == "failed" and state["reason"] == f"the job did not start: {log} is no regular file"


def test_while_all_slots_are_taken_nobody_reads_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(tmp_path)
    claims = []
    for key in (character * 32 for character in "0123456789"):
        claimed = claim(
            workspace, {"key": key, "folder": "experiment", "run": f"A_seed{key[0]}", "argv": ["/bin/true"]}
        )
        assert isinstance(claimed, Claim)
        claims.append(claimed)
    waiting = Supervisor(workspace, claims[-1].key, claims[-1].lock)
    read: list[str] = []

    def counting(path: Path) -> dict[str, Any] | None:
        read.append(path.name)
        return read_json(path)

    monkeypatch.setattr(launches, "read_json", counting)
    with locked(workspace.slots / "0.lock"):
        assert waiting._take_slot() is None and not read
    assert waiting._take_slot() is None and "job.json" in read, "an earlier run waits"
    read.clear()
    assert waiting._take_slot() is None and "job.json" not in read, "what never changes is read once"


FRAMES = 'Traceback (most recent call last):\n  File "x.py", line 1, in f\n    f()\n    ^^^\n'
ADVICE = (
    "CUDA kernel errors might be asynchronously reported\nCompile with `TORCH_USE_CUDA_DSA` to enable assertions.\n"
)
GPU_ERROR = "torch.AcceleratorError: CUDA error: out of memory"


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        (f"{FRAMES}{GPU_ERROR}\n{ADVICE}", GPU_ERROR),
        (f"{FRAMES}KeyError: 1\n\nDuring handling of it, another occurred:\n\n{FRAMES}OSError: 2\n", "OSError: 2"),
        (
            f"{FRAMES}KeyError: 1\n2026-01-01T00:00:00Z INFO step 7\n  what():  std::bad_alloc",
            "what():  std::bad_alloc",
        ),
        (f"{FRAMES}KeyError: 1\nqllm-engine: error: no room", "qllm-engine: error: no room"),
        (FRAMES, "^^^"),
        ("one\n\ntwo\n\n", "two"),
        ("", "exit code 3"),
    ],
)
def test_the_reason_of_a_failure_is_the_exception_not_what_is_printed_after_it(
    tmp_path: Path, printed: str, reason: str
) -> None:
    workspace, key = Workspace(tmp_path), uuid.uuid4().hex
    argv = [sys.executable, "-c", f"import sys; sys.stderr.write({printed!r}); sys.exit(3)"]
    claimed = claim(workspace, {"key": key, "folder": "experiment", "run": "A_seed1", "argv": argv})
    assert isinstance(claimed, Claim)
    Supervisor(workspace, key, claimed.lock).supervise()
    assert (read_json(claimed.run_folder / "state.json") or {})["reason"] == reason


@pytest.mark.parametrize(
    "change", [{"key": "b" * 32}, {"state": "running"}, {"supervisor": process.identity(os.getppid())}]
)
def test_a_queued_run_that_is_anothers_by_now_is_neither_written_nor_started(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    workspace, key = Workspace(tmp_path), uuid.uuid4().hex
    request = {"key": key, "folder": "experiment", "run": "A_seed1", "argv": ["/bin/touch", str(tmp_path / "started")]}
    claimed = claim(workspace, request)
    assert isinstance(claimed, Claim)
    supervisor = Supervisor(workspace, key, claimed.lock)
    state = {**(read_json(claimed.run_folder / "state.json") or {}), **change}
    write_json(claimed.run_folder / "state.json", state)
    supervisor.supervise()
    assert read_json(claimed.run_folder / "state.json") == state
    assert not (tmp_path / "started").exists() and not (claimed.run_folder / "exit.json").exists()


@pytest.mark.fault("the files of another launch are garbage, or no files", "a queued run starts all the same")
@pytest.mark.parametrize("odd", [*NOT_FILES, "{}", "empty", "NUL bytes"])
@pytest.mark.parametrize("name", ["job.json", "lock"])
def test_odd_files_of_another_launch_do_not_keep_a_run_from_starting(tmp_path: Path, name: str, odd: str) -> None:
    workspace, claims = Workspace(tmp_path), []
    for run in ("A_seed1", "B_seed1"):
        request = {"key": uuid.uuid4().hex, "folder": "experiment", "run": run, "argv": ["/bin/echo", "done"]}
        claims.append(claim(workspace, request))
    earlier, later = claims
    assert isinstance(earlier, Claim) and isinstance(later, Claim)
    earlier.release()
    odd_files.replace(earlier.job / name, {**NOT_FILES, **NOT_STATES}[odd])
    Supervisor(workspace, later.key, later.lock).supervise()
    assert (read_json(later.run_folder / "state.json") or {})["state"] == "finished"


@pytest.mark.parametrize(
    ("recorded", "recorded_lives", "owns"),
    [
        ({}, False, True),
        ({"key": "a", "state": "queued"}, False, True),
        ({"key": "a", "state": "queued", "supervisor": {"pid": 2}}, False, True),
        ({"key": "a", "state": "queued", "supervisor": {"pid": 2}}, True, False),
        ({"key": "a", "state": "running", "supervisor": {"pid": 2}}, False, False),
        ({"key": "a", "state": "running", "supervisor": {"pid": 1}}, True, True),
        ({"key": "a", "state": "running", "supervisor": {"pid": 2}, "slurm": {}}, False, True),
        ({"key": "a", "state": "aborted", "supervisor": {"pid": 1}}, True, False),
        ({"key": "b", "state": "queued", "supervisor": {"pid": 1}}, True, False),
    ],
)
def test_a_run_is_owned_by_one_supervisor(recorded: dict[str, Any], recorded_lives: bool, owns: bool) -> None:
    assert owns_run("a", {"pid": 1}, recorded, recorded_lives) is owns
