"""Proves that nothing of the evaluation stands in the training data: no lemma, no text, no near copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from engine.data.leakage.held_out import FrozenEvaluation
from engine.data.leakage.near_copies import near_copies
from engine.data.records import Bundle, UsageEvent
from engine.data.wordnet.usage_events import normalised


class Leakage(Exception):
    """Training or development data hold something of the evaluation; the build must not be used."""


def check_leakage(
    train: Iterable[Bundle],
    dev: Iterable[Bundle],
    evaluation: FrozenEvaluation,
    originals: Mapping[str, str],
) -> int:
    """How many distinct training and development texts were compared; none of them leaks.

    Texts are compared by their letters and digits in folded case; with the evaluation near-copies count as copies. Of a
    synthetic text the original is compared too.

    Args:
        train: bundles of every edition.
        dev: development bundles; they must share nothing with ``train`` either.
        evaluation: the frozen evaluation.
        originals: the text that a synthetic event was made from, by event id.

    Raises:
        Leakage: a lemma or a text stands on both sides.
    """
    eval_lemmas, eval_texts = evaluation.lemmas(), evaluation.texts()
    dev_lemmas, dev_texts = _held(dev, originals)
    train_lemmas, train_texts = _held(train, originals)
    forms, dev_forms, train_forms = ({*map(normalised, texts)} for texts in (eval_texts, dev_texts, train_texts))
    for name, lemmas, others in (
        ("training lemma is an evaluation lemma", train_lemmas, eval_lemmas),
        ("training lemma is a development lemma", train_lemmas, dev_lemmas),
        ("development lemma is an evaluation lemma", dev_lemmas, eval_lemmas),
        ("training text is an evaluation text", train_forms, forms),
        ("training text is a development text", train_forms, dev_forms),
        ("development text is an evaluation text", dev_forms, forms),
    ):
        if shared := sorted(lemmas & others):
            raise Leakage(f"{len(shared)} times a {name}, the first being {shared[0]!r}")
    compared = sorted(train_texts | dev_texts)
    if copies := near_copies(compared, sorted(eval_texts)):
        text, of = min(copies.items())
        raise Leakage(f"{len(copies)} texts nearly copy one of the evaluation, the first being {text!r}, of {of!r}")
    return len(compared)


def events_of_bundle(bundle: Bundle) -> Iterator[UsageEvent]:
    """Anchor, positive, siblings, cross-lemma negatives."""
    yield bundle.anchor
    yield bundle.positive
    yield from bundle.siblings
    yield from bundle.cross_lemma


def _held(bundles: Iterable[Bundle], originals: Mapping[str, str]) -> tuple[set[str], set[str]]:
    """The lemmas and the texts of bundles, originals of synthetic texts among them."""
    events = {event.event_id: event for bundle in bundles for event in events_of_bundle(bundle)}
    texts: set[str] = set()
    for event in events.values():
        texts.add(event.text)
        if event.source == "synthetic":
            texts.add(originals[event.event_id])
    return {event.lemma for event in events.values()}, texts
