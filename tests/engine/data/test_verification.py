from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.data.embedded_texts import EmbeddedTexts
from engine.data.synthetic import Synthetic
from engine.data.usage_events import usage_event
from engine.data.verification import Claim, verified


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
def test_a_claim_holds_near_its_original_and_apart_from_its_siblings(
    original: str, siblings: tuple[str, ...], reason: str | None
) -> None:
    texts = EmbeddedTexts(plane)
    texts.add(["synthetic", original, *siblings])
    event = usage_event("auto", "n", "wn:auto.n.car.n.01", "synthetic", (0, 4), "synthetic")
    refused: Counter[str] = Counter()
    kept = verified([Claim(Synthetic(event, original), siblings)], texts, refused)
    assert (len(kept), dict(refused)) == ((1, {}) if reason is None else (0, {reason: 1}))


def test_nothing_claimed_is_nothing_kept() -> None:
    assert verified([], EmbeddedTexts(plane), Counter()) == ()
