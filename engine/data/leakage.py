"""Keeps evaluation texts out of training data: held-out texts, exclusion from users' bundles, the check of a build."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from engine.data.near_copies import near_copies
from engine.data.records import Bundle, FrozenEvaluation
from engine.data.wordnet.usage_events import Lexicon, normalised, text_key

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
    """Result of ``exclude``: bundles left, bundles left out by reason, number of texts compared."""

    train: tuple[Bundle, ...]
    dev: tuple[Bundle, ...]
    counts: dict[str, int]
    checked: int


def exclude(train: Sequence[Bundle], dev: Sequence[Bundle], evaluation: set[str]) -> Excluded:
    """Leave out the bundles with any text that is in ``evaluation`` or nearly copies one of it.

    Training bundles whose anchor or positive is an anchor or positive of development are left out, too.
    """
    texts = sorted({event.text for bundle in (*train, *dev) for event in bundle.events})
    against = sorted(evaluation)
    copies = {
        text
        for start in range(0, len(texts), _AT_ONCE)
        for text in near_copies(texts[start : start + _AT_ONCE], against)
    }
    exact = {text_key(text) for text in evaluation}
    counts: Counter[str] = Counter()

    def clean(bundles: Sequence[Bundle], name: str) -> Iterator[Bundle]:
        for bundle in bundles:
            own = [event.text for event in bundle.events]
            if any(text_key(text) in exact for text in own):
                counts[f"{name} bundle with a text of the evaluation"] += 1
            elif not copies.isdisjoint(own):
                counts[f"{name} bundle with a near-copy of the evaluation"] += 1
            else:
                yield bundle

    kept_dev = tuple(clean(dev, "development"))
    dev_keys = {key for bundle in kept_dev for key in _pair_keys(bundle)}
    kept_train = []
    for bundle in clean(train, "training"):
        if dev_keys.isdisjoint(_pair_keys(bundle)):
            kept_train.append(bundle)
        else:
            counts["training bundle with a text of development"] += 1
    return Excluded(tuple(kept_train), kept_dev, dict(sorted(counts.items())), len(texts))


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

    Raises:
        Leakage: a lemma or a text is on both sides.
    """
    eval_lemmas, eval_texts = evaluation.lemmas(), evaluation.texts()
    if confirm is not None:
        if shared := sorted(eval_lemmas & confirm.lemmas()):
            raise Leakage(f"{len(shared)} times a confirm lemma is an evaluation lemma, the first being {shared[0]!r}")
        eval_lemmas, eval_texts = eval_lemmas | confirm.lemmas(), eval_texts | confirm.texts()
    dev_lemmas, dev_texts = _lemmas_and_texts(dev, originals)
    train_lemmas, train_texts = _lemmas_and_texts(train, originals)
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
