"""A training run's state on disk: tensors in safetensors, the rest in JSON. No pickle."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from msgspec import Struct
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Generator, Tensor

from engine.contract.bad_input import BadInput
from engine.contract.durable import write_durably
from engine.contract.run_folder import RunFolder
from engine.contract.validation_words import error_in_words
from engine.model.head import Head
from engine.training.adamw import AdamW


class TrainState(NamedTuple):
    """The tensors that training changes: head, best head so far, optimizer, dropout's random state."""

    head: Head
    best: dict[str, Tensor]
    optimizer: AdamW
    dropout: Generator

    def keep_as_best(self) -> None:
        """Copy the head's weights to ``best``."""
        self.best.update({name: value.detach().clone() for name, value in self.head.state_dict().items()})

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor needed to continue, named ``head.*``, ``best.*``, ``optimizer.*`` and ``dropout``."""
        tensors = {f"head.{name}": value for name, value in self.head.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        tensors |= {f"optimizer.{name}": value for name, value in self.optimizer.tensors().items()}
        return tensors | {"dropout": self.dropout.get_state()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Load what ``tensors`` returned.

        Raises:
            KeyError, RuntimeError: they are of another architecture.
        """
        self.head.load_state_dict(_with_prefix("head.", tensors))
        device = next(self.head.parameters()).device
        self.best.update({name: value.to(device) for name, value in best_weights(tensors).items()})
        self.optimizer.restore(_with_prefix("optimizer.", tensors))
        self.dropout.set_state(tensors["dropout"])


class Position(Struct, frozen=True):
    """How far a run is, beside its tensors; by default at the end of the warm start.

    What is due at a step, a measurement included, is done before the position after that step is saved.

    Attributes:
        run_fingerprint: of everything that determines the run; another run's checkpoint is refused.
        total_steps: optimizer steps of the whole training.
        epoch_steps: optimizer steps of one epoch.
        step: optimizer steps done.
        best_step, best_score: the step of the best measurement, and its score, a fraction of 1.
        score_name: what that score is, in words.
        recent_losses: the last losses, for the spike warning.
        hard_pairs, negative_gaps: counts for the early warning.
    """

    run_fingerprint: str
    total_steps: int
    epoch_steps: int
    step: int = 0
    best_step: int = 0
    best_score: float = -1.0
    score_name: str = ""
    recent_losses: tuple[float, ...] = ()
    hard_pairs: int = 0
    negative_gaps: int = 0

    @property
    def epoch(self) -> float:
        """Epochs done, as a fraction."""
        return self.step / self.epoch_steps

    @property
    def best_epoch(self) -> float:
        """Epochs done at the best measurement."""
        return self.best_step / self.epoch_steps

    @property
    def is_finished(self) -> bool:
        """Whether training has ended."""
        return self.step == self.total_steps


def save_checkpoint(folder: RunFolder, tensors: Mapping[str, Tensor], position: Position) -> str:
    """Write tensors and position as one durable file, and beside it a readable copy of the position.

    Returns:
        SHA-256 of the safetensors file.
    """
    # the position is inside the file too, so a crash between the two writes cannot part it from its tensors
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = save(tensors, {"position": msgspec.json.encode(position).decode()})
    write_durably(folder.checkpoint, content)
    digest = hashlib.sha256(content).hexdigest()
    readable = msgspec.json.encode({"sha256": digest, "position": position})
    write_durably(folder.checkpoint_state, msgspec.json.format(readable))
    return digest


def load_checkpoint(folder: RunFolder, run_fingerprint: str) -> tuple[dict[str, Tensor], Position] | None:
    """The checkpoint in ``folder``, or None when there is none.

    Raises:
        BadInput: it cannot be read, or it belongs to another run.
    """
    if not folder.checkpoint.exists():
        return None
    try:
        with safe_open(folder.checkpoint, framework="pt") as file:
            position = msgspec.json.decode((file.metadata() or {}).get("position", ""), type=Position)
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, msgspec.MsgspecError, OSError) as error:
        raise BadInput(f"not a usable checkpoint: {error_in_words(error)}", file=folder.checkpoint) from error
    if position.run_fingerprint != run_fingerprint:
        raise BadInput("belongs to a run with other settings, data or encoder", file=folder.checkpoint)
    return tensors, position


def best_weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The best head's weights among a checkpoint's ``tensors``, by parameter name."""
    return _with_prefix("best.", tensors)


def _with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
