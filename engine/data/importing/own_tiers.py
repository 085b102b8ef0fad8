"""Danger and tiers of the user's own bundles, on the same scale as those that are built."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from msgspec import structs

from engine.data.danger import dangers, rounded, tiers_of
from engine.data.embedded_texts import EmbeddedTexts
from engine.data.leakage import events_of_bundle
from engine.data.reading import reading_of
from engine.data.records import Bundle


def readings_of_bundles(bundles: Sequence[Bundle]) -> Iterator[str]:
    """Every text as the encoder reads it, with repetitions."""
    return (reading_of(event) for bundle in bundles for event in events_of_bundle(bundle))


def with_danger(bundles: Sequence[Bundle], texts: EmbeddedTexts) -> tuple[Bundle, ...]:
    """The bundles with their danger under frozen mean pooling; those without a tier get it by rank among all."""
    danger = dangers(
        [reading_of(bundle.anchor) for bundle in bundles],
        [[reading_of(bundle.positive)] for bundle in bundles],
        [[reading_of(event) for event in (*bundle.siblings, *bundle.cross_lemma)] for bundle in bundles],
        texts,
    )
    return tuple(
        structs.replace(bundle, danger=float(value), tier=bundle.tier or tier, similarities=near)
        for bundle, value, tier, near in zip(
            bundles, danger, tiers_of(danger), _cross_similarities(bundles, texts), strict=True
        )
    )


def _cross_similarities(bundles: Sequence[Bundle], texts: EmbeddedTexts) -> Iterator[tuple[float, ...]]:
    """The anchor's similarities to its cross-lemma negatives, for each bundle."""
    pairs = [(bundle.anchor, event) for bundle in bundles for event in bundle.cross_lemma]
    near = texts.similarities([reading_of(anchor) for anchor, _ in pairs], [reading_of(event) for _, event in pairs])
    values = iter(rounded(near).tolist())
    return (tuple(islice(values, len(bundle.cross_lemma))) for bundle in bundles)
