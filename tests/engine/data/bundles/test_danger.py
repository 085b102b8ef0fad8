from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from numpy.typing import NDArray

from engine.contract.experiment import TIERS
from engine.data.bundles.danger import (
    LEAST_DANGER,
    compared_dangers,
    dangers,
    sibling_dangers,
    tier_by_cuts,
    tiers_by_rank,
    with_danger,
)
from engine.data.bundles.encoder_text import EmbeddedTexts
from engine.data.records import Bundle, Source, UsageEvent
from engine.data.wordnet.usage_events import usage_event
from tests.engine.data.conftest import bag_of_words

TEXTS = [f"{a} {b}" for a in ("red", "blue", "green") for b in ("sky", "sea", "sand")]
SIBLINGS = (
    usage_event("sky", "n", "t", "near", (0, 0), "example"),
    usage_event("sky", "n", "t", "y", (0, 0), "gloss"),
)
SOME = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=4)


@given(st.lists(st.tuples(st.sampled_from(TEXTS), SOME, SOME), max_size=6))
def test_danger_is_the_best_negative_less_the_best_positive(rows: list[tuple[str, list[str], list[str]]]) -> None:
    texts = EmbeddedTexts(bag_of_words)
    texts.add(TEXTS)
    vector = dict(zip(TEXTS, bag_of_words(TEXTS), strict=True))
    expected = [
        max(float(vector[anchor] @ vector[n]) for n in negatives)
        - max(float(vector[anchor] @ vector[p]) for p in positives)
        for anchor, positives, negatives in rows
    ]
    found = dangers([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows], texts)
    assert found.tolist() == pytest.approx(expected, abs=2e-5)


def test_an_anchor_without_a_negative_has_no_danger() -> None:
    texts = EmbeddedTexts(bag_of_words)
    texts.add(TEXTS)
    with pytest.raises(ValueError, match="at least one"):
        dangers(TEXTS[:2], [[TEXTS[0]], [TEXTS[1]]], [[TEXTS[2]], []], texts)


@given(st.lists(st.floats(-1, 1), max_size=300))
def test_tiers_are_85_12_3_by_rank_and_never_out_of_order(danger: list[float]) -> None:
    tiers = tiers_by_rank(np.array(danger, dtype=np.float64))
    count = len(danger)
    assert [tiers.count(tier) for tier in TIERS] == [
        round(0.85 * count),
        round(0.97 * count) - round(0.85 * count),
        count - round(0.97 * count),
    ]
    rank = {tier: number for number, tier in enumerate(TIERS)}
    ordered = sorted(zip(danger, (rank[tier] for tier in tiers), strict=True))
    assert all(low[1] <= high[1] or low[0] == high[0] for low, high in pairwise(ordered))


def usage(text: str, source: Source) -> UsageEvent:
    return usage_event("sky", "n", "s", text, (0, 0), source)


def test_a_sibling_is_dangerous_by_what_the_training_loss_compares_it_with() -> None:
    """A gloss is the positive: sentences are compared with it, glosses with the anchor, negatives of others never."""
    anchor, positive, sentence, gloss = usage("red sky", "example"), usage("x", "gloss"), *SIBLINGS
    other = usage("red sky red", "example")
    bundle = Bundle("b", anchor, positive, (sentence, gloss), (other,), 0.0, None)
    vectors = {
        "red sky": (1.0, 0.0),
        "sky: x": (0.0, 1.0),
        "near": (0.6, 0.8),
        "sky: y": (0.8, 0.6),
        other.text: (1, 0),
    }
    texts = EmbeddedTexts(lambda names: np.array([vectors[name] for name in names], dtype=np.float32))
    texts.add(vectors)
    assert sibling_dangers([bundle], texts)[0].tolist() == pytest.approx([0.8, 0.8])
    assert compared_dangers([bundle], texts).tolist() == pytest.approx([0.8])
    assert with_danger([bundle], texts)[0].danger == 1.0
    both_sentences = structs.replace(bundle, positive=sentence, siblings=(gloss,))
    assert compared_dangers([both_sentences], texts).tolist() == [LEAST_DANGER]


def test_a_cut_is_the_least_danger_of_its_tier() -> None:
    assert [tier_by_cuts(value, (0.1, 0.4)) for value in (0.09, 0.1, 0.39, 0.4)] == [
        TIERS[0],
        TIERS[1],
        TIERS[1],
        TIERS[2],
    ]


def test_texts_are_embedded_once_each_and_in_order() -> None:
    seen: list[list[str]] = []

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        seen.append(list(texts))
        return bag_of_words(texts)

    texts = EmbeddedTexts(embed)
    texts.add(["b", "a", "b"])
    texts.add(["c", "a"])
    texts.add(["c"])
    assert seen == [["a", "b"], ["c"]]
    assert texts.similarities(["a", "c"], ["a", "c"]).tolist() == pytest.approx([1.0, 1.0])


def test_an_encoder_that_loses_a_text_is_refused() -> None:
    with pytest.raises(ValueError, match="2 texts"):
        EmbeddedTexts(lambda texts: bag_of_words(texts[1:])).add(["a", "b"])
