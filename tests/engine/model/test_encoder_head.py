"""The head with trained encoder layers: at first as on cached states, each text alone, gradients into the layers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.contract.experiment import EncoderSettings, ModelSettings
from engine.encoder.encoder import Encoder
from engine.encoder.encoder_input import EncoderInput
from engine.encoder.token_cache import TokenCache
from engine.encoder.token_states import TokenStates
from engine.model import encoder_head
from engine.model.architecture import new_head
from engine.model.embedding import embed_rows, frozen_all
from engine.model.encoder_head import EncoderHead
from engine.model.head import Head
from tests.engine.samples import mean_pool_all
from tests.engine.tiny_encoder import write_tiny_encoder

TEXTS = ("a bank", "the river bank", "she sat on it", "x", "the bank holds the mortgage on my home", "a dog")
INPUTS = tuple(EncoderInput(text, 0, 1) for text in TEXTS)
LAYERS = (3, 1, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of three layers, 16 wide; not to be changed."""
    folder = tmp_path_factory.mktemp("encoder")
    write_tiny_encoder(folder, layers=3)
    return folder


def made(
    folder: Path, cache: Path, trained_layers: int, layers: tuple[int, ...] = LAYERS, lora_rank: int = 0
) -> tuple[Head, EncoderHead, TokenStates]:
    """The head on cached states, the head with trained encoder layers around it, and the states."""
    settings = EncoderSettings(str(folder), layers, trained_layers=trained_layers, lora_rank=lora_rank)
    encoder = Encoder(settings, "cpu")
    states = TokenCache(cache, encoder).states(INPUTS)
    inner = new_head(ModelSettings(embedding_size=8), states.width, states.layers, 1)
    assert settings.input_layer is not None
    return inner, EncoderHead(inner, encoder.top_layers(1), layers, settings.input_layer), states


@pytest.mark.parametrize("trained_layers", [1, 2, 3])
@pytest.mark.parametrize("layers", [LAYERS, (3,), (0, 3)])
@pytest.mark.parametrize("part_tokens", [1, 40, 2048])
def test_before_training_it_is_the_head_on_cached_states(
    folder: Path,
    tmp_path: Path,
    trained_layers: int,
    layers: tuple[int, ...],
    part_tokens: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encoder_head, "PART_TOKENS", part_tokens)
    inner, head, states = made(folder, tmp_path, trained_layers, layers)
    rows = torch.tensor([4, 0, 2, 1, 5, 3])
    for one, other in zip(embed_rows(head, states, rows), embed_rows(inner, states, rows), strict=True):
        torch.testing.assert_close(one, other, atol=5e-3, rtol=0)  # cached states are of half precision
    assert states.width == 16 * len(layers)


def test_frozen_vectors_are_those_without_trained_layers(folder: Path, tmp_path: Path) -> None:
    _, head, states = made(folder, tmp_path, 2, (3,))
    plain = TokenCache(tmp_path, Encoder(EncoderSettings(str(folder), (3,)), "cpu")).states(INPUTS)
    with torch.no_grad():
        for parameter in head.encoder_parameters():
            parameter.mul_(2.0)
    assert torch.equal(frozen_all(head, states), mean_pool_all(plain))
    assert torch.equal(mean_pool_all(states), mean_pool_all(plain))


def test_a_text_has_the_same_embedding_whichever_texts_are_padded_with_it(folder: Path, tmp_path: Path) -> None:
    _, head, states = made(folder, tmp_path, 2)
    together = embed_rows(head, states, torch.arange(len(TEXTS)))[0]
    for row in range(len(TEXTS)):
        torch.testing.assert_close(embed_rows(head, states, torch.tensor([row]))[0][0], together[row])


def test_texts_of_like_length_pass_through_the_encoder_together() -> None:
    lengths = torch.randint(3, 129, (300,), generator=torch.Generator().manual_seed(0)).tolist()
    parts = list(encoder_head._parts([*lengths, 5000]))
    assert sorted(text for part in parts for text in part) == list(range(301))
    assert parts[-1] == [300]
    padded = [len(part) * lengths[part[-1]] for part in parts[:-1]]
    assert max(padded) <= encoder_head.PART_TOKENS
    assert sum(padded) < 1.2 * sum(lengths)


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_gradients_reach_the_head_and_the_trained_layers_alone(folder: Path, tmp_path: Path, lora_rank: int) -> None:
    _, head, states = made(folder, tmp_path, 1, lora_rank=lora_rank)
    embedding = head(states.gather(torch.arange(len(TEXTS)))).embedding
    (embedding * torch.randn(embedding.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    reached = {name for name, one in head.named_parameters() if one.grad is not None and bool(one.grad.any())}
    assert {name.split(".")[0] for name in reached} == {"inner", "encoder"}
    trained = {id(one) for one in head.encoder_parameters()}
    assert all(one.grad is None for one in head.encoder.parameters() if id(one) not in trained)
