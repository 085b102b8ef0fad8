"""Restoring a run that was set aside: an exchange that loses neither, and that can be asked for again at any point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from console.hosts.agent import restore as restoring
from console.hosts.agent.restore import list_set_aside, restore
from console.hosts.agent.workspace import LOCK, Refused, Workspace, seal, write_json
from engine.contract.file_lock import locked

OLD, NEW, THIRD = "a" * 32, "b" * 32, "c" * 32
RUN = {"folder": "experiment", "run": "A_seed1"}


class Host:
    """A workspace with two sealed launches of a run: ``NEW`` in place and ``OLD`` set aside."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(root)
        self.workspace.prepare()
        self.run_folder = self.workspace.run("experiment", "A_seed1")
        self.previous = self.run_folder.parent / ".previous"
        self.write(self.run_folder, NEW, "failed")
        self.write(self.previous / f"A_seed1-{OLD}", OLD, "finished")

    def write(self, folder: Path, key: str, state: str) -> None:
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(key)
        write_json(folder / "state.json", {"key": key, "state": state, "ended_at": 7.0, "reason": f"launch {key[0]}"})
        seal(folder, key)

    def restore(self, key: str = OLD, replaces: str = NEW) -> dict[str, Any]:
        return restore(self.workspace, {**RUN, "key": key, "replaces": replaces})

    def listed(self) -> list[str]:
        return [launch["key"] for launch in list_set_aside(self.workspace, dict(RUN))["launches"]]

    def folders(self) -> dict[str, str]:
        """The launch whose results each folder of the run has."""
        folders = [self.run_folder, *self.previous.iterdir()]
        return {folder.name: (folder / "metrics.json").read_text()[0] for folder in folders if folder.exists()}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


RESTORED = {"A_seed1": "a", f"A_seed1-{NEW}": "b"}


def test_the_launch_that_was_set_aside_and_the_present_one_change_places(host: Host) -> None:
    assert host.restore() == {"key": OLD, "state": "finished"}
    assert host.folders() == RESTORED
    assert host.restore() == {"key": OLD, "state": "finished"}, "asked again"
    assert host.restore(NEW, OLD) == {"key": NEW, "state": "failed"}
    assert host.folders() == {"A_seed1": "b", f"A_seed1-{OLD}": "a"}


def test_what_was_set_aside_is_listed_with_what_it_has(host: Host) -> None:
    host.write(host.previous / f"A_seed12-{THIRD}", THIRD, "finished")  # of another run
    (host.previous / f"A_seed1-{THIRD}").mkdir()
    (host.previous / f"A_seed1-{THIRD}" / "state.json").write_text("{")
    reply = list_set_aside(host.workspace, dict(RUN))
    assert reply["present"] == NEW
    assert {launch["key"]: (launch["state"], launch["results"]) for launch in reply["launches"]} == {
        OLD: ("finished", True),
        THIRD: ("", False),
    }
    nothing = list_set_aside(host.workspace, {**RUN, "run": "B_seed1"})
    assert nothing == {"launches": [], "present": ""}


@pytest.mark.parametrize(
    ("key", "replaces", "reason"),
    [
        (THIRD, NEW, "nothing of this run was set aside"),
        (OLD, THIRD, "launched or restored meanwhile"),
        ("../../x", NEW, "not the key of a launch"),
    ],
)
def test_anything_else_than_what_the_operator_saw_is_refused(host: Host, key: str, replaces: str, reason: str) -> None:
    before = host.folders()
    with pytest.raises(Refused, match=reason):
        host.restore(key, replaces)
    assert host.folders() == before


def test_an_active_run_is_not_replaced(host: Host) -> None:
    write_json(host.run_folder / "state.json", {"key": NEW, "state": "running"})
    job = host.workspace.job(NEW)
    job.mkdir()
    write_json(job / "job.json", {"key": NEW, "ticket": 1, "run_folder": str(host.run_folder)})
    with locked(job / LOCK), pytest.raises(Refused, match="abort it first"):
        host.restore()
    assert host.folders()["A_seed1"] == "b"


@pytest.mark.fault("agent killed in the middle of a restore", "one of both launches is in place, none is lost")
@pytest.mark.parametrize("atomic", [True, False])
def test_a_restore_that_was_interrupted_is_completed_by_the_next(
    host: Host, monkeypatch: pytest.MonkeyPatch, atomic: bool
) -> None:
    """Interrupted after each rename in turn."""

    class Killed(BaseException):
        pass

    exchange = restoring.exchange

    def killed(one: Path, other: Path) -> None:
        if atomic:
            exchange(one, other)
        raise Killed

    monkeypatch.setattr(restoring, "exchange", killed)
    with pytest.raises(Killed):
        host.restore()
    assert sorted(host.folders().values()) == ["a", "b"] and host.run_folder.exists()
    monkeypatch.undo()
    assert host.restore() == {"key": OLD, "state": "finished"}
    assert host.folders() == RESTORED and host.listed() == [NEW]


def test_without_a_present_run_the_other_is_put_in_place(host: Host) -> None:
    host.run_folder.rename(host.previous / f"A_seed1-{NEW}")
    assert host.restore()["key"] == OLD
    assert host.folders() == RESTORED


def test_two_folders_are_exchanged_without_help_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(name)
    restoring.exchange(tmp_path / "one", tmp_path / "other")
    assert {path.name: (path / "name").read_text() for path in tmp_path.iterdir()} == {"one": "other", "other": "one"}
