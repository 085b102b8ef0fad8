"""An experiment over files of the user's own, all made up and tiny."""

from __future__ import annotations

from pathlib import Path

from engine.contract.experiment import Experiment
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId, Settings, resolve
from engine.contract.toml_file import find_config
from engine.data.formats.user_files import UserFiles, read_user_files
from tests.engine.data.formats import sample_lines as samples

EVALUATION = """
[evaluation]
retrieval = "retrieval.jsonl"
coherence = "coherence.jsonl"
attention = "attention.jsonl"
killers = "killers.jsonl"
"""
TINY = """
[profiles.tiny]
title = "seconds"
epochs = 2
warm_start_steps = 5
[profiles.tiny.data]
train_lemmas = 30
dev_lemmas = 10
eval_lemmas = 15
retrieval_items = 20
coherence_items = 12
adversarial_bundles = 4
"""
BUNDLES = 'bundles = ["grouped.jsonl", "listed.jsonl", "bundles21.jsonl"]'


def write_files(folder: Path) -> None:
    """A file of each shape: 36 bundles of each kind over twelve lemmas, 12 items of each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    samples.write(folder / "grouped.jsonl", map(samples.grouped, range(36)))
    samples.write(folder / "listed.jsonl", map(samples.listed, range(12)))
    samples.write(folder / "bundles21.jsonl", map(samples.bundle21, range(12)))
    samples.write(folder / "retrieval.jsonl", map(samples.retrieval, range(12)))
    samples.write(folder / "coherence.jsonl", map(samples.coherence, range(12)))
    samples.write(folder / "attention.jsonl", map(samples.attention, range(12)))
    samples.write(folder / "killers.jsonl", map(samples.killer, range(0, 12, 3)))


def write_user_experiment(folder: Path, *, user_bundles: bool = True, user_evaluation: bool = True) -> Path:
    """The project's experiment with condition A's bundles, or the evaluation, or both, from files beside it."""
    write_files(folder)
    lines = find_config("scaling.toml").read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith("#"))  # its comments name files too
    if user_bundles:
        text = text.replace('edition = "v2.2"', BUNDLES)
    path = folder / "experiment.toml"
    path.write_text(text + TINY + (EVALUATION if user_evaluation else ""))
    return path


def user_settings(path: Path, condition: str = "A") -> tuple[Experiment, Settings]:
    experiment = read_experiment(path)
    return experiment, resolve(experiment, "tiny", RunId(condition, 42))


def paths_of(experiment: Experiment) -> dict[str, Path]:
    """Where the files lie, by SHA-256."""
    return {file.sha256: file.path for file in experiment.files.values()}


def files_of(experiment: Experiment, settings: Settings) -> UserFiles:
    """The records of the files that ``settings`` name."""
    return read_user_files(settings.inputs, paths_of(experiment))
