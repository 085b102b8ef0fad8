"""Columns of ``items.parquet`` and ``attention.parquet``: a row per evaluated item; all statistics are computed from these.

``items.parquet``
    kind: ``retrieval`` or ``coherence`` (one row per step) · item_id · lemma · tier · source · candidates: their number
    rank: of the best right candidate among all, from 1 · correct_at_1 · correct_at_3 · margin: best right minus best wrong
    reason: reason code of a killer, else "" · mean_pool_rank, mean_pool_margin: the same of frozen mean pooling
    query, answer, chosen: the texts, for a person to read
    pos: part of speech of the query, such as noun · senses: number of different senses among the candidates
    step, steps: number of a coherence step in its item, from 1, and of all its steps; 0 for retrieval
    item_class: what the item can tell, see ``engine.evaluation.item_classes`` · best_expected: chance of the best reader
    overlap_right, overlap_wrong: greatest word overlap of the query with a right and with a wrong candidate
    similarities: cosine of the query with each candidate, in the item's order · right: which of them are right
    mean_pool_similarities: as similarities, of frozen mean pooling
    baseline_ranks, baseline_margins: of each of the baselines of ``metrics.json`` but ``random``, in its order
    chosen_sense: sense id of the candidate chosen · cue_strength: how much the query gives its sense away, null if unknown
    killer: reason code in the frozen killer set, whichever model is scored, "" if the item is not in it; null, and the
    column may be absent, in runs older than it
    candidate_texts: the candidates, in the order of similarities
    query_tokens: characters of every token of the query, as token_texts below · query_weights: attention of the head on
    each, rounded to 0.0001; both empty where no head was evaluated

``attention.parquet``
    item_id · lemma · step, epoch: of the measurement, in epochs done with their fraction
    tokens: their number · entropy: entropy / log tokens, 1.0 is uniform
    lemma_mass: attention on the target word · cue_mass: attention on the words that give its sense away, null where
    none is known · top_tokens: the three heaviest, joined by spaces · text
    token_texts: characters of every token, special tokens as ``<start>`` and ``<end>`` · weights: attention on each
"""

from __future__ import annotations

from math import comb
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

ReasonCode = Literal[
    "within_lemma_collision",
    "cross_pos_collision",
    "cross_domain_confusable",
    "underdetermined_context",
    "style_mismatch",
]

KILLER_MARGIN = -0.15
KILLER_RANK = 4
"""A retrieval item is a killer of a model that gets it wrong with a margin no higher or a rank no better than these."""
KILLER_DIGITS = 5
"""A margin is rounded to these before it is compared."""


def chance_in_top(candidates: int, right: int, top: int) -> float:
    """Probability that ``top`` of ``candidates``, drawn without replacement, hold one of the ``right`` ones.

    It is the exact expectation of top-``top`` accuracy on an item for a model that ranks at random.
    """
    drawn = min(top, candidates)
    return 1.0 - comb(candidates - right, drawn) / comb(candidates, drawn)


class ItemRow(NamedTuple):
    """One row of ``items.parquet``."""

    kind: str
    item_id: str
    lemma: str
    tier: str
    source: str
    candidates: int
    rank: int
    correct_at_1: bool
    correct_at_3: bool
    margin: float
    reason: str
    mean_pool_rank: int
    mean_pool_margin: float
    query: str
    answer: str
    chosen: str
    pos: str
    senses: int
    step: int
    steps: int
    item_class: str
    best_expected: float
    overlap_right: float
    overlap_wrong: float
    similarities: list[float]
    right: list[bool]
    mean_pool_similarities: list[float]
    baseline_ranks: list[int]
    baseline_margins: list[float]
    chosen_sense: str
    cue_strength: float | None
    killer: str | None
    candidate_texts: list[str]
    query_tokens: list[str]
    query_weights: list[float]


class AttentionRow(NamedTuple):
    """One row of ``attention.parquet``."""

    item_id: str
    lemma: str
    step: int
    epoch: float
    tokens: int
    entropy: float
    lemma_mass: float
    cue_mass: float | None
    top_tokens: str
    text: str
    token_texts: list[str]
    weights: list[float]


_COLUMN_TYPES: dict[Any, str] = {
    str: "String",
    str | None: "String",
    int: "Int64",
    float: "Float64",
    float | None: "Float64",
    bool: "Boolean",
}


class ColumnType(NamedTuple):
    """Type of a column: the name of a polars type, such as ``Int64``, whether each value is a list of these, or may be null.

    A name, because contract modules import nothing heavy.
    """

    name: str
    is_list: bool
    is_nullable: bool


def column_types(row: type[ItemRow] | type[AttentionRow]) -> dict[str, ColumnType]:
    """The columns of ``row`` in their order, with their types."""
    return {name: _column_type(kind) for name, kind in get_type_hints(row).items()}


def _column_type(kind: Any) -> ColumnType:
    is_list = get_origin(kind) is list
    return ColumnType(_COLUMN_TYPES[get_args(kind)[0] if is_list else kind], is_list, type(None) in get_args(kind))
