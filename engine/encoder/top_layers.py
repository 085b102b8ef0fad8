"""Copies of an encoder's upper transformer layers that training may change, run on the states of the layer below them."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LAYER_LISTS = ("encoder.layer", "transformer.layer")
"""Where an encoder keeps its layers: BERT, RoBERTa, MPNet and their kin; DistilBERT."""

ADAPTED = frozenset({"query", "value", "q", "v", "q_lin", "v_lin"})
"""Names of an attention's query and value projections, in these architectures."""


class UnknownLayers(Exception):
    """The architecture keeps its layers elsewhere, or does more between them than this module knows."""


class TopLayers(nn.Module):
    """Copies of layers ``first`` + 1 to ``last`` of a Hugging Face encoder, in evaluation mode: they drop nothing.

    Args:
        model: the encoder; it stays as it is.
        lora_rank: 0 trains all weights of the layers; more trains only low-rank additions of that rank to the attention's
            query and value projections (Hu et al. 2021).
        seed: of the low-rank additions.

    Raises:
        UnknownLayers: the layers of this architecture are not found, or do not give the model's own states.
    """

    def __init__(self, model: Any, first: int, last: int, lora_rank: int = 0, seed: int = 0) -> None:
        super().__init__()
        layers = _layer_list(model)
        chosen = nn.ModuleList(copy.deepcopy(layer) for layer in layers[first:last])
        # the rest of the model stays around the layers, because masks and position biases are its own business
        replaced = {id(layers): chosen, id(model.embeddings): _GivenStates()}
        self.model = copy.deepcopy(model, replaced)
        if hasattr(self.model, "pooler"):
            self.model.pooler = None
        self.model.eval().requires_grad_(False)
        self._check(model, first, last)
        if lora_rank:
            _add_low_rank(chosen, lora_rank, seed)
        else:
            chosen.requires_grad_(True)

    def forward(self, states: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """States (B, T, W) of layer ``first``, mask (B, T) bool of the tokens -> (B, T, W) of each layer after it."""
        output = self.model(inputs_embeds=states, attention_mask=mask.long(), output_hidden_states=True)
        hidden: tuple[Tensor, ...] = output.hidden_states[1:]
        return hidden

    def _check(self, model: Any, first: int, last: int) -> None:
        """Compare with the whole model on one short text; UnknownLayers where they differ."""
        ids = torch.arange(4, 10, device=model.device).unsqueeze(0)
        mask = torch.ones_like(ids)
        with torch.no_grad():
            own = model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
            try:
                made = self(own[first], mask)[-1]
            except (TypeError, ValueError, RuntimeError, AttributeError, StopIteration) as error:
                raise UnknownLayers(str(error)) from error
        if made.shape != own[last].shape or not torch.allclose(made, own[last], rtol=1e-3, atol=1e-3):
            raise UnknownLayers("its layers alone do not give its states")


class _GivenStates(nn.Module):
    """In place of a model's embeddings: returns the states that the model was given as embeddings."""

    def forward(self, *args: Any, **options: Any) -> Tensor:
        given = (one for one in (*args, *options.values()) if isinstance(one, Tensor) and one.is_floating_point())
        return next(given)


class _LowRank(nn.Module):
    """A frozen linear map with a trained addition of low rank, which is zero at first."""

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        super().__init__()
        self.linear = linear
        self.down = nn.Parameter(torch.randn(rank, linear.in_features) / linear.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, states: Tensor) -> Tensor:
        output: Tensor = self.linear(states)
        return output + F.linear(F.linear(states, self.down), self.up)


def _add_low_rank(layers: nn.ModuleList, rank: int, seed: int) -> None:
    found = [
        (parent, name, child)
        for parent in layers.modules()
        for name, child in parent.named_children()
        if name in ADAPTED and isinstance(child, nn.Linear)
    ]
    if not found:
        raise UnknownLayers("its attention has no query and value projections of a known name")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for parent, name, linear in found:
            setattr(parent, name, _LowRank(linear, rank).to(linear.weight.device))


def _layer_list(model: Any) -> nn.ModuleList:
    for path in LAYER_LISTS:
        found = model
        for name in path.split("."):
            found = getattr(found, name, None)
        if isinstance(found, nn.ModuleList) and hasattr(model, "embeddings"):
            return found
    raise UnknownLayers(f"it has no {' or '.join(LAYER_LISTS)}")
