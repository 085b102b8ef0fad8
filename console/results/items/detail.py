"""One evaluation item as one run saved it: all candidates with their cosines, the query's tokens with their attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from msgspec import Struct

from console.results.load import UnusableCapsule, read_verified
from console.sanitize import sanitize_line


class Candidate(Struct, frozen=True):
    """One candidate of an item.

    Attributes:
        text: safe to show; None where the run did not save it.
        similarity, mean_pool_similarity: cosine with the query under the run's head and under frozen mean pooling, None
            where it was not saved.
        is_chosen, is_mean_pool_choice: ranked first by the head, by mean pooling.
    """

    text: str | None
    is_right: bool
    is_chosen: bool
    similarity: float
    mean_pool_similarity: float | None = None
    is_mean_pool_choice: bool = False


class Token(Struct, frozen=True):
    """A piece of the query, safe to show: a token with the attention on it, or what stands between two (weight None)."""

    text: str
    weight: float | None = None
    is_special: bool = False


class ItemDetail(Struct, frozen=True):
    """One item under one run.

    Attributes:
        candidates: greatest similarity first.
        tokens: the whole query in pieces; empty where the run did not save the attention on it.
        reason: why the item is a killer of this run, "" if it is none.
    """

    query: str
    rank: int
    margin: float
    mean_pool_rank: int
    mean_pool_margin: float
    reason: str
    candidates: tuple[Candidate, ...]
    tokens: tuple[Token, ...] = ()


def read_item(path: Path, sha256: str, kind: str, item_id: str) -> ItemDetail:
    """Read one item from the ``items.parquet`` at ``path``, whose hash is ``sha256`` ("" is any).

    Raises:
        UnusableCapsule: the file cannot be read, is another one, lacks the item or contradicts itself.
    """
    try:
        frame = read_verified(path, sha256)
        row = frame.filter((pl.col("kind") == kind) & (pl.col("item_id") == item_id)).row(0, named=True)
        return _detail(row)
    except (OSError, pl.exceptions.PolarsError, ValueError, KeyError, TypeError) as error:
        raise UnusableCapsule(sanitize_line(f"the item cannot be read from {path.name}: {error}")) from error


def _detail(row: dict[str, Any]) -> ItemDetail:
    similarities, right = row["similarities"], row["right"]
    pooled = row.get("mean_pool_similarities") or [None] * len(right)
    texts = row.get("candidate_texts") or _known_texts(row)
    if not len(similarities) == len(right) == len(pooled) == len(texts) or len(set(right)) != 2:
        raise ValueError("its candidates contradict each other")
    if not all(math.isfinite(value) for value in (*similarities, *pooled) if value is not None):
        raise ValueError("a similarity is not a number")
    chosen, pooled_choice = _chosen(similarities, right), _chosen(pooled, right)
    safe = [None if text is None else sanitize_line(text) for text in texts]
    candidates = [
        Candidate(
            safe[at],
            right[at],
            at == chosen,
            similarities[at],
            pooled[at],
            at == pooled_choice,
        )
        for at in sorted(range(len(right)), key=lambda at: (-similarities[at], at != chosen, at))
    ]
    return ItemDetail(
        query=sanitize_line(row["query"]),
        rank=row["rank"],
        margin=row["margin"],
        mean_pool_rank=row["mean_pool_rank"],
        mean_pool_margin=row["mean_pool_margin"],
        reason=sanitize_line(row["reason"]),
        candidates=tuple(candidates),
        tokens=_tokens(row["query"], row.get("query_tokens") or (), row.get("query_weights") or ()),
    )


def _chosen(similarities: Sequence[float | None], right: Sequence[bool]) -> int | None:
    """The candidate ranked first, a wrong one where a right one only equals it, as the engine ranks; None if unknown."""
    known = [
        (value, not is_right, -at)
        for at, (value, is_right) in enumerate(zip(similarities, right, strict=True))
        if value is not None
    ]
    return -max(known)[2] if known else None


def _known_texts(row: dict[str, Any]) -> list[str | None]:
    """The candidates' texts where only the answer and the one chosen were saved."""
    similarities, right = row["similarities"], row["right"]
    texts: list[str | None] = [None] * len(right)
    best_right = max((at for at, is_right in enumerate(right) if is_right), key=lambda at: similarities[at])
    texts[best_right] = row["answer"]
    if (chosen := _chosen(similarities, right)) is not None:
        texts[chosen] = row["chosen"]
    return texts


def _tokens(query: str, texts: Sequence[str], weights: Sequence[float]) -> tuple[Token, ...]:
    """The query cut into its tokens and what stands between them; special tokens stand at the ends."""
    if len(texts) != len(weights) or not all(0 <= weight <= 1 for weight in weights):  # False for NaN too
        raise ValueError("its tokens contradict each other")
    pieces: list[Token] = []
    end = 0
    for at, (text, weight) in enumerate(zip(texts, weights, strict=True)):
        is_end = at in (0, len(texts) - 1) and text in ("<start>", "<end>")
        start = -1 if is_end else query.find(text, end)
        if is_end:
            pieces.append(Token(text, weight, is_special=True))
            continue
        if start > end:
            pieces.append(Token(sanitize_line(query[end:start])))
        pieces.append(Token(sanitize_line(text), weight))
        end = max(end, start + len(text)) if start >= 0 else end
    if texts and end < len(query):  # a long text is cut where the encoder stops reading
        rest = Token(sanitize_line(query[end:]))
        pieces.insert(len(pieces) - pieces[-1].is_special, rest)
    return tuple(pieces)
