"""Keeps evaluation texts out of training data: held-out texts, exclusion from users' bundles, the check of a build."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct

from engine.data.near_copies import near_copies
from engine.data.records import NO_ITEMS, Bundle, FrozenEvaluation, UsageEvent
from engine.data.wordnet.usage_events import Lexicon, normalised, text_key

Item = TypeVar("Item")
_AT_ONCE = 50_000  # texts compared together: bounds the memory of their n-grams


class HeldOut:
    """Normal forms of texts that training must not contain; ``add_near_copies`` adds their near-copies."""

    def __init__(self, evaluation: Iterable[str]) -> None:
        self._evaluation = sorted(evaluation)
        self.forms = {normalised(text) for text in self._evaluation}
        self.near_copies: set[str] = set()

    def __contains__(self, form: object) -> bool:
        return form in self.forms or form in self.near_copies

    def add(self, texts: Iterable[str]) -> None:
        """Hold out ``texts`` themselves, without their near-copies."""
        self.forms |= {normalised(text) for text in texts}

    def add_near_copies(self, texts: Iterable[str]) -> set[str]:
        """Hold out those of ``texts`` that nearly copy a text of the evaluation; returns them."""
        found = set(near_copies(texts, self._evaluation))
        self.near_copies |= {normalised(text) for text in found} - self.forms
        return found

    def lemmas_with_near_copies(self, lexicon: Lexicon, lemmas: Sequence[str]) -> set[str]:
        """Hold out the examples and glosses of ``lemmas`` that are near-copies; returns the lemmas that lost one."""
        owners: dict[str, set[str]] = {}
        for lemma in lemmas:
            for sense in lexicon[lemma]:
                for event in (sense.gloss, *sense.examples):
                    if normalised(event.text) not in self:
                        owners.setdefault(event.text, set()).add(lemma)
        return {lemma for text in self.add_near_copies(owners) for lemma in owners[text]}


class Excluded(Struct, frozen=True):
    """Result of ``exclude``: what is left, counts of what was left out by reason, number of texts compared."""

    train: tuple[Bundle, ...]
    dev: tuple[Bundle, ...]
    glosses: tuple[UsageEvent, ...]
    dev_items: FrozenEvaluation
    counts: dict[str, int]
    checked: int


def exclude(
    train: Sequence[Bundle],
    dev: Sequence[Bundle],
    evaluation: set[str],
    glosses: Sequence[UsageEvent] = (),
    dev_items: FrozenEvaluation = NO_ITEMS,
) -> Excluded:
    """Leave out the bundles, glosses and development items with any text of ``evaluation`` or a near-copy of one.

    Training bundles whose anchor or positive is an anchor or positive of development are left out, too.
    """
    bundle_texts = {event.text for bundle in (*train, *dev) for event in bundle.events}
    texts = sorted({*bundle_texts, *(gloss.text for gloss in glosses), *dev_items.texts()})
    against = sorted(evaluation)
    copies = {
        text
        for start in range(0, len(texts), _AT_ONCE)
        for text in near_copies(texts[start : start + _AT_ONCE], against)
    }
    exact = {text_key(text) for text in evaluation}
    counts: Counter[str] = Counter()

    def clean(items: Sequence[Item], name: str, texts_of: Callable[[Item], Iterable[str]]) -> tuple[Item, ...]:
        kept: list[Item] = []
        for item in items:
            own = set(texts_of(item))
            if any(text_key(text) in exact for text in own):
                counts[f"{name} with a text of the evaluation"] += 1
            elif not copies.isdisjoint(own):
                counts[f"{name} with a near-copy of the evaluation"] += 1
            else:
                kept.append(item)
        return tuple(kept)

    def texts_of(bundle: Bundle) -> Iterator[str]:
        return (event.text for event in bundle.events)

    kept_dev = clean(dev, "development bundle", texts_of)
    dev_keys = {key for bundle in kept_dev for key in _pair_keys(bundle)}
    kept_train = []
    for bundle in clean(train, "training bundle", texts_of):
        if dev_keys.isdisjoint(_pair_keys(bundle)):
            kept_train.append(bundle)
        else:
            counts["training bundle with a text of development"] += 1
    kept_items = FrozenEvaluation(
        clean(
            dev_items.retrieval, "development retrieval item", lambda item: FrozenEvaluation((item,), (), ()).texts()
        ),
        clean(
            dev_items.coherence, "development coherence item", lambda item: FrozenEvaluation((), (item,), ()).texts()
        ),
        (),
    )
    kept_glosses = clean(glosses, "gloss", lambda gloss: (gloss.text,))
    return Excluded(tuple(kept_train), kept_dev, kept_glosses, kept_items, dict(sorted(counts.items())), len(texts))


def glosses_of(train: Iterable[Bundle], dev: Iterable[Bundle]) -> tuple[UsageEvent, ...]:
    """The glosses in bundles, each sense's each text once; none of training with a text of the development bundles."""
    dev = tuple(dev)
    dev_keys = {text_key(event.text) for bundle in dev for event in bundle.events}
    found: dict[tuple[str, str, str], UsageEvent] = {}
    for bundles, taken in ((train, dev_keys), (dev, set[str]())):
        for event in (event for bundle in bundles for event in bundle.events if event.source == "gloss"):
            if (key := text_key(event.text)) not in taken:
                found.setdefault((event.lemma, event.sense_id, key), event)
    return tuple(found.values())


def _pair_keys(bundle: Bundle) -> set[str]:
    return {text_key(bundle.anchor.text), text_key(bundle.positive.text)}


class Leakage(Exception):
    """Training or development data contain evaluation data; the build must not be used."""


def check_leakage(
    train: Iterable[Bundle],
    dev: Iterable[Bundle],
    evaluation: FrozenEvaluation,
    originals: Mapping[str, str],
    confirm: FrozenEvaluation | None = None,
    *,
    glosses: Iterable[UsageEvent] = (),
    dev_items: FrozenEvaluation = NO_ITEMS,
) -> int:
    """Check that training, development and evaluation share no lemma and no text; returns how many texts were compared.

    Texts are compared by their letters and digits in folded case; with the evaluation near-copies count as copies. For
    a synthetic text its original is compared, too.

    Args:
        train: bundles of every edition.
        dev: development bundles; they must share nothing with ``train`` either.
        evaluation: the frozen evaluation.
        originals: the text that a synthetic event was made from, by event id.
        confirm: a second evaluation, of other lemmas, that is kept apart in the same way.
        glosses: what training may read beside its bundles; those of the lemmas of ``dev`` and ``dev_items`` count as
            development's. They are compared as stored, before the encoder's lemma is put in front.
        dev_items: the items of development lemmas.

    Raises:
        Leakage: a lemma or a text is on both sides.
    """
    eval_lemmas, eval_texts = evaluation.lemmas(), evaluation.texts()
    if confirm is not None:
        if shared := sorted(eval_lemmas & confirm.lemmas()):
            raise Leakage(f"{len(shared)} times a confirm lemma is an evaluation lemma, the first being {shared[0]!r}")
        eval_lemmas, eval_texts = eval_lemmas | confirm.lemmas(), eval_texts | confirm.texts()
    dev_lemmas, dev_texts = _lemmas_and_texts(dev, originals)
    dev_lemmas, dev_texts = dev_lemmas | dev_items.lemmas(), dev_texts | dev_items.texts()
    train_lemmas, train_texts = _lemmas_and_texts(train, originals)
    for gloss in glosses:
        (dev_texts if gloss.lemma in dev_lemmas else train_texts).add(gloss.text)
        (dev_lemmas if gloss.lemma in dev_lemmas else train_lemmas).add(gloss.lemma)
    forms, dev_forms, train_forms = ({*map(normalised, texts)} for texts in (eval_texts, dev_texts, train_texts))
    for name, left, right in (
        ("training lemma is an evaluation lemma", train_lemmas, eval_lemmas),
        ("training lemma is a development lemma", train_lemmas, dev_lemmas),
        ("development lemma is an evaluation lemma", dev_lemmas, eval_lemmas),
        ("training text is an evaluation text", train_forms, forms),
        ("training text is a development text", train_forms, dev_forms),
        ("development text is an evaluation text", dev_forms, forms),
    ):
        if shared := sorted(left & right):
            raise Leakage(f"{len(shared)} times a {name}, the first being {shared[0]!r}")
    compared = sorted(train_texts | dev_texts)
    if copies := near_copies(compared, sorted(eval_texts)):
        text, of = min(copies.items())
        raise Leakage(f"{len(copies)} texts nearly copy one of the evaluation, the first being {text!r}, of {of!r}")
    return len(compared)


def _lemmas_and_texts(bundles: Iterable[Bundle], originals: Mapping[str, str]) -> tuple[set[str], set[str]]:
    """The lemmas and the texts of bundles, including the originals of synthetic texts."""
    events = {event.event_id: event for bundle in bundles for event in bundle.events}
    texts: set[str] = set()
    for event in events.values():
        texts.add(event.text)
        if event.source == "synthetic":
            texts.add(originals[event.event_id])
    return {event.lemma for event in events.values()}, texts
