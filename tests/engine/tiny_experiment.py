"""A tiny experiment over the real WordNet and the real encoder: seconds a run."""

from __future__ import annotations

from pathlib import Path

from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId, Settings, resolve
from engine.contract.toml_file import find_config

TINY = """
[profiles.tiny]
title = "seconds"
epochs = {epochs}
warm_start_steps = 20
[profiles.tiny.data]
train_lemmas = 30
dev_lemmas = 10
eval_lemmas = 15
retrieval_items = 20
coherence_items = 12
adversarial_bundles = 4
"""


def write_experiment(path: Path, *, epochs: int = 2, gate: float = 0.8) -> Path:
    """The project's experiment with a tiny profile and the coherence gate at ``gate``."""
    text = find_config("scaling.toml").read_text().replace("coherence_accuracy = 0.80", f"coherence_accuracy = {gate}")
    path.write_text(text + TINY.format(epochs=epochs))
    return path


def tiny_settings(path: Path, condition: str = "A", seed: int = 42) -> Settings:
    return resolve(read_experiment(path), "tiny", RunId(condition, seed))
