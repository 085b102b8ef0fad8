"""The residual head: its start, its two towers, the blocks of the target word, and its attention."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from engine.contract.experiment import ModelSettings
from engine.encoder.encoder_input import EncoderInput
from engine.encoder.token_states import RaggedBatch, TokenStates
from engine.model.architecture import new_head
from engine.model.embedding import embed_rows, frozen_all
from engine.model.ragged import segment_sum
from engine.model.residual_head import ResidualHead
from tests.engine.samples import DEVICES, random_states

INPUTS = (
    EncoderInput("we sat on a bank", 12, 16),
    EncoderInput("no target word"),
    EncoderInput("bank: sloping land", 0, 4, is_gloss=True),
    EncoderInput("an institution", is_gloss=True),
    EncoderInput("x", 0, 1),
)
SIZE = 6  # of one layer's states
CONTEXT_WEIGHTS, GLOSS_WEIGHTS = (1.0, 2.0, 0.5, 3.0), (2.0, 0.0, 1.0, 0.25)


def states_of_two_layers(device: str = "cpu") -> TokenStates:
    layers = [random_states(INPUTS, SIZE, seed) for seed in (1, 2)]
    spans = [layers[0].characters[slice(*layers[0].span(one))] for one in INPUTS]
    pieces = [[states.table[slice(*states.span(one))] for one in INPUTS] for states in layers]
    return TokenStates.from_layers(INPUTS, pieces, spans, device)


def batch_of(states: TokenStates) -> RaggedBatch:
    return states.gather(torch.arange(len(INPUTS), device=states.device))


def residual_head(device: str = "cpu", seed: int = 3) -> ResidualHead:
    return ResidualHead(2 * SIZE, 2, 8, 0.3, CONTEXT_WEIGHTS, GLOSS_WEIGHTS, seed=seed).to(device)


def disturb(tower: torch.nn.Module) -> None:
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=Generator().manual_seed(5)).to(parameter.device))


def plain_start(tokens: Tensor, on_target: Sequence[bool], weights: Sequence[float]) -> Tensor:
    """The start of one text from its tokens (T, 2 x SIZE)."""
    chosen = tokens[torch.tensor(on_target)] if any(on_target) else tokens
    means = [part[:, at : at + SIZE].mean(0) for part in (tokens, chosen) for at in (0, SIZE)]
    blocks = [weight * mean / mean.norm() for weight, mean in zip(weights, means, strict=True)]
    return F.normalize(torch.cat(blocks), dim=0)


@pytest.mark.parametrize("device", DEVICES)
def test_before_training_it_is_its_start_the_weighted_blocks_of_means_and_of_the_target_word(device: str) -> None:
    states, head = states_of_two_layers(device), residual_head(device)
    embedding, _ = embed_rows(head, states, torch.arange(len(INPUTS), device=device))
    assert torch.equal(embedding, frozen_all(head, states))
    assert torch.equal(embedding, head(batch_of(states), Generator(device).manual_seed(1)).embedding)
    for row, one in enumerate(INPUTS):
        at = slice(*states.span(one))
        weights = GLOSS_WEIGHTS if one.is_gloss else CONTEXT_WEIGHTS
        expected = plain_start(states.table[at].float().cpu(), states.on_target[at].tolist(), weights)
        torch.testing.assert_close(embedding[row].cpu(), expected)


def test_a_text_without_a_target_word_has_its_means_in_the_place_of_its_target_words() -> None:
    vectors = frozen_all(residual_head(), states_of_two_layers()).view(len(INPUTS), 4, SIZE)
    blocks = F.normalize(vectors, dim=-1)
    torch.testing.assert_close(blocks[1, :2], blocks[1, 2:])  # the weights differ, the directions do not
    assert not torch.allclose(blocks[0, :2], blocks[0, 2:], atol=0.1)


def test_contexts_and_glosses_have_towers_of_their_own() -> None:
    states = states_of_two_layers()
    is_gloss = torch.tensor([one.is_gloss for one in INPUTS])
    start = frozen_all(residual_head(), states)
    for name, changed in (("contexts", ~is_gloss), ("glosses", is_gloss)):
        head = residual_head()
        disturb(getattr(head, name))
        differs = (head(batch_of(states)).embedding - start).abs().amax(dim=1) > 1e-3
        assert torch.equal(differs, changed)
        assert torch.equal(head.frozen(batch_of(states)), start)


@pytest.mark.parametrize("device", DEVICES)
def test_attention_sums_to_one_per_text_and_is_that_of_the_squared_weights(device: str) -> None:
    batch = batch_of(states_of_two_layers(device))
    attention = residual_head(device)(batch).attention
    torch.testing.assert_close(segment_sum(attention, batch.offsets).cpu(), torch.ones(len(INPUTS)))
    share = (0.25 + 9) / (1 + 4 + 0.25 + 9)
    first = attention[: int(batch.offsets[1])].cpu()
    tokens, on_target = len(first), batch.on_target[: len(first)].cpu()
    expected = share * on_target / on_target.sum() + (1 - share) / tokens
    torch.testing.assert_close(first, expected)


def test_with_known_frozen_vectors_it_needs_no_token_states() -> None:
    states, head = states_of_two_layers(), residual_head()
    disturb(head.contexts)
    rows = torch.tensor([3, 0, 1])
    without = states.gather(rows, tokens=False)
    assert without.tokens.shape == (0, 2 * SIZE)
    given = head(without, Generator().manual_seed(1), frozen_all(head, states)[rows])
    computed = head(states.gather(rows), Generator().manual_seed(1))
    torch.testing.assert_close(given, computed)


def test_dropout_needs_a_generator_and_the_seed_decides_the_weights() -> None:
    batch, head = batch_of(states_of_two_layers()), residual_head()
    disturb(head)
    assert torch.equal(head(batch).embedding, head(batch).embedding)
    assert not torch.equal(head(batch).embedding, head(batch, Generator().manual_seed(1)).embedding)
    first, again, other = (residual_head(seed=seed).state_dict() for seed in (1, 1, 2))
    name = "contexts.0.weight"
    assert torch.equal(first[name], again[name]) and not torch.equal(first[name], other[name])
    assert not torch.equal(first[name], first["glosses.0.weight"])


def test_the_settings_decide_the_architecture_and_no_weights_are_equal_weights() -> None:
    model = ModelSettings(architecture="residual", hidden_size=5, gloss_weights=(1.0, 0.0, 0.0, 2.0))
    head = new_head(model, 2 * SIZE, 2, seed=0)
    assert isinstance(head, ResidualHead) and not head.needs_warm_start
    assert head.block_weights.tolist() == [[1.0] * 4, [1.0, 0.0, 0.0, 2.0]]
    assert "block_weights" not in head.state_dict()
    assert head.state_dict()["contexts.0.weight"].shape == (5, 4 * SIZE)
