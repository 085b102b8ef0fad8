"""Facts of the host, with and without an nvidia-smi that works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from console.hosts.agent import host_facts
from console.hosts.agent.workspace import Workspace
from console.runs.snapshot import HostFacts


def test_facts_fit_the_snapshot(tmp_path: Path) -> None:
    facts = msgspec.convert(host_facts.facts(Workspace(tmp_path), {}), HostFacts)
    assert facts.cpus >= 1 and facts.memory_total >= facts.memory_available > 0 and facts.disk_free > 0


def test_nvidia_smi_that_answers_nonsense_is_a_note(tmp_path: Path, monkeypatch: Any) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'Failed to initialize NVML: Driver/library version mismatch'\nexit 18\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    facts = host_facts.facts(Workspace(tmp_path / "ws"), {})
    assert facts["gpus"] == [] and "version mismatch" in facts["gpu_note"]
    smi.write_text("#!/bin/sh\necho 'NVIDIA X, 49140, [N/A], 3, 550.1'\n")
    gpus = host_facts.facts(Workspace(tmp_path / "ws"), {})["gpus"]
    assert gpus == [
        {"name": "NVIDIA X", "memory_total": 49140, "memory_used": None, "utilization": 3, "driver": "550.1"}
    ]
