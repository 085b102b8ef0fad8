"""Bundles as arrays, and their comparisons."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch.nn import functional as F

from engine.training.bundle_arrays import (
    MAX_GLOSSES,
    BundleArrays,
    Comparison,
    both_directions,
    gloss_directions,
    sentence_direction,
)
from engine.training.losses import bundle_similarities, similarities
from tests.engine.samples import DEVICES, SENSE_TEXT, bundle, event, random_states

TEXTS = ("a1", "p1", "s1", "s2", "bank: gloss p", "bank: gloss s", "a2", "far")
GLOSS_P, GLOSS_S = event("gloss p", source="gloss"), event("gloss s", source="gloss")
BUNDLES = (
    bundle("a1", "p1", ["s1", "s2"], "tier3_adversarial"),
    bundle("a2", GLOSS_P, ["s1", GLOSS_S, "a1"], cross_lemma=[event("far", lemma="other")]),
)


def compared(direction: Comparison, index: int, texts: Sequence[str] = TEXTS) -> tuple[str, str, list[str]]:
    """Query, target and comparable negatives of a bundle, by name."""
    rows = [
        row for row, on in zip(direction.negatives[index].tolist(), direction.mask[index].tolist(), strict=True) if on
    ]
    return texts[int(direction.query[index])], texts[int(direction.target[index])], [texts[row] for row in rows]


@pytest.mark.parametrize("device", DEVICES)
def test_definitions_and_sentences_are_compared_separately_within_a_lemma(device: str) -> None:
    arrays = BundleArrays.from_bundles(BUNDLES, random_states(TEXTS, device=device), SENSE_TEXT)
    forward, backward = both_directions(arrays)
    assert compared(forward, 0) == ("a1", "p1", ["s1", "s2"])
    assert compared(backward, 0) == ("p1", "a1", ["s1", "s2"])
    assert compared(forward, 1) == ("a2", "bank: gloss p", ["bank: gloss s"])
    assert compared(backward, 1) == ("bank: gloss p", "a2", ["s1", "a1"])
    sentences = sentence_direction(arrays)
    assert compared(sentences, 0) == compared(forward, 0)
    assert compared(sentences, 1) == compared(backward, 1)
    assert arrays.tier.tolist() == [2, -1]


def test_texts_of_a_batch_are_unique_and_keep_their_indices() -> None:
    arrays = BundleArrays.from_bundles(BUNDLES, random_states(TEXTS), SENSE_TEXT)
    rows, local = arrays.unique_texts()
    assert len(rows) == len(set(rows.tolist()))
    assert torch.equal(rows[local.anchor], arrays.anchor)
    assert torch.equal(rows[local.positive], arrays.positive)
    assert torch.equal(rows[local.siblings], arrays.siblings)
    assert TEXTS.index("far") not in rows.tolist()
    assert torch.equal(arrays.select(torch.tensor([1, 1])).anchor, arrays.anchor[[1, 1]])


def test_similarities_are_cosines_with_the_query() -> None:
    arrays = BundleArrays.from_bundles(BUNDLES, random_states(TEXTS), SENSE_TEXT)
    embedding = F.normalize(torch.randn(len(TEXTS), 5, generator=torch.Generator().manual_seed(0)), dim=-1)
    for direction in both_directions(arrays):
        seen = similarities(embedding, direction)
        for index in range(len(BUNDLES)):
            query = embedding[direction.query[index]]
            assert float(seen.positive[index]) == pytest.approx(
                float(query @ embedding[direction.target[index]]), abs=1e-6
            )
            for column, row in enumerate(direction.negatives[index].tolist()):
                assert float(seen.negatives[index, column]) == pytest.approx(float(query @ embedding[row]), abs=1e-6)


def test_similarities_of_all_directions_at_once_are_those_of_each() -> None:
    glosses = [event(f"gloss {sense}", sense, "gloss") for sense in ("s1", "s2", "s3")]
    states = random_states([*TEXTS, *(f"bank: {gloss.text}" for gloss in glosses)])
    for known in ((), glosses):
        arrays = BundleArrays.from_bundles(BUNDLES, states, SENSE_TEXT, known)
        embedding = F.normalize(torch.randn(len(states.inputs), 5, generator=torch.Generator().manual_seed(0)), dim=-1)
        seen = bundle_similarities(embedding, arrays)
        directions = (*both_directions(arrays), *gloss_directions(arrays))
        for of_all, direction in zip((*seen.directions, *seen.gloss_directions), directions, strict=True):
            torch.testing.assert_close(of_all, similarities(embedding, direction))


def test_a_text_without_states_is_an_error() -> None:
    with pytest.raises(KeyError):
        BundleArrays.from_bundles([bundle("unknown", "p1", ["s1"])], random_states(TEXTS), SENSE_TEXT)


SENSES = ("s1", "s2", "s3")
GLOSSES = tuple(event(f"gloss {sense}", sense, "gloss") for sense in SENSES)
VERB = event("gloss verb", "s1", "gloss", pos="v")
UNKNOWN_SENSE = event("a2", "s9")


def test_a_context_is_compared_with_the_glosses_of_its_lemma_and_its_gloss_with_sibling_sentences() -> None:
    bundles = (
        bundle("a1", "p1", ["s1", event("gloss s", source="gloss"), "s2"]),
        bundle(event("a2", "s2"), "p1", [event("gloss s", source="gloss")]),
        bundle(UNKNOWN_SENSE, "p1", ["s1"]),
        bundle(event("a1", lemma="other"), "p1", ["s1"]),
    )
    texts = (*TEXTS, *(f"bank: {one.text}" for one in (*GLOSSES, VERB)))
    arrays = BundleArrays.from_bundles(bundles, random_states(texts), SENSE_TEXT, (*GLOSSES, VERB))
    to_gloss, to_sentence = gloss_directions(arrays)
    assert compared(to_gloss, 0, texts) == ("a1", "bank: gloss s1", ["bank: gloss s2", "bank: gloss s3"])
    assert compared(to_sentence, 0, texts) == ("bank: gloss s1", "a1", ["s1", "s2"])
    assert compared(to_gloss, 1, texts) == ("a2", "bank: gloss s2", ["bank: gloss s1", "bank: gloss s3"])
    assert compared(to_sentence, 1, texts)[2] == []
    for index in (2, 3):  # of a sense, and of a lemma, without a known gloss
        assert compared(to_gloss, index, texts)[2] == compared(to_sentence, index, texts)[2] == []
    rows, local = arrays.unique_texts()
    assert torch.equal(rows[local.sense], arrays.sense) and torch.equal(rows[local.other_senses], arrays.other_senses)
    back = local.reindexed(rows)
    assert all(torch.equal(one, other) for one, other in zip(back, arrays, strict=True))


def test_no_gloss_is_compared_with_itself_and_few_of_a_lemma_with_many() -> None:
    glosses = [event(f"g{number}", f"s{number}", "gloss") for number in range(MAX_GLOSSES + 5)]
    texts = ("a1", "p1", "s1", *(f"bank: {one.text}" for one in glosses))
    arrays = BundleArrays.from_bundles([bundle("a1", "p1", ["s1"])], random_states(texts), SENSE_TEXT, glosses)
    of_others = [texts.index(f"bank: g{number}") for number in range(MAX_GLOSSES + 5) if number != 1]
    assert arrays.other_senses[0].tolist() == of_others[:MAX_GLOSSES] and bool(arrays.other_sense_mask.all())
