"""Keeps the evaluation out of the user's own training data: what stands in it, or nearly does, is left out and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from msgspec import Struct

from engine.data.formats.usages import form_of
from engine.data.leakage.check import events_of_bundle
from engine.data.leakage.near_copies import near_copies
from engine.data.records import Bundle

_AT_ONCE = 50_000  # texts compared together: bounds the memory of their n-grams


class Excluded(Struct, frozen=True):
    """What is left; how many bundles were left out, by reason; how many texts were compared."""

    train: tuple[Bundle, ...]
    dev: tuple[Bundle, ...]
    counts: dict[str, int]
    checked: int


def exclude(train: Sequence[Bundle], dev: Sequence[Bundle], evaluation: set[str]) -> Excluded:
    """``train`` and ``dev`` without the bundles of which any text stands in ``evaluation``, exactly or nearly.

    Training is left without the bundles, too, whose anchor or positive is an anchor or positive of development.
    """
    texts = sorted({event.text for bundle in (*train, *dev) for event in events_of_bundle(bundle)})
    copies = {text for block in _blocks(texts) for text in near_copies(block, sorted(evaluation))}
    exact = {form_of(text) for text in evaluation}
    counts: Counter[str] = Counter()

    def clean(bundles: Sequence[Bundle], name: str) -> Iterator[Bundle]:
        for bundle in bundles:
            held = [event.text for event in events_of_bundle(bundle)]
            if any(form_of(text) in exact for text in held):
                counts[f"{name} bundle with a text of the evaluation"] += 1
            elif not copies.isdisjoint(held):
                counts[f"{name} bundle with a near-copy of the evaluation"] += 1
            else:
                yield bundle

    kept_dev = tuple(clean(dev, "development"))
    asked = {form for bundle in kept_dev for form in _pair(bundle)}
    kept_train = []
    for bundle in clean(train, "training"):
        if asked.isdisjoint(_pair(bundle)):
            kept_train.append(bundle)
        else:
            counts["training bundle with a text of development"] += 1
    return Excluded(tuple(kept_train), kept_dev, dict(sorted(counts.items())), len(texts))


def _pair(bundle: Bundle) -> set[str]:
    return {form_of(bundle.anchor.text), form_of(bundle.positive.text)}


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(texts)
    while block := list(islice(rest, _AT_ONCE)):
        yield block
