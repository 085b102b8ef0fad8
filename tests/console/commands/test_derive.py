"""``qllm-console derive``: lists the steps, prints what one adds, and writes it only when told to."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from console.cli import main
from console.commands import derive as module
from console.results.next_steps.records import Change, NextStep
from tests.console.commands.json_checker import checked
from tests.console.tiny import write_experiment

STEPS = (
    NextStep(
        1, "train longer", "supported", "do", changes=(Change("A", "[training]\nepochs = 3\n"), Change("B", "x = 1"))
    ),
    NextStep(2, "more seeds", "no evidence", "add", changes=(Change(more_seeds=2),)),
    NextStep(3, "think", "no evidence", "read the failures"),
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = SimpleNamespace(next_steps=STEPS, analysis=SimpleNamespace(results_fingerprint="ab" * 32))
    monkeypatch.setattr(module, "local_results", lambda _: SimpleNamespace(report=lambda: found))
    write_experiment(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], place: Path, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(["derive", "--experiment", str(place / "experiment.toml"), *arguments])
    return int(str(end.value.code)), *capsys.readouterr()


def test_steps_are_listed_with_what_they_would_add(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, place)
    assert code == 0 and "1     supported    from A, from B  train longer" in out
    assert "2     no evidence  2 seeds         more seeds" in out
    _, out, _ = run(capsys, place, "--json")
    assert [one["order"] for one in checked(out)["steps"]] == [1, 2, 3]


def test_a_step_is_printed_and_only_written_when_told_to(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, place, "1", "--parent", "A")
    assert code == 0 and '[conditions."A.2"' in out and err == "would add: A.2\n"
    assert list(place.glob("*.derived.toml")) == []
    code, out, _ = run(capsys, place, "1", "--parent", "A", "--write", "--json")
    assert code == 0 and checked(out)["addition"]["names"] == ["A.2"] and checked(out)["written"] is True
    (written,) = place.glob("*.derived.toml")
    assert "epochs = 3" in written.read_text() and "train longer" in written.read_text()


def test_an_edited_change_takes_the_place_of_the_proposed_one(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edited = place / "edited.toml"
    edited.write_text("seeds = [7]\n")
    code, _, err = run(capsys, place, "2", "--change", str(edited))
    assert code == 0 and err == "would add: seeds 7\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("9",), "STEP: no step 9; known: 1, 2, 3"),
        (("x",), "STEP: 'x' is not a whole number"),
        (("3",), "STEP: step 3 adds nothing to the experiment: read the failures"),
        (("1",), "--parent: name the condition that it is derived from; known: A, B"),
        (("1", "--parent", "B"), "line 1: x: "),
        (("1", "--parent", "A", "--write", "--read-only"), "--read-only: nothing is added to the experiment"),
        (("2", "--change", "none.toml"), "none.toml: no such file"),
    ],
)
def test_what_cannot_be_added_is_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], expected: str
) -> None:
    code, out, err = run(capsys, place, *arguments)
    assert (code, out) == (2, "") and err.startswith(f"qllm-console: error: {expected}") and err.count("\n") == 1
    assert list(place.glob("*.derived.toml")) == []
