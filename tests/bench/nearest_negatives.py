"""Nearest negatives of other lemmas, most of a build's work, in a thread for each core against one thread."""

from __future__ import annotations

import time

import numpy as np

from engine.data.bundles.bundles import nearest_other_lemmas
from engine.data.bundles.encoder_text import EmbeddedTexts
from engine.data.wordnet.usage_events import sense_id_of, usage_event
from tests.bench.row import Row, row

PAIRS = 5
EVENTS = 12_000
ANCHORS = 1_536
WIDTH = 384


def measure() -> Row:
    """About a twentieth of what the full build compares."""
    vectors = np.random.default_rng(0).normal(size=(EVENTS, WIDTH)).astype(np.float32)
    texts = EmbeddedTexts(lambda names: vectors[: len(names)])
    pool = [
        usage_event(
            lemma := f"lemma{number // 3}", "n", sense_id_of(lemma, "n", f"s{number}"), f"{number}", (0, 1), "example"
        )
        for number in range(EVENTS)
    ]
    texts.add(event.text for event in pool)

    def seconds(workers: int | None) -> float:
        start = time.perf_counter()
        nearest_other_lemmas(pool[:ANCHORS], pool, texts, 12, workers)
        return time.perf_counter() - start

    assert nearest_other_lemmas(pool[:600], pool, texts, 12) == nearest_other_lemmas(pool[:600], pool, texts, 12, 1)
    return row(
        "nearest negatives, threads", [(seconds(None), seconds(1)) for _ in range(PAIRS)], 1.0, "peer: one thread"
    )
