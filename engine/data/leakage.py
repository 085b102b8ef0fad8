"""Proves that nothing of the evaluation stands in the training data: no lemma, no text, no near copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from engine.data.evaluation_items import texts_of_coherence, texts_of_retrieval
from engine.data.records import Bundle, CoherenceItem, RetrievalItem, UsageEvent
from engine.data.usage_events import normalised


class Leakage(Exception):
    """Training or development data hold something of the evaluation; the build must not be used."""


def check_leakage(
    train: Iterable[Bundle],
    dev: Iterable[Bundle],
    retrieval: Sequence[RetrievalItem],
    coherence: Sequence[CoherenceItem],
    originals: Mapping[str, str],
) -> int:
    """How many distinct training and development texts were compared; none of them leaks.

    Texts are compared by their letters and digits in folded case. Of a synthetic text the original is compared too.

    Args:
        train: bundles of every edition.
        dev: development bundles; they must share nothing with ``train`` either.
        retrieval: the frozen retrieval items.
        coherence: the frozen coherence items.
        originals: the text that a synthetic event was made from, by event id.

    Raises:
        Leakage: a lemma or a text stands on both sides.
    """
    evaluation = {normalised(text) for text in (*texts_of_retrieval(retrieval), *texts_of_coherence(coherence))}
    eval_lemmas = {item.lemma for item in retrieval} | {item.lemma for item in coherence}
    dev_lemmas, dev_texts = _held(dev, originals)
    train_lemmas, train_texts = _held(train, originals)
    for name, lemmas, others in (
        ("training lemma is an evaluation lemma", train_lemmas, eval_lemmas),
        ("training lemma is a development lemma", train_lemmas, dev_lemmas),
        ("development lemma is an evaluation lemma", dev_lemmas, eval_lemmas),
        ("training text is an evaluation text", train_texts, evaluation),
        ("training text is a development text", train_texts, dev_texts),
        ("development text is an evaluation text", dev_texts, evaluation),
    ):
        if shared := sorted(lemmas & others):
            raise Leakage(f"{len(shared)} times a {name}, the first being {shared[0]!r}")
    return len(train_texts | dev_texts)


def events_of_bundle(bundle: Bundle) -> Iterator[UsageEvent]:
    """Anchor, positive, siblings, cross-lemma negatives."""
    yield bundle.anchor
    yield bundle.positive
    yield from bundle.siblings
    yield from bundle.cross_lemma


def _held(bundles: Iterable[Bundle], originals: Mapping[str, str]) -> tuple[set[str], set[str]]:
    """The lemmas and the normal forms of the texts of bundles, originals of synthetic texts among them."""
    events = {event.event_id: event for bundle in bundles for event in events_of_bundle(bundle)}
    texts: set[str] = set()
    for event in events.values():
        texts.add(normalised(event.text))
        if event.source == "synthetic":
            texts.add(normalised(originals[event.event_id]))
    return {event.lemma for event in events.values()}, texts
