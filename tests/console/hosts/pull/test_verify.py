"""Local capsules against their manifests: every byte is read, and what differs is named with how."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from console.hosts.agent.workspace import seal
from console.hosts.pull.verify import READ_SIZE, VerifyResult, verify_runs
from engine.contract.settings import RunId

RUN, OTHER, ABSENT = RunId("A", 42), RunId("B", 42), RunId("C", 42)


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    for number, run in enumerate((RUN, OTHER)):
        folder = tmp_path / str(run)
        (folder / "sub").mkdir(parents=True)
        (folder / "items.parquet").write_bytes(os.urandom(1000))
        (folder / "sub" / "log.txt").write_bytes(b"line\n" * (number + 1))
        seal(folder, f"{number:032}")
    return tmp_path


def become_a_symlink(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


def become_a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def whole(runs_dir: Path) -> VerifyResult:
    return list(verify_runs(runs_dir, (RUN, OTHER, ABSENT)))[-1]


def test_capsules_that_are_right_are_counted_by_files_and_bytes(runs_dir: Path) -> None:
    assert whole(runs_dir) == VerifyResult(2, 4, 4, 2015, 2015, 2015)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.write_bytes(os.urandom(1000)), "its SHA-256 differs"),
        (lambda path: path.write_bytes(b"short"), "it has 5 bytes instead of 1,000"),
        (lambda path: path.write_bytes(bytes(2000)), "it has 2,000 bytes instead of 1,000"),
        (lambda path: path.unlink(), "it is missing"),
        (become_a_symlink, "it cannot be read"),
        (become_a_fifo, "it cannot be read"),
    ],
    ids=["changed", "shorter", "longer", "gone", "a symlink", "a FIFO"],
)
def test_a_file_that_differs_is_named_with_how(runs_dir: Path, spoil: object, why: str) -> None:
    spoil(runs_dir / str(OTHER) / "items.parquet")  # type: ignore[operator]
    found = whole(runs_dir)
    (one,) = found.differing
    assert (one.run, one.key, one.path) == (OTHER, f"{1:032}", "items.parquet") and one.why.startswith(why)
    assert (found.files, found.bytes) == (3, 1015)


def test_a_capsule_replaced_while_it_is_read_is_verified_to_its_end(runs_dir: Path) -> None:
    """The folder is set aside as a pull does it: what was begun is ended there."""
    steps = verify_runs(runs_dir, (RUN,))
    while not next(steps).bytes_read:
        pass
    (runs_dir / str(RUN)).rename(runs_dir / "aside")
    (runs_dir / str(RUN)).mkdir()
    assert not list(steps)[-1].differing


def test_progress_of_a_big_file_is_reported_in_pieces(tmp_path: Path) -> None:
    folder = tmp_path / str(RUN)
    folder.mkdir()
    (folder / "checkpoint.safetensors").write_bytes(bytes(2 * READ_SIZE + 1))
    seal(folder, "0" * 32)
    read = [step.bytes_read for step in verify_runs(tmp_path, (RUN,))]
    assert read == [0, READ_SIZE, 2 * READ_SIZE, 2 * READ_SIZE + 1, 2 * READ_SIZE + 1]


def test_hostile_names_are_safe_to_show_and_read_nothing_outside(runs_dir: Path) -> None:
    manifest = runs_dir / str(RUN) / "manifest.json"
    manifest.write_text(manifest.read_text().replace("items.parquet", "../B_seed42/items.parquet"))
    assert whole(runs_dir).runs == 1
