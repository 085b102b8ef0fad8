"""Mean pooling, and embedding many texts in pieces."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from engine.encoder.token_states import TokenStates
from engine.model import embedding as embedding_module
from engine.model.embedding import embed_rows, mean_states, relative_entropy
from engine.model.sense_head import SenseHead
from tests.engine.samples import mean_pool_all, random_states

TEXTS = tuple(f"text {'x' * (number % 11)}{number}" for number in range(40))


def test_mean_pooling_is_the_normalized_mean_of_each_texts_tokens() -> None:
    states = random_states(TEXTS)
    vectors = mean_pool_all(states)
    for one in states.inputs:
        start, end = states.span(one)
        expected = F.normalize(states.table[start:end].float().mean(0), dim=0)
        torch.testing.assert_close(vectors[states.row(one)], expected)


def test_embedding_in_chunks_equals_embedding_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    states, head = random_states(TEXTS), SenseHead(12, 8, seed=0)
    rows = torch.tensor([5, 3, 3, 39, 0, 17])
    whole = head(states.gather(rows))
    monkeypatch.setattr(embedding_module, "CHUNK_TOKENS", 10)
    embedding, entropy = embed_rows(head, states, rows)
    torch.testing.assert_close(embedding, whole.embedding)
    torch.testing.assert_close(entropy, relative_entropy(whole.attention, states.gather(rows).offsets))
    torch.testing.assert_close(mean_states(states, rows)[1], mean_states(states, rows[1:2])[0])
    assert not embedding.requires_grad


def test_relative_entropy_is_one_for_uniform_attention_and_for_one_token() -> None:
    attention = torch.tensor([0.25, 0.25, 0.25, 0.25, 1.0, 1.0, 0.0])
    offsets = torch.tensor([0, 4, 5, 7])
    assert relative_entropy(attention, offsets).tolist() == pytest.approx([1.0, 1.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_mean_pooling_of_two_layers_weighs_them_equally_whatever_their_norms(scale: float) -> None:
    one, other = (random_states(TEXTS, seed=seed) for seed in (1, 2))
    spans = [one.characters[slice(*one.span(read))] for read in one.inputs]
    layers = [
        [times * states.table[slice(*states.span(read))] for read in states.inputs]
        for times, states in ((1.0, one), (scale, other))
    ]
    joined = mean_pool_all(TokenStates.from_layers(one.inputs, layers, spans, "cpu"))
    of_one, of_other = mean_pool_all(one), mean_pool_all(other)
    torch.testing.assert_close(joined @ joined.T, (of_one @ of_one.T + of_other @ of_other.T) / 2, atol=1e-3, rtol=0)
