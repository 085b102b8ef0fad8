"""Crossed bootstrap of 100 conditions x 20 seeds x 2,000 items, by sums over lemmas against drawing the items themselves."""

from __future__ import annotations

import time

import numpy as np

from console.results.statistics.crossed import bootstrap_means
from console.results.statistics.estimates import Integers, SeedScores
from tests.bench.row import Row, row

PAIRS = 3
CONDITIONS, SEEDS, ITEMS, LEMMAS = 100, 20, 2_000, 800
DRAWS, PEER_DRAWS = 10_000, 5


def measure() -> Row:
    stream = np.random.default_rng(0)
    lemmas = np.sort(np.concatenate([np.arange(LEMMAS), stream.integers(LEMMAS, size=ITEMS - LEMMAS)]))
    models = {
        f"C{number}": SeedScores(tuple(range(SEEDS)), (stream.random((SEEDS, ITEMS)) < 0.5).astype(np.float64), lemmas)
        for number in range(CONDITIONS)
    }
    pairs = [(_ours(models), _peer(models, lemmas, stream) * DRAWS / PEER_DRAWS) for _ in range(PAIRS)]
    return row(
        "crossed bootstrap, 100 conditions",
        pairs,
        0.02,
        f"{DRAWS:,} draws; peer: items gathered draw by draw ({PEER_DRAWS} draws, extrapolated)",
    )


def _ours(models: dict[str, SeedScores]) -> float:
    start = time.perf_counter()
    bootstrap_means(models, DRAWS)
    return time.perf_counter() - start


def _peer(models: dict[str, SeedScores], lemmas: Integers, stream: np.random.Generator) -> float:
    starts = np.searchsorted(lemmas, np.arange(LEMMAS + 1))
    start = time.perf_counter()
    for _ in range(PEER_DRAWS):
        drawn = np.concatenate(
            [np.arange(starts[one], starts[one + 1]) for one in stream.integers(LEMMAS, size=LEMMAS)]
        )
        for scores in models.values():
            scores.values[np.ix_(stream.integers(SEEDS, size=SEEDS), drawn)].mean()
    return time.perf_counter() - start
