"""What training changes, and its tensors by name: head, best head, optimizer, dropout's random state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Generator, Tensor

from engine.model.sense_head import SenseHead
from engine.training.adamw import AdamW


class TrainState(NamedTuple):
    """What a step changes: ``best`` holds the weights of the best epoch so far by parameter name."""

    head: SenseHead
    best: dict[str, Tensor]
    optimizer: AdamW
    dropout: Generator

    def keep_as_best(self) -> None:
        self.best.update({name: value.detach().clone() for name, value in self.head.state_dict().items()})

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor needed to go on, named ``head.*``, ``best.*``, ``optimizer.*`` and ``dropout``."""
        tensors = {f"head.{name}": value for name, value in self.head.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        tensors |= {f"optimizer.{name}": value for name, value in self.optimizer.tensors().items()}
        return tensors | {"dropout": self.dropout.get_state()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up the state that ``tensors`` gave.

        Raises:
            KeyError, RuntimeError: they are of another architecture.
        """
        self.head.load_state_dict(_under("head.", tensors))
        device = next(self.head.parameters()).device
        self.best.update({name: value.to(device) for name, value in _under("best.", tensors).items()})
        self.optimizer.restore(_under("optimizer.", tensors))
        self.dropout.set_state(tensors["dropout"])


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
