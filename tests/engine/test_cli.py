"""``qllm-engine``: bad input in one line, exit codes, signals, train and evaluate alone."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine import cli
from engine.contract.events import End, decode
from tests.engine.tiny_experiment import write_experiment

pytestmark = pytest.mark.server


def run(*arguments: str, experiment: Path | None = None, workspace: Path | None = None) -> list[str]:
    """The arguments of a run of the tiny profile."""
    command = ["run", "--condition", "A", "--seed", "42", "--profile", "tiny", "--device", "cpu", *arguments]
    command += ["--experiment", str(experiment)] if experiment else []
    return command + (["--workspace", str(workspace)] if workspace else [])


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    return write_experiment(tmp_path / "experiment.toml")


def error_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("qllm-engine: error: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_bad_input_is_one_line_and_leaves_nothing_behind(
    tmp_path: Path, experiment: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "output"
    good = ["--experiment", str(experiment), "--output", str(output)]
    unknown = ["run", *good, "--condition", "Z", "--seed", "1", "--profile", "tiny"]
    assert "--condition: no condition 'Z'; known: A, B, C" in error_line(unknown, capsys)
    assert "--profile: no profile 'huge'" in error_line([*run(*good), "--profile", "huge"], capsys)
    assert "--seed" in error_line([*run(*good), "--seed", "-1"], capsys)
    assert "argument --seed" in error_line([*run(*good), "--seed", "many"], capsys)
    assert "--condition" in error_line(["run", *good, "--seed", "1"], capsys)
    assert "missing.toml: no such file" in error_line([*run(*good), "--experiment", "missing.toml"], capsys)
    broken = tmp_path / "broken.toml"
    broken.write_text(experiment.read_text().replace("learning_rate = 3e-4", "learning_rate = -1"))
    message = error_line([*run(*good), "--experiment", str(broken)], capsys)
    line = broken.read_text().splitlines().index("learning_rate = -1") + 1
    assert f"{broken}:{line}: training.learning_rate: " in message
    broken.write_text(experiment.read_text().replace("seeds = [42, 123, 456]", "seeds = [42, 123, 42]"))
    line = broken.read_text().splitlines().index("seeds = [42, 123, 42]") + 1
    assert f"{broken}:{line}: seeds: 42 is named 2 times" in error_line(
        [*run(*good), "--experiment", str(broken)], capsys
    )
    monkeypatch.setenv("WNHOME", str(tmp_path))
    assert "WNHOME" in error_line(run(*good), capsys)
    assert not output.exists()


def test_an_unusable_encoder_is_bad_input_and_its_new_folder_is_removed(
    tmp_path: Path, experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment.write_text(experiment.read_text().replace('model = "minilm"', f'model = "{tmp_path}"'))
    output = tmp_path / "output"
    arguments = run("--output", str(output), experiment=experiment, workspace=tmp_path / "workspace")
    assert "encoder.model: " in error_line(arguments, capsys)
    assert not output.exists()


def test_bad_input_and_help_are_handled_without_heavy_libraries(tmp_path: Path) -> None:
    script = """
import sys
from engine.cli import main
code = main(["run", "--condition", "Z", "--seed", "1", "--output", "x"])
heavy = {"torch", "numpy", "polars", "transformers"} & set(sys.modules)
print(code, sorted(heavy))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "2 []\n"


def test_a_plain_install_is_told_which_package_of_the_engine_is_missing(
    tmp_path: Path, experiment: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    profile = ["--profile", "tiny", "--experiment", str(experiment), "--workspace", str(tmp_path / "workspace")]
    for command in (run("--output", str(tmp_path / "output")), ["check"], ["data", "build"]):
        message = error_line([*command, *profile], capsys)
        assert "torch is not installed here: pip install 'qllm-console[engine]'" in message
    assert not (tmp_path / "output").exists()


def test_a_run_writes_its_events_and_log_and_strict_turns_a_failed_gate_into_an_exit_code(
    tmp_path: Path, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = write_experiment(tmp_path / "unreachable.toml", gate=1.0)
    output = tmp_path / "output"
    arguments = run("--output", str(output), experiment=experiment, workspace=workspace)
    assert cli.main([*arguments, "--strict"]) == 5
    events = [decode(line) for line in (output / "events.jsonl").read_bytes().splitlines()]
    assert [event.seq for event in events] == list(range(len(events)))
    assert isinstance(events[-1].body, End)
    assert events[-1].body.failed_gates[-1] == "coherence_accuracy"
    assert json.loads((output / "metrics.json").read_text())["gates"][2]["passed"] is False
    printed = capsys.readouterr().out
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO \[data\] ", printed)
    assert printed.endswith("coherence_accuracy\n")

    assert "holds a run already" in error_line(arguments, capsys)
    assert cli.main([*arguments, "--resume"]) == 0
    again = [decode(line) for line in (output / "events.jsonl").read_bytes().splitlines()]
    assert [event.seq for event in again] == list(range(len(again)))
    assert again[: len(events)] == events


def test_train_and_evaluate_are_the_two_halves_of_run_and_nothing_is_evaluated_over(
    tmp_path: Path, experiment: Path, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, other = tmp_path / "run", tmp_path / "other"
    arguments = run("--output", str(output), experiment=experiment, workspace=workspace)
    assert cli.main(["train", *arguments[1:]]) == 0
    assert not (output / "metrics.json").exists()
    evaluate = ["evaluate", str(output), "--device", "cpu", "--workspace", str(workspace)]
    assert cli.main(evaluate) == 0
    events = [decode(line) for line in (output / "events.jsonl").read_bytes().splitlines()]
    assert [event.seq for event in events] == list(range(len(events)))
    assert isinstance(events[-1].body, End)
    capsys.readouterr()

    assert "holds an evaluation already; give another folder with --output" in error_line(evaluate, capsys)
    assert cli.main([*evaluate, "--output", str(other)]) == 0
    assert (other / "items.parquet").read_bytes() == (output / "items.parquet").read_bytes()
    capsys.readouterr()

    before = {path.name: path.read_bytes() for path in output.iterdir()}
    (output / "manifest.json").write_text("{}")
    assert "is a sealed run" in error_line(evaluate, capsys)
    assert "is a sealed run" in error_line([*evaluate[:1], str(other), "--output", str(output)], capsys)
    (output / "manifest.json").unlink()
    (output / "metrics.json").unlink()
    assert "holds another run" in error_line([*evaluate[:1], str(other), "--output", str(output)], capsys)
    assert {path.name for path in output.iterdir()} == before.keys() - {"metrics.json"}

    new = tmp_path / "new"
    assert "--profile: RUN_FOLDER has its own settings" in error_line([*evaluate, "--profile", "tiny"], capsys)
    assert "spec.json: not a run folder" in error_line(["evaluate", str(tmp_path), "--output", str(new)], capsys)
    assert "--output" in error_line(["evaluate"], capsys)
    assert "--output: --confirm needs a folder of its own" in error_line([*evaluate, "--confirm", "ship it?"], capsys)
    empty = [*evaluate, "--output", str(new), "--confirm", " "]
    assert "--confirm: give the decision that the scores are for" in error_line(empty, capsys)
    assert not new.exists()


def test_mean_pooling_is_evaluated_without_a_run(
    tmp_path: Path, experiment: Path, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "mean pooling"
    evaluate = ["evaluate", "--experiment", str(experiment), "--profile", "tiny", "--device", "cpu"]
    assert cli.main([*evaluate, "--workspace", str(workspace), "--output", str(output)]) == 0
    metrics = json.loads((output / "metrics.json").read_text())
    assert (metrics["condition"], metrics["head"]) == ("mean_pool", metrics["mean_pool"])
    assert "evaluation: top-1" in capsys.readouterr().out


def test_a_failed_write_is_one_line_and_exit_code_1(
    tmp_path: Path, experiment: Path, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    arguments = run("--output", str(file / "run"), experiment=experiment, workspace=workspace)
    assert cli.main(arguments) == 1
    assert "Not a directory" in capsys.readouterr().err


def test_a_termination_ends_it_at_once_with_its_files_whole(tmp_path: Path, workspace: Path) -> None:
    experiment = write_experiment(tmp_path / "long.toml", epochs=10_000)
    output = tmp_path / "output"
    arguments = run("--output", str(output), experiment=experiment, workspace=workspace)
    command = [sys.executable, "-u", "-m", "engine.cli", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "checkpoint at step 2" in line:
                break
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(timeout=20) == -signal.SIGTERM
    lines = (output / "events.jsonl").read_bytes()
    assert lines.endswith(b"\n")
    assert [decode(line).seq for line in lines.splitlines()] == list(range(lines.count(b"\n")))
    assert not [path for path in output.iterdir() if path.name.endswith(".tmp")]


def test_data_are_written_out_and_shown_and_nothing_of_the_users_is_overwritten(
    tmp_path: Path, workspace: Path, experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = ["data", "build", "--profile", "tiny", "--experiment", str(experiment), "--workspace", str(workspace)]
    out = tmp_path / "out"
    assert "--edition" in error_line([*build, "--edition", "v2.3"], capsys)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    assert "holds other files" in error_line([*build, "--out", str(tmp_path / "mine")], capsys)
    assert cli.main([*build, "--device", "cpu", "--edition", "v2.3", "--out", str(out)]) == 0
    assert capsys.readouterr().out.endswith(f"{out}\n")
    assert (out / "bundles_v2.3.jsonl").is_file()
    assert not (out / "bundles_v2.2.jsonl").exists()
    assert cli.main(["data", "check", *map(str, sorted(out.glob("*.jsonl")))]) == 0
    capsys.readouterr()
    assert cli.main(["data", "show", str(out), "--count", "2"]) == 0
    assert capsys.readouterr().out.count("**") >= 8
    assert "no edition 'enriched'" in error_line(["data", "show", str(out), "--edition", "enriched"], capsys)
