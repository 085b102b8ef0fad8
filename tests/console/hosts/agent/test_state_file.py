"""State files: whatever is in the place of one, its run alone is lost, and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console.hosts.agent import run_states
from console.hosts.agent.poll import MAX_LIMIT, MAX_RUNS
from console.hosts.agent.state_file import Remembered, reported, state_problem, valid_state
from console.hosts.agent.workspace import Workspace, write_json
from console.hosts.remote.agent_client import MAX_REPLY_BYTES
from engine.contract.run_folder import STATE
from tests.console.hosts.agent.odd_files import KEY, NOT_FILES, NOT_STATES, replace

FINISHED = {"state": "finished", "key": KEY, "ended_at": 1.0}
PROCESS = {"pid": 1, "start": 2, "boot": "b"}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Two finished runs."""
    workspace = Workspace(tmp_path)
    workspace.prepare()
    for run in ("A_seed1", "B_seed1"):
        folder = workspace.run("experiment", run)
        folder.mkdir(parents=True)
        write_json(folder / STATE, FINISHED)
    return workspace


@pytest.mark.timeout(30)
@pytest.mark.parametrize("odd", [*NOT_FILES, *NOT_STATES])
def test_a_broken_state_costs_its_own_run_alone_and_is_named(workspace: Workspace, odd: str) -> None:
    replace(workspace.run("experiment", "A_seed1") / STATE, {**NOT_FILES, **NOT_STATES}[odd])
    states = run_states.current_states(workspace, "experiment", ["A_seed1", "B_seed1", "C_seed1"])
    assert states.pop("B_seed1") == FINISHED
    broken = states.pop("A_seed1")
    assert (broken["state"], broken["key"], STATE in broken["reason"]) == ("lost", "", True)
    assert not states, "the third was never launched"
    assert valid_state(workspace.run("experiment", "A_seed1")) == {}


def test_a_missing_state_is_named_and_a_missing_run_is_not_there(workspace: Workspace) -> None:
    (workspace.run("experiment", "A_seed1") / STATE).unlink()
    states = run_states.current_states(workspace, "experiment")
    assert states["A_seed1"] == {"state": "lost", "key": "", "reason": "state.json is missing", "processes": 0}
    assert set(states) == {"A_seed1", "B_seed1"}


def test_an_error_of_any_kind_costs_its_own_run_alone(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = run_states.current_state

    def fail(workspace: Workspace, run_folder: Path, state: dict[str, Any]) -> dict[str, Any]:
        if run_folder.name == "A_seed1":
            raise ZeroDivisionError("never expected")
        return judge(workspace, run_folder, state)

    monkeypatch.setattr(run_states, "current_state", fail)
    states = run_states.current_states(workspace, "experiment")
    assert states["A_seed1"]["reason"] == "ZeroDivisionError: never expected"
    assert states["B_seed1"] == FINISHED


def test_the_longest_states_of_the_most_runs_are_a_reply_that_the_console_takes() -> None:
    text = "\U0001f300" * 100_000  # what JSON writes longest
    state: dict[str, Any] = {"state": "finished", "key": KEY, "slurm": {"node": text}}
    state |= dict.fromkeys(("settings", "reason"), text)
    state |= {"supervisor": PROCESS, "job": PROCESS, "ticket": 2**62, "anything": text}
    state |= {"gpu": dict.fromkeys(("uuid", "index", "name"), text[:99])}
    assert not state_problem(state)
    assert len(json.dumps(reported(state))) * MAX_RUNS + 2 * MAX_LIMIT < MAX_REPLY_BYTES


def test_a_final_file_is_read_once_and_again_when_it_was_replaced(tmp_path: Path) -> None:
    path, read = tmp_path / "file", []

    def content(path: Path) -> str:
        read.append(path.read_text())
        return read[-1]

    files: Remembered[str] = Remembered(content, lambda text: text.startswith("final"))
    for text in ("growing", "final", "final again"):
        path.write_text(text)
        assert [files.get(path), files.get(path)] == [text, text]
    assert read == ["growing", "growing", "final", "final again"]
    path.unlink()
    with pytest.raises(FileNotFoundError):
        files.get(path)


@pytest.mark.parametrize(
    "change",
    [
        dict.copy,
        lambda state: {**state, "exit_code": None, "slurm": {"node": "n"}},
        lambda state: {**state, "gpu": {"uuid": "GPU-1", "index": "0", "name": "NVIDIA X"}},
    ],
)
def test_what_a_supervisor_writes_is_a_state(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    state = {"state": "running", "key": KEY, "ticket": 3, "settings": "s", "heartbeat": 7, "supervisor": PROCESS}
    state = change({**state, "job": None, "queued_at": 1, "started_at": 2.5, "processes": 2, "supervised": True})
    assert not state_problem(state)
    assert reported(state) == state
