"""How much of the user's own data a run takes: a part for development, and the slice that its profile asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from engine.contract.experiment import Slice
from engine.data.evaluation_items import in_turns
from engine.data.records import AttentionProbe, Bundle, CoherenceItem, Killer, RetrievalItem
from engine.data.split import position

DEV_SHARE = 0.10
MOST_DEV_BUNDLES = 1_500

Item = TypeVar("Item")


def split_dev(bundles: Sequence[Bundle], data_seed: int) -> tuple[tuple[Bundle, ...], tuple[Bundle, ...]]:
    """Bundles for training and for development: a tenth of the lemmas by their hashes, up to about 1,500 bundles.

    At least one lemma is for development, if there are two. Both keep the order of ``bundles``.
    """
    by_lemma = _grouped(bundles, _lemma_of)
    lemmas = _by_hash(by_lemma, data_seed)
    held_out: set[str] = set()
    count = 0
    for lemma in lemmas[: max(round(DEV_SHARE * len(lemmas)), min(1, len(lemmas) - 1))]:
        if count >= MOST_DEV_BUNDLES:
            break
        held_out.add(lemma)
        count += len(by_lemma[lemma])
    return (
        tuple(bundle for bundle in bundles if bundle.anchor.lemma not in held_out),
        tuple(bundle for bundle in bundles if bundle.anchor.lemma in held_out),
    )


def of_first_lemmas(bundles: Sequence[Bundle], limit: int | None, data_seed: int) -> tuple[Bundle, ...]:
    """The bundles of the first ``limit`` lemmas by their hashes; of all if it is None."""
    if limit is None:
        return tuple(bundles)
    chosen = set(_by_hash({bundle.anchor.lemma for bundle in bundles}, data_seed)[:limit])
    return tuple(bundle for bundle in bundles if bundle.anchor.lemma in chosen)


def sliced_retrieval(items: Sequence[RetrievalItem], part: Slice, data_seed: int) -> tuple[RetrievalItem, ...]:
    """Up to the slice's number of items and lemmas, each lemma's first before any lemma's second."""
    return _sliced(items, lambda item: item.lemma, part.eval_lemmas, part.retrieval_items, data_seed)


def sliced_coherence(items: Sequence[CoherenceItem], part: Slice, data_seed: int) -> tuple[CoherenceItem, ...]:
    """Up to the slice's number of items and lemmas, each lemma's first before any lemma's second."""
    return _sliced(items, lambda item: item.lemma, part.eval_lemmas, part.coherence_items, data_seed)


def sliced_probes(probes: Sequence[AttentionProbe], part: Slice, data_seed: int) -> tuple[AttentionProbe, ...]:
    """Those of the slice's number of lemmas."""
    return _sliced(probes, lambda probe: probe.event.lemma, part.eval_lemmas, None, data_seed)


def killers_of(killers: Iterable[Killer], items: Iterable[RetrievalItem]) -> tuple[Killer, ...]:
    """The killers that name one of ``items``."""
    known = {item.item_id for item in items}
    return tuple(killer for killer in killers if killer.item_id in known)


def _sliced(
    items: Sequence[Item], lemma_of: Callable[[Item], str], lemmas: int | None, count: int | None, data_seed: int
) -> tuple[Item, ...]:
    """All of ``items`` in their order, unless a limit is set."""
    if lemmas is None and count is None:
        return tuple(items)
    grouped = _grouped(items, lemma_of)
    rows: list[Iterator[Item]] = [iter(grouped[lemma]) for lemma in _by_hash(grouped, data_seed)[:lemmas]]
    return in_turns(rows, count)


def _grouped(items: Iterable[Item], lemma_of: Callable[[Item], str]) -> dict[str, list[Item]]:
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(lemma_of(item), []).append(item)
    return groups


def _lemma_of(bundle: Bundle) -> str:
    return bundle.anchor.lemma


def _by_hash(lemmas: Iterable[str], data_seed: int) -> list[str]:
    return sorted(lemmas, key=lambda lemma: (position(lemma, data_seed), lemma))
