"""The checkpoint: loaded as saved, or refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from engine.contract.bad_input import BadInput
from engine.contract.run_folder import RunFolder
from engine.training.checkpoint import Position, load_checkpoint, save_checkpoint

POSITION = Position("run", 90, 30, 7, 1, 0.25, "top-1", (1.5, 0.1 + 0.2), 4, 2)
TENSORS = {"head.a": torch.randn(3, 2), "dropout": torch.arange(9, dtype=torch.uint8), "steps": torch.tensor(7)}


def test_a_checkpoint_gives_back_its_tensors_and_position_to_the_last_bit(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert load_checkpoint(folder, "run") is None
    digest = save_checkpoint(folder, TENSORS, POSITION)
    loaded = load_checkpoint(folder, "run")
    assert loaded is not None
    tensors, position = loaded
    assert position == POSITION
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], value) for name, value in TENSORS.items())
    assert digest == hashlib.sha256(folder.checkpoint.read_bytes()).hexdigest()
    readable = json.loads(folder.checkpoint_state.read_text())
    assert (readable["sha256"], readable["position"]["step"]) == (digest, 7)
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.safetensors", "checkpoint.json"}


def test_a_position_counts_epochs_with_their_fraction() -> None:
    assert (POSITION.epoch, POSITION.best_epoch, POSITION.is_finished) == (7 / 30, 1 / 30, False)
    assert Position("run", 90, 30, 90).is_finished


def test_the_position_is_in_the_file_of_the_tensors(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    save_checkpoint(folder, TENSORS, POSITION)
    folder.checkpoint_state.write_text("torn by a crash between two writes")
    loaded = load_checkpoint(folder, "run")
    assert loaded is not None
    assert loaded[1] == POSITION


def test_another_runs_checkpoint_and_a_broken_one_are_refused(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    save_checkpoint(folder, TENSORS, POSITION)
    with pytest.raises(BadInput, match="other settings"):
        load_checkpoint(folder, "another run")
    folder.checkpoint.write_bytes(folder.checkpoint.read_bytes()[:-1])
    with pytest.raises(BadInput, match="not a usable checkpoint"):
        load_checkpoint(folder, "run")
