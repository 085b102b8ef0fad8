from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.bundles import bundles
from engine.data.bundles.bundles import nearest_other_lemmas
from engine.data.bundles.encoder_text import EmbeddedTexts
from engine.data.records import UsageEvent
from engine.data.wordnet.usage_events import normalised, sense_id_of, synset_of, usage_event

VECTORS = np.random.default_rng(7).normal(size=(12, 8)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


def event(text: int, lemma: int, synset: int) -> UsageEvent:
    name = f"lemma{lemma}"
    return usage_event(name, "n", sense_id_of(name, "n", f"s{synset}.n.01"), f"text {text}", (0, 4), "example")


EVENTS = st.builds(event, st.integers(0, 11), st.integers(0, 3), st.integers(0, 3))


def brute_force(anchor: UsageEvent, pool: list[UsageEvent], count: int) -> list[str]:
    """Texts of the nearest allowed events, one pair at a time."""
    allowed = {
        other.text
        for other in pool
        if other.lemma != anchor.lemma
        and synset_of(other) != synset_of(anchor)
        and normalised(other.text) != normalised(anchor.text)
    }
    mine = VECTORS[int(anchor.text.split()[1])]
    return sorted(allowed, key=lambda text: -float(mine @ VECTORS[int(text.split()[1])]))[:count]


@settings(max_examples=60)
@given(st.lists(EVENTS, min_size=1, max_size=6), st.lists(EVENTS, min_size=1, max_size=12), st.integers(1, 3))
def test_nearest_events_are_those_of_brute_force(anchors: list[UsageEvent], pool: list[UsageEvent], count: int) -> None:
    # each text once, so that no text crowds out another among the nearest
    pool = list({other.text: other for other in pool}.values())
    texts = EmbeddedTexts(lambda names: np.stack([VECTORS[int(name.split()[1])] for name in names]))
    texts.add(other.text for other in (*anchors, *pool))
    found = nearest_other_lemmas(anchors, pool, texts, count)
    assert [[other.text for other in row] for row in found] == [brute_force(a, pool, count) for a in anchors]


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "_BLOCK", 2)
    events = [event(number, number % 5, number % 4) for number in range(12)]
    texts = EmbeddedTexts(lambda names: np.stack([VECTORS[int(name.split()[1])] for name in names]))
    texts.add(other.text for other in events)
    one, many = (nearest_other_lemmas(events, events, texts, 3, workers) for workers in (1, 4))
    assert one == many and [[other.text for other in row] for row in one] == [
        brute_force(anchor, events, 3) for anchor in events
    ]


def test_without_a_pool_there_are_no_negatives() -> None:
    assert nearest_other_lemmas([event(0, 0, 0)], [], EmbeddedTexts(lambda names: VECTORS), 3) == [()]
