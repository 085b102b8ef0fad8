"""What commands print with ``--json`` fits the schemas, and ``docs/json.md`` is what these are now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from console.cli import main
from console.commands.answers import SCHEMA_VERSIONS, envelope
from console.commands.json_schemas import schemas
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId
from engine.contract.toml_file import find_config
from tests.console.commands.json_checker import checked
from tests.console.commands.json_page import PAGE, page
from tests.console.results.capsules import row, write_capsule


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, experiment = tmp_path_factory.mktemp("runs"), read_experiment(find_config("scaling.toml"))
    for number, condition in enumerate(("A", "B")):
        for seed in (42, 123):
            rows = [row(f"r{item}", 1 + (item + number) % 3, margin=0.1) for item in range(6)]
            rows.append(row("c0", 1, kind="coherence", margin=0.2, tier=""))
            write_capsule(folder / "scaling", experiment, RunId(condition, seed), rows)
    return folder


def printed(capsys: pytest.CaptureFixture[str], runs: Path, *arguments: str) -> Any:
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--runs", str(runs), "--json"])
    out, err = capsys.readouterr()
    assert end.value.code == 0, err
    return checked(out)


@pytest.mark.parametrize(
    ("arguments", "schema"),
    [
        ("results", "results"),
        ("compare B A", "comparison"),
        ("items --fixed-by B", "items"),
        ("decide go-on --reason more", "decision"),
        ("decisions", "decisions"),
        ("run --condition A --set training.epochs=3 --dry-run", "launch-choice"),
    ],
)
def test_what_a_command_prints_fits_its_schema(
    runs: Path, capsys: pytest.CaptureFixture[str], arguments: str, schema: str
) -> None:
    body = printed(capsys, runs, *arguments.split())
    assert (body["schema"], body["command"]) == (f"qllm-console.{schema}", arguments.split(maxsplit=1)[0])


def test_without_any_run_the_results_fit_their_schema_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, tmp_path, "results")["analysis"]["verdict"] == "incomplete"


def test_the_page_of_schemas_is_as_the_types_are_now() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.console.commands.json_page"


def test_every_schema_has_a_version_and_an_example_of_a_command() -> None:
    assert {one.name for one in schemas()} == set(SCHEMA_VERSIONS)
    assert all(one.commands for one in schemas())


def test_the_checker_sees_what_does_not_fit() -> None:
    answer = {"runs": [], "conditions": [], "new_seeds": [7], "added_toml": ""}
    assert checked(json.dumps(envelope("launch-choice", "run", answer)))
    for wrong in ({"new_seeds": ["7"]}, {"more": 1}, {"added_toml": None}, {"runs": [{"condition": "A"}]}):
        with pytest.raises(AssertionError):
            checked(json.dumps(envelope("launch-choice", "run", answer | wrong)))


def test_schema_prints_one_or_lists_all(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["schema"], ["schema", "status"]):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 0
    out = capsys.readouterr().out
    assert "sync-folder    sync push, sync pull --from PATH" in out and '"const": "qllm-console.status"' in out
    with pytest.raises(SystemExit):
        main(["schema", "stats"])
    assert capsys.readouterr().err.startswith("qllm-console: error: NAME: no schema 'stats'; known: status, ")
