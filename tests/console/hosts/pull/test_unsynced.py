"""What a host holds that is not local: each way in which a byte can be missing is found, and a full copy has none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from console.hosts.agent.inventory import list_launches
from console.hosts.agent.workspace import JOB, Workspace, seal, write_json
from console.hosts.pull.unsynced import decode_launches, unsynced

ONE, TWO = "a" * 32, "b" * 32
RUN = "A_seed1"


class Both:
    """A workspace with a sealed run and a local copy of it."""

    def __init__(self, folder: Path) -> None:
        self.workspace = Workspace(folder / "host")
        self.workspace.prepare()
        self.runs = folder / "runs"
        self.remote = self.add("experiment", RUN, ONE)
        self.local = self.copy(self.remote)

    def add(self, folder: str, run: str, key: str, state: str = "finished", *, sealed: bool = True) -> Path:
        """A run on the host."""
        path = self.workspace.root / "runs" / folder / run
        path.mkdir(parents=True)
        (path / "metrics.json").write_text("{}")
        (path / "events.jsonl").write_text("one\ntwo\n")
        write_json(path / "state.json", {"key": key, "state": state})
        if sealed:
            seal(path, key)
        return path

    def copy(self, remote: Path) -> Path:
        local = self.runs / remote.relative_to(self.workspace.root / "runs")
        shutil.copytree(remote, local)
        return local

    def reasons(self) -> tuple[str, ...]:
        return unsynced(self.runs, decode_launches(list_launches(self.workspace, {})))


@pytest.fixture
def both(tmp_path: Path) -> Both:
    return Both(tmp_path)


def test_a_copy_that_is_full_lacks_nothing(both: Both) -> None:
    both.copy(both.add("another", "B_seed2", TWO, "failed"))
    (both.workspace.root / "runs" / "experiment" / ".launching").mkdir()
    assert both.reasons() == ()


def set_aside(both: Both) -> None:
    both.add("experiment", f".previous/{RUN}-{TWO}", TWO)


def set_aside_unknown(both: Both) -> None:
    """What had no key that could be read when it was set aside."""
    (both.add("experiment", f".previous/{RUN}-unknown-7", "", sealed=False) / "state.json").unlink()


def relaunch(both: Both) -> None:
    shutil.rmtree(both.remote)
    both.add("experiment", RUN, TWO)


def claim(both: Both) -> None:
    """A launch that is claimed and whose folder is not in place yet."""
    folder = both.workspace.jobs / TWO
    folder.mkdir()
    write_json(folder / JOB, {"run_folder": str(both.remote.with_name("A_seed2")), "ticket": 1, "argv": [], "slots": 1})


def replace_by_link(both: Both) -> None:
    (both.local / "events.jsonl").rename(both.local.parent / "events.jsonl")
    (both.local / "events.jsonl").symlink_to(both.local.parent / "events.jsonl")


def adapt_manifest(both: Both) -> None:
    (both.local / "events.jsonl").write_text("one\n")
    seal(both.local, ONE)


def leave_out(both: Both) -> None:
    (both.remote / "linked").symlink_to("metrics.json")
    seal(both.remote, ONE)
    shutil.copy(both.remote / "manifest.json", both.local)


def unmounted(both: Both, link: str) -> None:
    """Runs on a disk of its own that is not mounted now."""
    (both.workspace.root / "runs" / link).symlink_to("/mnt/nothing-is-mounted-here")


def rewrite(path: Path, content: str) -> None:
    path.write_text(content)


WAYS: dict[str, tuple[Callable[[Both], object], str]] = {
    "not pulled": (lambda both: shutil.rmtree(both.local), f"experiment/{RUN} ({ONE[:8]}): not synced"),
    "no local manifest": (lambda both: (both.local / "manifest.json").unlink(), "not synced"),
    "local manifest of another launch": (lambda both: seal(both.local, TWO), "not synced"),
    "local manifest adapted to a damage": (
        adapt_manifest,
        "not synced",
    ),
    "local file deleted": (lambda both: (both.local / "events.jsonl").unlink(), "events.jsonl: it is missing"),
    "local file cut": (lambda both: rewrite(both.local / "events.jsonl", "one\ntw"), "6 bytes instead of 8"),
    "local byte changed": (lambda both: rewrite(both.local / "events.jsonl", "one\ntwO\n"), "its SHA-256 differs"),
    "local file is a link": (replace_by_link, "events.jsonl: it cannot be read"),
    "written after the seal": (lambda both: rewrite(both.remote / "events.jsonl", "one\ntwo\n3\n"), "differs from its"),
    "added after the seal": (lambda both: rewrite(both.remote / "late.txt", "x"), "by now: late.txt"),
    "left out of the capsule": (leave_out, "its capsule leaves out linked: it is a symlink"),
    "not sealed": (lambda both: (both.remote / "manifest.json").unlink(), "ended, not sealed"),
    "manifest unreadable": (lambda both: rewrite(both.remote / "manifest.json", "{"), "manifest.json is no JSON"),
    "state unreadable": (lambda both: rewrite(both.remote / "state.json", "{"), "is lost"),
    "state missing": (lambda both: (both.remote / "state.json").unlink(), "is lost"),
    "launched again": (relaunch, f"({TWO[:8]}): not synced"),
    "being launched": (claim, "experiment/A_seed2 (bbbbbbbb): is queued"),
    "lost": (lambda both: both.add("experiment", "A_seed2", TWO, "running", sealed=False), "is lost"),
    "of another experiment": (lambda both: both.add("another", RUN, TWO), f"another/{RUN} ({TWO[:8]}): not synced"),
    "results set aside": (set_aside, f"experiment/{RUN} (set aside, {TWO[:8]}): not synced"),
    "set aside without a key": (set_aside_unknown, f"experiment/{RUN}: its state cannot be read"),
    "experiment on a disk that is not mounted": (
        lambda both: unmounted(both, "other"),
        "other/: a link to what is not",
    ),
    "run on a disk that is not mounted": (
        lambda both: unmounted(both, "experiment/B_seed9"),
        "experiment/B_seed9: a link to what is not there",
    ),
    "odd folder": (lambda both: (both.workspace.root / "runs" / "\x1b[2J").mkdir(), "no folder of an experiment"),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_in_which_a_byte_can_be_missing_is_found(both: Both, way: str) -> None:
    change, expected = WAYS[way]
    change(both)
    (reason,) = both.reasons()
    assert expected in reason and "\x1b" not in reason


def test_what_was_set_aside_is_found_in_the_local_folder_for_it(both: Both) -> None:
    set_aside(both)
    both.copy(both.remote.parent / ".previous" / f"{RUN}-{TWO}")
    assert both.reasons() == ()


def test_a_launch_that_was_set_aside_without_results_may_be_lost(both: Both) -> None:
    path = both.add("experiment", f".previous/{RUN}-{TWO}", TWO, "lost", sealed=False)
    (path / "metrics.json").unlink()
    assert both.reasons() == ()


def test_a_name_that_leads_elsewhere_is_never_a_path(both: Both, tmp_path: Path) -> None:
    (launch,) = decode_launches(list_launches(both.workspace, {}))
    odd = decode_launches(
        {"launches": [{**{name: getattr(launch, name) for name in launch.__struct_fields__}, "run": "../x"}]}
    )
    assert unsynced(both.runs, odd) == (f"experiment/../x ({ONE[:8]}): it has no name of a run",)
