"""Facts of the host, with and without an nvidia-smi that works."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from console.hosts.agent import host_facts
from console.hosts.agent.process import KEY_VARIABLE
from console.hosts.agent.workspace import Workspace
from console.runs.host_facts import Gpu, GpuProcess, HostFacts


def test_facts_fit_the_snapshot(tmp_path: Path) -> None:
    facts = msgspec.convert(host_facts.facts(Workspace(tmp_path), {}), HostFacts)
    assert facts.cpus >= 1 and facts.memory_total >= facts.memory_available > 0 and facts.disk_free > 0


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the agent looks for nvidia-smi."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path / "nvidia-smi"


def answers(smi: Path, gpus: str, processes: str = "") -> None:
    """Make an nvidia-smi that records each query."""
    smi.write_text(
        f'#!/bin/sh\necho "$1" >> {smi}.queries\n'
        f"case $1 in --query-compute-apps=*) {processes or 'exit 9'};; *) {gpus};; esac\n"
    )
    smi.chmod(0o755)


def test_nvidia_smi_that_answers_nonsense_is_a_note(tmp_path: Path, smi: Path) -> None:
    answers(smi, "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18")
    facts = host_facts.facts(Workspace(tmp_path / "ws"), {"gpu_processes": True})
    assert facts["gpus"] == [] and "version mismatch" in facts["gpu_note"] and facts["gpu_processes"] is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "NVIDIA X, 49140, 3, 97, 550.1, 71, 284.31, GPU-1",
            Gpu("NVIDIA X", 49140, 3, 97, "550.1", 71, 284.31, "GPU-1"),
        ),
        (
            "NVIDIA X, 49140, [N/A], 3, 550.1, 40, [N/A], GPU-1",
            Gpu("NVIDIA X", 49140, None, 3, "550.1", 40, None, "GPU-1"),
        ),
        (
            "X, [N/A], [N/A], [Not Supported], 550.1, N/A, [Unknown Error], [N/A]",
            Gpu("X", None, None, None, "550.1", None, None, "[N/A]"),
        ),
        ("X, 1, 1, 1, 5, -3, 1e400, -", Gpu("X", 1, 1, 1, "5", None, None, "-")),  # not what a GPU has
    ],
)
def test_a_number_that_a_gpu_does_not_report_is_none(tmp_path: Path, smi: Path, line: str, expected: Gpu) -> None:
    answers(smi, f"echo '{line}'")
    facts = msgspec.convert(host_facts.facts(Workspace(tmp_path / "ws"), {}), HostFacts)
    assert facts.gpus == (expected,)


def test_who_uses_the_gpu_is_asked_for_only_on_request(tmp_path: Path, smi: Path) -> None:
    pid, gone = os.getpid(), 2**22 + 1  # no process has a number above the kernel's limit
    answers(
        smi,
        "echo 'X, 1, 1, 1, 5, 40, 70.0, GPU-1'",
        f"echo '{pid}, python3, 512'; echo '{gone}, /opt/a, b, [N/A]'",
    )
    workspace = Workspace(tmp_path / "ws")
    assert msgspec.convert(host_facts.facts(workspace, {}), HostFacts).gpu_processes is None
    assert "compute-apps" not in smi.with_name("nvidia-smi.queries").read_text()
    facts = msgspec.convert(host_facts.facts(workspace, {"gpu_processes": True}), HostFacts)
    user = pwd.getpwuid(os.getuid()).pw_name
    assert facts.gpu_processes == (
        GpuProcess(pid, "python3", 512, user, os.getsid(pid)),
        GpuProcess(gone, "/opt/a, b", None),
    )


def test_no_answer_on_who_uses_the_gpu_is_not_nobody(tmp_path: Path, smi: Path) -> None:
    answers(smi, "echo 'X, 1, 1, 1, 5, 40, 70.0, GPU-1'", "exit 3")
    facts = host_facts.facts(Workspace(tmp_path / "ws"), {"gpu_processes": True})
    assert facts["gpu_processes"] is None and len(facts["gpus"]) == 1


def test_preflight_does_not_take_runs_of_ours_for_others_on_the_gpu(tmp_path: Path, smi: Path) -> None:
    workspace, key = Workspace(tmp_path / "ws"), "a" * 32
    workspace.prepare()
    (workspace.jobs / key).mkdir()
    environ = {**os.environ, KEY_VARIABLE: key}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=environ) as ours:
        answers(smi, "exit 9", f"echo '{ours.pid}, python3, 512'; echo '{os.getpid()}, pytest, 7'")
        found = host_facts.preflight_facts(workspace, {})["gpu_users"]
        ours.communicate(b"\n")
    assert [one["pid"] for one in found] == [os.getpid()]
