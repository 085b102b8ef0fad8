"""The user's development sets: items of the evaluation are dropped from them, and their texts from the training data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeVar

from msgspec import structs

from engine.contract.bad_input import BadInput
from engine.data.leakage import Excluded
from engine.data.near_copies import near_copies
from engine.data.records import CoherenceItem, DevelopmentSet, FrozenEvaluation, RetrievalItem
from engine.data.wordnet.usage_events import text_key

Item = TypeVar("Item", RetrievalItem, CoherenceItem)


class EvaluationFilter:
    """Drops development items that would tell of the evaluation: with a lemma, a text or a near-copy of a text of it.

    Args:
        sets: all development sets that will be filtered.
        held_out: the evaluation, and the confirm split if there is one.

    Attributes:
        counts: of the items dropped so far, by reason.
    """

    def __init__(self, sets: Sequence[DevelopmentSet], held_out: Iterable[FrozenEvaluation]) -> None:
        self.counts: Counter[str] = Counter()
        evaluations = tuple(held_out)
        texts = sorted({text for one in evaluations for text in one.texts()})
        self._lemmas = {lemma for one in evaluations for lemma in one.lemmas()}
        self._keys = set(map(text_key, texts))
        self._copies = near_copies(sorted(_texts(sets)), texts).keys()

    def without_evaluation(self, one: DevelopmentSet) -> DevelopmentSet:
        """``one`` without the dropped items.

        Raises:
            BadInput: none of its retrieval or of its coherence items is left.
        """
        return structs.replace(
            one,
            retrieval=self._kept(one.name, "retrieval", one.retrieval),
            coherence=self._kept(one.name, "coherence", one.coherence),
        )

    def _kept(self, name: str, role: str, items: Sequence[Item]) -> tuple[Item, ...]:
        reasons = [self._reason(item) for item in items]
        kept = tuple(item for item, reason in zip(items, reasons, strict=True) if not reason)
        dropped = Counter(reason for reason in reasons if reason)
        if items and not kept:
            why = ", ".join(f"{count} with {reason}" for reason, count in sorted(dropped.items()))
            raise BadInput(f"none of its {len(items)} items is left: {why}", field=f"development.{name}.{role}")
        self.counts.update({f"{role} item of {name} with {reason}": count for reason, count in dropped.items()})
        return kept

    def _reason(self, item: RetrievalItem | CoherenceItem) -> str:
        """Why ``item`` is dropped; "" if it is kept."""
        if item.lemma in self._lemmas:
            return "a lemma of the evaluation"
        own = _texts_of(item)
        if not self._keys.isdisjoint(map(text_key, own)):
            return "a text of the evaluation"
        return "" if self._copies.isdisjoint(own) else "a near-copy of the evaluation"


def without_development_texts(data: Excluded, sets: Sequence[DevelopmentSet]) -> Excluded:
    """``data`` without the training bundles and glosses that have a text of ``sets``; they are added to its counts."""
    keys = set(map(text_key, _texts(sets)))
    train = tuple(bundle for bundle in data.train if keys.isdisjoint(text_key(event.text) for event in bundle.events))
    glosses = tuple(gloss for gloss in data.glosses if text_key(gloss.text) not in keys)
    dropped = {
        "training bundle with a text of a development set": len(data.train) - len(train),
        "gloss of a development set": len(data.glosses) - len(glosses),
    }
    counts = data.counts | {reason: count for reason, count in dropped.items() if count}
    return structs.replace(data, train=train, glosses=glosses, counts=dict(sorted(counts.items())))


def _texts(sets: Iterable[DevelopmentSet]) -> set[str]:
    return {text for one in sets for text in FrozenEvaluation(one.retrieval, one.coherence, ()).texts()}


def _texts_of(item: RetrievalItem | CoherenceItem) -> set[str]:
    alone = DevelopmentSet("", (item,)) if isinstance(item, RetrievalItem) else DevelopmentSet("", (), (item,))
    return _texts((alone,))
