"""The head that a run's settings describe."""

from __future__ import annotations

from typing import Any

from engine.contract.experiment import ModelSettings
from engine.model.head import Head
from engine.model.residual_head import ResidualHead
from engine.model.sense_head import SenseHead

HEADS: dict[str, type[Head]] = {"sense_head": SenseHead, "residual": ResidualHead}


def new_head(model: ModelSettings, width: int, layers: int, seed: int) -> Head:
    """An untrained head on token states of ``width`` H, of ``layers`` encoder layers joined; on the CPU."""
    return HEADS[model.architecture](**head_arguments(model, width, layers), seed=seed)


def head_arguments(model: ModelSettings, width: int, layers: int) -> dict[str, Any]:
    """The arguments, without a seed, with which the head of ``new_head`` is made."""
    match model.architecture:
        case "sense_head":
            return {
                "width": width,
                "embedding_size": model.embedding_size,
                "dropout": model.dropout,
                "layers": layers,
            }
        case "residual":
            equal = (1.0,) * (2 * layers)
            return {
                "width": width,
                "layers": layers,
                "hidden_size": model.hidden_size,
                "dropout": model.dropout,
                "context_weights": model.context_weights or equal,
                "gloss_weights": model.gloss_weights or equal,
            }
