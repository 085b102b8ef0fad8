"""The head that a run's settings describe."""

from __future__ import annotations

from engine.contract.experiment import ModelSettings
from engine.model.head import Head
from engine.model.residual_head import ResidualHead
from engine.model.sense_head import SenseHead


def new_head(model: ModelSettings, width: int, layers: int, seed: int) -> Head:
    """An untrained head on token states of ``width`` H, of ``layers`` encoder layers joined; on the CPU."""
    match model.architecture:
        case "sense_head":
            return SenseHead(width, model.embedding_size, model.dropout, layers=layers, seed=seed)
        case "residual":
            equal = (1.0,) * (2 * layers)
            context_weights, gloss_weights = model.context_weights or equal, model.gloss_weights or equal
            return ResidualHead(
                width, layers, model.hidden_size, model.dropout, context_weights, gloss_weights, seed=seed
            )
