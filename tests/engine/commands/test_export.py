"""``qllm-engine export``: what it writes, and the one line for what it cannot export."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import cli
from engine.contract.experiment import EncoderSettings, ModelSettings
from tests.engine.export.trained_run import TrainedRun

Make = Callable[..., TrainedRun]


@pytest.fixture
def make(tmp_path: Path, tiny_encoder: Path) -> Make:
    return lambda steps=4: TrainedRun(
        tmp_path / "run", EncoderSettings(str(tiny_encoder), (2,)), ModelSettings(), steps
    )


def refused(capsys: pytest.CaptureFixture[str], *arguments: Path | str) -> str:
    assert cli.main(["export", *map(str, arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("qllm-engine: error: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_it_writes_the_folder_and_the_event_file(make: Make, tmp_path: Path) -> None:
    run = make()
    destination, logs = tmp_path / "exported", tmp_path / "logs"
    assert cli.main(["export", str(run.folder.root), str(destination), "--tensorboard", str(logs)]) == 0
    assert {path.name for path in destination.iterdir()} >= {
        "README.md",
        "config_sentence_transformers.json",
        "curves.csv",
        "encoder",
        "head.safetensors",
        "modules.json",
        "sense_encoder.json",
        "sense_encoder.py",
    }
    assert len(list((logs / "A_seed1").glob("events.out.tfevents.*"))) == 1


def test_what_cannot_be_exported_is_one_line_and_leaves_nothing_behind(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = tmp_path / "exported"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "not a run folder" in refused(capsys, empty, destination)
    run = make().folder
    assert "is not empty" in refused(capsys, run.root, run.root)
    assert "is no folder" in refused(capsys, run.root, run.metrics)
    assert "give another folder" in refused(capsys, run.root, destination / "A_seed1", "--tensorboard", destination)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    missing = refused(capsys, run.root, destination, "--tensorboard", tmp_path / "logs")
    assert "tensorboardX is not installed here: pip install 'qllm-console[tensorboard]'" in missing
    metrics = run.metrics.read_bytes()
    run.metrics.write_bytes(b"{}")
    assert "not a run's metrics" in refused(capsys, run.root, destination)
    run.metrics.write_bytes(metrics)
    run.checkpoint.unlink()
    assert "this run has not been trained" in refused(capsys, run.root, destination)
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "run"}


def test_a_run_whose_training_has_not_ended_is_refused(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(capsys, make(steps=3).folder.root, tmp_path / "exported")
    assert "training stopped after step 3 of 4; resume it first" in message


def test_another_encoder_than_the_run_trained_on_is_refused(
    tmp_path: Path, tiny_encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = tmp_path / "encoder"
    shutil.copytree(tiny_encoder, encoder)
    run = TrainedRun(tmp_path / "run", EncoderSettings(str(encoder), (2,)), ModelSettings())
    config = encoder / "config.json"
    config.write_text(config.read_text() + " ")
    assert "trained on another encoder" in refused(capsys, run.folder.root, tmp_path / "exported")
    config.unlink()
    assert "has no config.json" in refused(capsys, run.folder.root, tmp_path / "exported")


def test_a_write_that_fails_leaves_nothing_behind(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.export.model_folder.shutil.copyfile", full)
    assert cli.main(["export", str(run.folder.root), str(tmp_path / "exported")]) == 1
    assert "No space left" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
