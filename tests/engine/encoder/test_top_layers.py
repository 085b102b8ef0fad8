"""The upper layers of an encoder: alone they give the whole model's states, and only they are trained."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.contract.bad_input import BadInput
from engine.contract.experiment import EncoderSettings
from engine.encoder.encoder import Encoder
from engine.encoder.top_layers import TopLayers
from tests.engine.tiny_encoder import FAMILIES, Family, write_tiny_encoder

IDS = torch.tensor([[4, 9, 12, 20, 5], [4, 30, 5, 5, 5]])
MASK = torch.tensor([[True] * 5, [True, True, True, False, False]])


def model_of(folder: Path, family: Family = "bert") -> Any:
    from transformers import AutoModel

    write_tiny_encoder(folder, width=24, layers=3, family=family)
    return AutoModel.from_pretrained(folder).eval()


def hidden_states(model: Any) -> tuple[Tensor, ...]:
    with torch.no_grad():
        hidden: tuple[Tensor, ...] = model(
            input_ids=IDS, attention_mask=MASK.long(), output_hidden_states=True
        ).hidden_states
    return hidden


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("lora_rank", [0, 2])
def test_they_give_the_states_of_the_whole_model(tmp_path: Path, family: Family, lora_rank: int) -> None:
    model = model_of(tmp_path, family)
    expected = hidden_states(model)
    made = TopLayers(model, 1, 3, lora_rank)(expected[1], MASK)
    assert len(made) == 2
    for one, other in zip(made, expected[2:], strict=True):
        torch.testing.assert_close(one[MASK], other[MASK], atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("lora_rank", [0, 2])
def test_only_they_are_trained_and_the_model_stays_as_it_is(tmp_path: Path, family: Family, lora_rank: int) -> None:
    model = model_of(tmp_path, family)
    before = copy.deepcopy(model.state_dict())
    top = TopLayers(model, 2, 3, lora_rank)
    trained = {name: one for name, one in top.named_parameters() if one.requires_grad}
    # query and value of one layer, with two factors each
    assert len(trained) == 4 if lora_rank else len(trained) >= 16
    optimizer = torch.optim.SGD(trained.values(), lr=1.0)
    direction = torch.randn(24, generator=torch.Generator().manual_seed(0))
    states = hidden_states(model)
    for _ in range(2):  # of a low-rank addition one factor is zero at first, and with it the other's gradient
        optimizer.zero_grad()
        (top(states[2], MASK)[-1] * direction).sum().backward()
        optimizer.step()
    # a key's bias adds the same to all scores of a query, which softmax removes
    assert all(bool(one.grad is not None and one.grad.any()) for name, one in trained.items() if "key.bias" not in name)
    assert not torch.allclose(top(states[2], MASK)[-1], states[3])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(*pair) for pair in zip(hidden_states(model), states, strict=True))


def test_low_rank_additions_depend_on_the_seed_alone(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    first, again, other = (TopLayers(model, 2, 3, 2, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_an_architecture_with_other_layers_is_bad_input(tmp_path: Path) -> None:
    write_tiny_encoder(tmp_path, family="albert")
    encoder = Encoder(EncoderSettings(str(tmp_path), (2,), trained_layers=1), "cpu")
    with pytest.raises(
        BadInput, match=r"encoder\.trained_layers: the layers of '.*', a AlbertModel, cannot be trained: it has no"
    ):
        encoder.top_layers(seed=0)
