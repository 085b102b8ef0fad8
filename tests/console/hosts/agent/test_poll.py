"""What the agent reads for the console: new bytes by offset, and facts."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import msgspec

from console.hosts.agent import poll as reading
from console.hosts.agent.workspace import Workspace, write_json
from console.runs.snapshot import HostFacts

KEY = "0" * 32


def make_run(root: Path, events: bytes = b"", log: bytes = b"") -> Workspace:
    workspace = Workspace(root)
    workspace.prepare()
    folder = workspace.run("experiment", "A_seed1")
    folder.mkdir(parents=True)
    (folder / "events.jsonl").write_bytes(events)
    (folder / "log.txt").write_bytes(log)
    write_json(folder / "state.json", {"state": "finished", "key": KEY, "ended_at": 1.0})
    return workspace


def chunks(reply: dict[str, Any]) -> dict[str, tuple[int, bytes]]:
    return {file: (offset, base64.b64decode(content)) for _, _, file, offset, content in reply["chunks"]}


def test_events_are_read_from_their_beginning_and_go_on_by_offset(tmp_path: Path) -> None:
    content = b"x" * (reading.CHUNK + 10)
    workspace = make_run(tmp_path, events=content)
    offsets: dict[str, Any] = {"A_seed1": {"key": KEY, "events": 0, "log": 0}}
    whole = b""
    while got := chunks(reading.poll(workspace, {"folder": "experiment", "offsets": offsets})).get("events"):
        assert got[0] == len(whole)
        whole += got[1]
        offsets["A_seed1"]["events"] = len(whole)
    assert whole == content


def test_a_long_log_is_first_read_from_near_its_end_at_a_line(tmp_path: Path) -> None:
    log = b"".join(b"line %06d\n" % number for number in range(60_000))
    offset, content = chunks(reading.poll(make_run(tmp_path, log=log), {"folder": "experiment"}))["log"]
    assert content.startswith(b"line ") and log.endswith(content)
    assert offset + len(content) == len(log) and len(content) <= reading.CHUNK


def test_a_file_that_shrank_is_read_again_from_its_beginning(tmp_path: Path) -> None:
    workspace = make_run(tmp_path, events=b"short\n")
    request = {"folder": "experiment", "offsets": {"A_seed1": {"key": KEY, "events": 4000, "log": 0}}}
    assert chunks(reading.poll(workspace, request))["events"] == (0, b"short\n")


def test_another_launch_of_the_run_is_read_from_its_beginning(tmp_path: Path) -> None:
    workspace = make_run(tmp_path, events=b"new\n")
    request = {"folder": "experiment", "offsets": {"A_seed1": {"key": "1" * 32, "events": 4, "log": 0}}}
    assert chunks(reading.poll(workspace, request))["events"] == (0, b"new\n")


def test_a_heartbeat_alone_is_no_news(tmp_path: Path) -> None:
    workspace = make_run(tmp_path)
    before = reading.poll(workspace, {"folder": "experiment"})["digest"]
    state = {"state": "finished", "key": KEY, "ended_at": 1.0, "heartbeat": 7}
    write_json(workspace.run("experiment", "A_seed1") / "state.json", state)
    assert reading.poll(workspace, {"folder": "experiment"})["digest"] == before


def test_facts_fit_the_snapshot(tmp_path: Path) -> None:
    facts = msgspec.convert(reading.facts(Workspace(tmp_path), {}), HostFacts)
    assert facts.cpus >= 1 and facts.memory_total >= facts.memory_available > 0 and facts.disk_free > 0


def test_nvidia_smi_that_answers_nonsense_is_a_note(tmp_path: Path, monkeypatch: Any) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'Failed to initialize NVML: Driver/library version mismatch'\nexit 18\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    facts = reading.facts(Workspace(tmp_path / "ws"), {})
    assert facts["gpus"] == [] and "version mismatch" in facts["gpu_note"]
    smi.write_text("#!/bin/sh\necho 'NVIDIA X, 49140, [N/A], 3, 550.1'\n")
    gpus = reading.facts(Workspace(tmp_path / "ws"), {})["gpus"]
    assert gpus == [
        {"name": "NVIDIA X", "memory_total": 49140, "memory_used": None, "utilization": 3, "driver": "550.1"}
    ]
