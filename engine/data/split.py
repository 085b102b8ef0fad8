"""The split by lemma, never by sentence: a lemma is in train, dev or eval by the hash of its name and the data seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Sequence
from itertools import islice
from typing import Literal

Split = Literal["train", "dev", "eval"]
SHARES: dict[Split, float] = {"eval": 0.20, "dev": 0.08, "train": 0.72}


def position(lemma: str, data_seed: int) -> float:
    """Where a lemma stands in [0, 1): uniform over lemmas, the same everywhere."""
    hashed = hashlib.sha256(f"split\x1f{data_seed}\x1f{lemma}".encode()).digest()
    return int.from_bytes(hashed[:8], "big") / 2**64


def split_of(lemma: str, data_seed: int) -> Split:
    """The split of a lemma, in the shares of ``SHARES``."""
    place, end = position(lemma, data_seed), 0.0
    for name, share in SHARES.items():
        end += share
        if place < end:
            return name
    return "train"


def choose_lemmas(
    lemmas: Iterable[str],
    split: Split,
    data_seed: int,
    limit: int | None,
    useful: Callable[[str], bool],
    hit: Callable[[Sequence[str]], Container[str]] = lambda _: (),
) -> tuple[str, ...]:
    """The first ``limit`` lemmas of a split, in the order of their hashes, of which ``useful`` says yes.

    Args:
        lemmas: to choose from.
        split, data_seed: which of them belong to the split.
        limit: how many at most; None is all.
        useful: whether a lemma is of use.
        hit: takes something away from lemmas about to be chosen, many at once, and says from which; whether these are
            still ``useful`` is asked again, and others take the places of those that are not.
    """
    ordered = sorted((position(lemma, data_seed), lemma) for lemma in lemmas if split_of(lemma, data_seed) == split)
    candidates = (lemma for _, lemma in ordered if useful(lemma))
    chosen: list[str] = []
    while batch := list(islice(candidates, None if limit is None else limit - len(chosen))):
        fewer = hit(batch)
        chosen += [lemma for lemma in batch if lemma not in fewer or useful(lemma)]
    return tuple(chosen)
