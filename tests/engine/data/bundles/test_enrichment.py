"""Verification of synthetic contexts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.contract.experiment import Verification
from engine.data.bundles.encoder_text import EmbeddedTexts
from engine.data.bundles.enrichment import verify
from engine.data.bundles.synthetic import Synthetic
from engine.data.wordnet.usage_events import usage_event


def plane(names: Sequence[str]) -> NDArray[np.float32]:
    """The synthetic text lies on the first axis, every other text at its cosine to it."""
    cosines = np.array([1.0 if name == "synthetic" else float(name) for name in names], dtype=np.float32)
    return np.stack((cosines, np.sqrt(1 - cosines**2)), axis=1)


@pytest.mark.parametrize(
    ("original", "siblings", "reason"),
    [
        ("0.8", ("0.7", "0.2"), None),
        ("0.5", ("0.4499",), None),
        ("0.4999", ("0.1",), "too far from its original"),
        ("0.8", ("0.2", "0.7501"), "too near to a sibling sense"),
        ("0.8", ("0.9",), "too near to a sibling sense"),
    ],
)
def test_a_synthetic_context_is_accepted_near_its_original_and_apart_from_its_siblings(
    original: str, siblings: tuple[str, ...], reason: str | None
) -> None:
    texts = EmbeddedTexts(plane)
    texts.add(["synthetic", original, *siblings])
    event = usage_event("auto", "n", "wn:auto.n.car.n.01", "synthetic", (0, 4), "synthetic")
    made = Synthetic(event, original, siblings)
    accepted, rejected = verify([made], texts, Verification())
    assert accepted == ((made,) if reason is None else ())
    assert [one.reason for one in rejected] == ([] if reason is None else [reason])
    for one in rejected:
        assert one.event == event
        assert (one.similarity, one.gap) == pytest.approx(
            (float(original), float(original) - max(map(float, siblings)))
        )


@given(
    st.lists(st.tuples(st.integers(-99, 99), st.integers(-99, 99)), max_size=8, unique=True),
    st.floats(0, 1),
    st.floats(-1, 1),
)
def test_every_candidate_is_accepted_or_rejected_by_the_thresholds(
    cosines: list[tuple[int, int]], least_similarity: float, least_gap: float
) -> None:
    texts = EmbeddedTexts(plane)
    candidates = [
        Synthetic(
            usage_event("a", "n", f"s{number}", "synthetic", (0, 4), "synthetic"),
            f"{near / 100}",
            (f"{sib / 100}",),
        )
        for number, (near, sib) in enumerate(cosines)
    ]
    texts.add(
        [
            "synthetic",
            *(candidate.original for candidate in candidates),
            *(candidate.siblings[0] for candidate in candidates),
        ]
    )
    accepted, rejected = verify(candidates, texts, Verification(least_similarity, least_gap))
    assert len(accepted) + len(rejected) == len(candidates)
    for one in rejected:
        assert one.similarity < least_similarity or one.gap < least_gap
    for made in accepted:
        near, sibling = cosines[int(made.event.sense_id[1:])]
        assert near / 100 >= least_similarity - 1e-4
        assert (near - sibling) / 100 >= least_gap - 1e-4


def test_without_candidates_nothing_is_accepted() -> None:
    assert verify([], EmbeddedTexts(plane), Verification()) == ((), ())
