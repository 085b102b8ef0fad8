"""Two experiments never share a folder of runs; one experiment keeps its own wherever its file goes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from console.runs.experiment_source import SOURCE, check_source, read_source, write_source
from engine.contract.bad_input import BadInput
from engine.contract.experiment_reader import read_experiment
from tests.console.tiny import write_experiment


@pytest.fixture
def launched(tmp_path: Path) -> Path:
    """The file of an experiment that was launched from it."""
    file = write_experiment(tmp_path / "one")
    (tmp_path / "runs/tiny-tiny").mkdir(parents=True)
    write_source(tmp_path / "runs", file, read_experiment(file), "tiny")
    return file


def check(runs: Path, file: Path) -> None:
    check_source(runs, file, read_experiment(file), "tiny")


def test_another_file_with_the_same_name_is_refused(launched: Path, tmp_path: Path) -> None:
    other = write_experiment(tmp_path / "two", epochs=3)
    line = next(number for number, text in enumerate(other.read_text().splitlines(), 1) if text.startswith("name"))
    with pytest.raises(BadInput, match=f"{launched}, which has the same name") as raised:
        check(tmp_path / "runs", other)
    assert (raised.value.file, raised.value.line, raised.value.field) == (other, line, "name")
    check(tmp_path / "other runs", other)


def test_the_same_experiment_is_not(launched: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    check(runs, launched)
    check(runs, write_experiment(tmp_path / "copy"))
    (tmp_path / "link.toml").symlink_to(launched)
    check(runs, tmp_path / "link.toml")
    moved = launched.rename(tmp_path / "moved.toml")
    moved.write_text(moved.read_text() + "\n# edited\n")
    check(runs, moved)
    launched.write_text(moved.read_text().replace('name = "tiny"', 'name = "renamed"', 1))
    check(runs, moved)


def test_a_folder_whose_name_ignores_case_is_not_shared(launched: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs/tiny-tiny"
    source = read_source(folder)
    assert source is not None
    # as on a file system on which Tiny-tiny and tiny-tiny are one folder
    (folder / SOURCE).write_bytes(msgspec.json.encode(replace(source, name="Tiny", folder="Tiny-tiny")))
    launched.unlink()
    with pytest.raises(BadInput, match="holds the runs of 'Tiny'"):
        check(tmp_path / "runs", write_experiment(tmp_path / "two"))


def test_a_damaged_record_stops_nothing(launched: Path, tmp_path: Path) -> None:
    (tmp_path / "runs/tiny-tiny" / SOURCE).write_bytes(b"{")
    check(tmp_path / "runs", write_experiment(tmp_path / "two", epochs=3))
