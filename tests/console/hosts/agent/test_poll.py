"""Polls: states, and new bytes of runs by offset."""

from __future__ import annotations

import base64
import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from console.hosts.agent import poll as agent_poll
from console.hosts.agent import run_states
from console.hosts.agent.workspace import Workspace, write_json

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


def ask(workspace: Workspace, *files: tuple[str, int, str], key: str = KEY, limit: int = 1 << 20) -> dict[str, Any]:
    """Poll with what a console has of the run's files: name, size and SHA-256 of each."""
    wanted = [("A_seed1", key, *file) for file in files]
    return agent_poll.poll(workspace, {"folder": "experiment", "files": wanted, "limit": limit})


def chunks(reply: dict[str, Any]) -> dict[str, tuple[int, bytes]]:
    return {file: (offset, base64.b64decode(content)) for _, _, file, offset, content in reply["chunks"]}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_requested_files_are_read_from_their_offset_and_no_others(tmp_path: Path) -> None:
    content = bytes(range(256)) * 4000
    workspace = make_run(tmp_path, events=content, log=b"a log")
    whole = b""
    while got := chunks(reply := ask(workspace, ("events", len(whole), ""), limit=100_000)):
        assert reply["sizes"] == [["A_seed1", KEY, "events", len(content)]]
        assert list(got) == ["events"] and got["events"][0] == len(whole)
        whole += got["events"][1]
    assert whole == content


def test_a_reply_is_bounded_and_logs_wait_for_events(tmp_path: Path) -> None:
    workspace = make_run(tmp_path, events=b"e" * 1000, log=b"l" * 5000)
    assert chunks(ask(workspace, ("log", 0, ""), ("events", 0, ""), limit=600)) == {"events": (0, b"e" * 600)}
    assert chunks(ask(workspace, ("log", 0, ""), ("events", 600, ""), limit=600)) == {
        "events": (600, b"e" * 400),
        "log": (0, b"l" * 200),
    }
    assert len(chunks(ask(workspace, ("log", 0, ""), limit=1 << 60))["log"][1]) == 5000


def test_runs_share_a_reply(tmp_path: Path) -> None:
    workspace = make_run(tmp_path, log=b"a" * 1000)
    other = workspace.run("experiment", "B_seed1")
    shutil.copytree(workspace.run("experiment", "A_seed1"), other)
    wanted = [(run, KEY, "log", 0, "") for run in ("A_seed1", "B_seed1")]
    reply = agent_poll.poll(workspace, {"folder": "experiment", "files": wanted, "limit": 600})
    assert [len(base64.b64decode(content)) for *_, content in reply["chunks"]] == [300, 300]


@pytest.mark.parametrize("known", [b"another beginning\n", b"longer than the file of the host\n" * 9])
def test_a_local_file_that_is_not_the_beginning_of_the_hosts_is_replaced(tmp_path: Path, known: bytes) -> None:
    workspace = make_run(tmp_path, events=b"first\nsecond\n")
    assert chunks(ask(workspace, ("events", len(known), sha256(known)))) == {"events": (0, b"first\nsecond\n")}
    assert chunks(ask(workspace, ("events", 6, sha256(b"first\n")))) == {"events": (6, b"second\n")}


def test_a_file_that_shrank_is_read_again_from_its_beginning_though_nothing_is_in_it_yet(tmp_path: Path) -> None:
    assert chunks(ask(make_run(tmp_path, events=b"short\n"), ("events", 4000, ""))) == {"events": (0, b"short\n")}
    (tmp_path / "runs" / "experiment" / "A_seed1" / "events.jsonl").write_bytes(b"")
    assert chunks(ask(Workspace(tmp_path), ("events", 4000, ""))) == {"events": (0, b"")}


def test_hashes_of_long_files_are_compared_one_a_reply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_poll, "MAX_HASHED", 10)
    workspace = make_run(tmp_path, events=b"e" * 8, log=b"l" * 8)
    prefixes = ("events", 8, sha256(b"e" * 8)), ("log", 8, sha256(b"l" * 8))
    assert [name for *_, name, _ in ask(workspace, *prefixes)["sizes"]] == ["events"]
    assert [name for *_, name, _ in ask(workspace, ("events", 8, ""), prefixes[1])["sizes"]] == ["events", "log"]


def test_bytes_of_another_launch_are_not_sent(tmp_path: Path) -> None:
    reply = ask(make_run(tmp_path, events=b"new\n"), ("events", 0, ""), key="1" * 32)
    assert reply["chunks"] == reply["sizes"] == []


def test_bytes_that_may_be_of_two_launches_are_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is launched again after its state was read and before its files are."""
    workspace = make_run(tmp_path, events=b"of the older launch\n")
    states = run_states.current_states(workspace, "experiment")
    monkeypatch.setattr(run_states, "current_states", lambda *_: states)
    write_json(workspace.run("experiment", "A_seed1") / "state.json", {"state": "queued", "key": "1" * 32})
    assert ask(workspace, ("events", 0, ""))["chunks"] == []


def test_a_heartbeat_alone_is_no_news(tmp_path: Path) -> None:
    workspace = make_run(tmp_path)
    before = agent_poll.poll(workspace, {"folder": "experiment"})["digest"]
    state = {"state": "finished", "key": KEY, "ended_at": 1.0, "heartbeat": 7}
    write_json(workspace.run("experiment", "A_seed1") / "state.json", state)
    assert agent_poll.poll(workspace, {"folder": "experiment"})["digest"] == before
