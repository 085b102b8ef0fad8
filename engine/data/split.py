"""The split by lemma, never by sentence: a lemma is in train, dev or eval by the hash of its name and the data seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
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
    lemmas: Iterable[str], split: Split, data_seed: int, limit: int | None, useful: Callable[[str], bool]
) -> tuple[str, ...]:
    """The first ``limit`` lemmas of a split, in the order of their hashes, of which ``useful`` says yes."""
    ordered = sorted((position(lemma, data_seed), lemma) for lemma in lemmas if split_of(lemma, data_seed) == split)
    chosen: list[str] = []
    for _, lemma in ordered:
        if limit is not None and len(chosen) == limit:
            break
        if useful(lemma):
            chosen.append(lemma)
    return tuple(chosen)
