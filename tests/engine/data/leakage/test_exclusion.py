"""What stands in the evaluation is kept out of training, whatever its characters."""

from __future__ import annotations

import pytest

from engine.data.leakage.exclusion import exclude
from engine.data.records import Bundle
from engine.data.wordnet.usage_events import usage_event

EVALUATED = "The committee postponed its decision until the auditors had read every ledger"


def bundle(name: str, text: str) -> Bundle:
    """``text`` is its sibling; its other texts are its own."""
    anchor, positive, sibling = (
        usage_event(name, "n", f"sense {number}", content, (0, 0), "gloss")
        for number, content in ((1, f"anchor of {name}"), (1, f"its positive, {name}"), (2, text))
    )
    return Bundle(name, anchor, positive, (sibling,), (), 0.0, None)


@pytest.mark.parametrize(
    ("text", "held", "reason"),
    [
        (EVALUATED.upper(), EVALUATED, "training bundle with a text of the evaluation"),
        (EVALUATED + " twice", EVALUATED, "training bundle with a near-copy of the evaluation"),
        ("?!", "?!", "training bundle with a text of the evaluation"),
    ],
)
def test_a_text_of_the_evaluation_leaves_its_bundle_out(text: str, held: str, reason: str) -> None:
    left, kept = bundle("one", text), bundle("two", "Quite another thing altogether")
    cleaned = exclude((left, kept), (), {held})
    assert cleaned.train == (kept,) and cleaned.counts == {reason: 1}
