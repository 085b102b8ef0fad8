"""Polls: states, and new bytes of runs by offset."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from console.hosts.agent import poll as agent_poll
from console.hosts.agent import run_states
from console.hosts.agent.state_file import Remembered
from console.hosts.agent.workspace import Refused, Workspace, seal, write_json
from tests.console.hosts.agent import odd_files
from tests.console.hosts.agent.odd_files import NOT_FILES, NOT_STATES

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


@pytest.mark.fault(
    "events or log of a run: a folder, a FIFO, a symlink to /etc/passwd",
    "nothing else is read or sent, the run is named, polls of all runs go on",
)
@pytest.mark.timeout(30)
@pytest.mark.parametrize("odd", NOT_FILES)
@pytest.mark.parametrize("sha", ["", sha256(b"abc")], ids=["known", "to compare"])
def test_what_is_no_file_is_named_and_not_sent(
    tmp_path: Path, odd: str, sha: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = make_run(tmp_path, events=b"an event\n", log=b"a log\n")
    other = workspace.run("experiment", "B_seed1")
    shutil.copytree(workspace.run("experiment", "A_seed1"), other)
    odd_files.replace(workspace.run("experiment", "A_seed1") / "log.txt", NOT_FILES[odd])
    wanted = [("A_seed1", KEY, "log", 3, sha), ("A_seed1", KEY, "events", 0, ""), ("B_seed1", KEY, "log", 0, "")]
    reply = agent_poll.poll(workspace, {"folder": "experiment", "files": wanted})
    assert [chunk[:3] for chunk in reply["chunks"]] == [["A_seed1", KEY, "events"], ["B_seed1", KEY, "log"]]
    assert ["A_seed1", KEY, "log", -1] in reply["sizes"]
    assert reply["states"]["A_seed1"]["reason"].startswith("log.txt cannot be read: it is a")
    assert reply["states"]["B_seed1"].get("reason") is None
    again = agent_poll.poll(workspace, {"folder": "experiment", "files": wanted[:1]})
    pauses: list[float] = []
    monkeypatch.setattr("console.hosts.agent.poll.time.sleep", pauses.append)
    known = {"folder": "experiment", "files": wanted[:1], "digest": again["digest"], "wait": 0.1}
    assert agent_poll.poll(workspace, known)["chunks"] == []
    assert pauses, "it is no news, however often it is requested"


def test_a_log_of_another_user_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    workspace = make_run(tmp_path, log=b"a log\n")
    monkeypatch.setattr(agent_poll, "open_regular", refuse)
    assert ask(workspace, ("log", 0, ""))["states"]["A_seed1"]["reason"] == "log.txt cannot be read: Permission denied"


@pytest.mark.parametrize("odd", [*NOT_FILES, *NOT_STATES])
def test_a_manifest_that_is_none_seals_nothing(tmp_path: Path, odd: str) -> None:
    workspace = make_run(tmp_path)
    manifest = workspace.run("experiment", "A_seed1") / "manifest.json"
    odd_files.replace(manifest, {**NOT_FILES, **NOT_STATES}[odd])
    sealed = agent_poll.poll(workspace, {"folder": "experiment"})["sealed"]["A_seed1"]
    assert sealed in ("", KEY)
    assert sealed == "" or b'"key": "%s"' % KEY.encode() in manifest.read_bytes()


def test_a_manifest_is_noticed_when_it_is_written_and_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = make_run(tmp_path)
    before = agent_poll.poll(workspace, {"folder": "experiment"})
    seal(workspace.run("experiment", "A_seed1"), KEY)
    after = agent_poll.poll(workspace, {"folder": "experiment", "digest": before["digest"]})
    assert (before["sealed"], after["sealed"]) == ({"A_seed1": ""}, {"A_seed1": KEY})
    monkeypatch.setattr("console.hosts.agent.poll.load_json", None)
    assert agent_poll.poll(workspace, {"folder": "experiment"})["sealed"] == {"A_seed1": KEY}


def test_a_report_that_has_not_changed_is_not_sent_again(tmp_path: Path) -> None:
    workspace = make_run(tmp_path, log=b"a log")
    request = {"folder": "experiment", "files": [("A_seed1", KEY, "log", 0, "")]}
    first = agent_poll.poll(workspace, request)
    second = agent_poll.poll(workspace, {**request, "digest": first["digest"]})
    assert {"states", "sealed", "unnamed"} == set(first) - set(second)
    assert second["chunks"] == first["chunks"]


@pytest.mark.fault(
    "1,000 runs on the host that the experiment does not name, states of a megabyte among them",
    "counted once; the reply and its cost are those of the runs that are named",
)
def test_runs_that_are_not_named_are_counted_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = make_run(tmp_path)
    for number in range(1000):
        folder = workspace.run("experiment", f"B_seed{number}")
        folder.mkdir()
        (folder / "state.json").write_bytes(b'{"reason": "%s"}' % (b"r" * 1000))
    request = {"folder": "experiment", "runs": ["A_seed1", "A_seed2"]}
    read: list[Path] = []
    monkeypatch.setattr(run_states, "RECORDED", Remembered(lambda path: read.append(path) or {}, bool))  # type: ignore[func-returns-value]
    agent_poll.poll(workspace, request)
    assert {path.parent.name for path in read} == {"A_seed1"}
    monkeypatch.undo()
    reply = agent_poll.poll(workspace, request)
    assert (set(reply["states"]), reply["unnamed"]) == ({"A_seed1"}, 1000)
    assert len(json.dumps(reply)) < 1000
    assert "unnamed" not in agent_poll.poll(workspace, {**request, "digest": reply["digest"]}), "nothing new"


def test_more_runs_than_a_reply_can_hold_are_refused(tmp_path: Path) -> None:
    runs = [f"A_seed{number}" for number in range(agent_poll.MAX_RUNS + 1)]
    with pytest.raises(Refused, match="2,001 runs"):
        agent_poll.poll(make_run(tmp_path), {"folder": "experiment", "runs": runs})


def test_a_console_whose_bytes_were_compared_is_told_at_once(tmp_path: Path) -> None:
    workspace = make_run(tmp_path, log=b"a log")
    digest = agent_poll.poll(workspace, {"folder": "experiment"})["digest"]
    wanted = [("A_seed1", KEY, "log", 5, sha256(b"a log"))]
    request = {"folder": "experiment", "files": wanted, "digest": digest, "wait": 1e9}
    assert agent_poll.poll(workspace, request)["sizes"] == [["A_seed1", KEY, "log", 5]]


def test_the_free_bytes_of_the_hosts_disk_are_in_every_reply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = make_run(tmp_path)
    free = agent_poll.poll(workspace, {"folder": "experiment"})["disk_free"]
    assert 0 < free <= shutil.disk_usage(tmp_path).total
    monkeypatch.setattr("os.statvfs", lambda _: Path("/nowhere/at/all").stat())
    assert agent_poll.poll(workspace, {"folder": "experiment"})["disk_free"] is None
