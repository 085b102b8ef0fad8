"""A job that the kernel ends for lack of memory: its run says so, in the kernel's words where they can be read."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.hosts.agent import oom
from console.hosts.agent.claims import Claim, claim
from console.hosts.agent.oom import OutOfMemoryWatch
from console.hosts.agent.supervisor import Supervisor
from console.hosts.agent.workspace import Workspace, read_json
from tests.console.hosts.agent.memory_cgroup import memory_cgroup

LIMIT = 64 << 20  # bytes
SUPERVISE = """
import os, sys
from pathlib import Path
from console.hosts.agent import oom, supervisor
from console.hosts.agent.workspace import Workspace

Path(sys.argv[3], "cgroup.procs").write_text(str(os.getpid()))
if sys.argv[4] == "no kernel log":
    oom.KERNEL_LOG = Path("/nowhere")
workspace = Workspace(Path(sys.argv[1]))
lock = supervisor.take_lock(workspace.job(sys.argv[2]) / "lock", wait=True)
supervisor.Supervisor(workspace, sys.argv[2], lock).supervise()
"""
EAT = "import sys\nprint('begins', flush=True)\nkept = [bytearray(1 << 20) for _ in range(4096)]"


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A memory cgroup of 64 MiB."""
    with memory_cgroup(LIMIT) as group:
        yield group


def claim_of(folder: Path, code: str) -> Claim:
    """A claimed launch of Python ``code``."""
    argv = [sys.executable, "-c", code]
    claimed = claim(
        Workspace(folder), {"key": uuid.uuid4().hex, "folder": "experiment", "run": "A_seed1", "argv": argv}
    )
    assert isinstance(claimed, Claim)
    return claimed


@pytest.mark.parametrize("log", ["kernel log", "no kernel log"])
@pytest.mark.fault(
    "the host's memory runs out: SIGKILL by the kernel", "it is the run's reason, by cgroup or kernel log"
)
def test_a_job_that_the_kernel_ended_for_lack_of_memory_says_so(tmp_path: Path, cgroup: Path, log: str) -> None:
    claimed = claim_of(tmp_path, EAT)
    claimed.release()
    call = [sys.executable, "-c", SUPERVISE, str(tmp_path), claimed.key, str(cgroup), log]
    subprocess.run(call, check=True, timeout=120)
    state = read_json(claimed.run_folder / "state.json") or {}
    assert (state["state"], state["exit_code"]) == ("failed", -9)
    assert state["reason"].startswith("the host ran out of memory") and "its log ends with: begins" in state["reason"]
    if log == "kernel log" and os.access(oom.KERNEL_LOG, os.R_OK):
        assert "ut of memory: Killed process" in state["reason"]
    else:
        assert "the kernel ended a process of the run's cgroup" in state["reason"]


@pytest.mark.parametrize(
    ("kills", "expected"),
    [
        (
            (2, 3),
            "the host ran out of memory: the kernel ended a process of the run's cgroup; its log ends with: begins",
        ),
        ((2, 2), "killed by SIGKILL; its log ends with: begins"),
    ],
)
@pytest.mark.fault(
    "the host's memory runs out: SIGKILL by the kernel", "it is the run's reason, by cgroup or kernel log"
)
def test_a_kill_that_the_cgroup_counts_is_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: tuple[int, int], expected: str
) -> None:
    """As above where no cgroup can be made: what the kernel reports is given, the killed job is real."""
    monkeypatch.setattr(oom, "KERNEL_LOG", tmp_path / "missing")
    counts = iter(kills)
    monkeypatch.setattr(oom, "oom_kills", lambda: next(counts, kills[-1]))
    claimed = claim_of(tmp_path, "import os; print('begins', flush=True); os.kill(os.getpid(), 9)")
    Supervisor(claimed.launch.workspace, claimed.key, claimed.lock).supervise()
    claimed.release()
    assert (read_json(claimed.run_folder / "state.json") or {})["reason"] == expected


def test_a_kill_long_before_the_end_of_a_run_was_another_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All runs that were started in one login session are in one cgroup."""
    monkeypatch.setattr(oom, "KERNEL_LOG", tmp_path / "missing")
    now, kills = [1000.0], [2]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(oom, "oom_kills", lambda: kills[0])
    watch = OutOfMemoryWatch()
    kills[0] = 3
    watch.look()
    now[0] += oom.RECENT_S - 1
    assert "ran out of memory" in watch.evidence(1)
    now[0] += 2
    assert watch.evidence(1) == ""


def test_the_kernel_log_counts_only_for_this_process_and_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = OutOfMemoryWatch()
    log = tmp_path / "kmsg"
    monkeypatch.setattr(oom, "KERNEL_LOG", log)
    monkeypatch.setattr(oom, "oom_kills", lambda: None)
    now, killed = int(time.monotonic() * 1e6), "Out of memory: Killed process 4711 (python3) total-vm:1kB"

    def evidence(record: str, pid: int = 4711) -> str:
        log.write_text(record)
        return watch.evidence(pid)

    assert killed in evidence(f"3,77,{now},-;{killed}\n SUBSYSTEM=x\n")
    assert evidence(f"3,77,{now},-;{killed}\n", pid=471) == ""
    assert evidence(f"3,77,{now - int(3600e6)},-;{killed}\n") == "", "an earlier process had this number"
    assert evidence("garbage\n") == evidence("3,77,x,-;\n") == evidence("") == ""
