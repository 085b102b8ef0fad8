"""Ranks a query's candidates; finds killers, items that a model fails badly, with reason codes assigned by rule."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.contract.items import KILLER_DIGITS, KILLER_MARGIN, KILLER_RANK, ReasonCode
from engine.data.bundles.danger import rounded
from engine.data.bundles.encoder_text import EmbeddedTexts, encoder_text_of
from engine.data.records import Killer, RetrievalItem

FEW_WORDS = 3
STYLE_RATIO = 2.5
_WORD = re.compile(r"\w+")


class Ranked(NamedTuple):
    """Ranking of one query's candidates.

    Attributes:
        rank: of the best right candidate among all, from 1; a wrong candidate with an equal similarity ranks before it.
        margin: similarity of the best right candidate minus that of the best wrong one.
        answer: index of the best right candidate.
        chosen: index of the candidate the model puts first; the wrong one on a tie.
        similarities: of the query with every candidate, in their order.
    """

    rank: int
    margin: float
    answer: int
    chosen: int
    similarities: tuple[float, ...] = ()


def rank_candidates(similarities: NDArray[np.float64], right: NDArray[np.bool_]) -> Ranked:
    """Rank candidates (C,) of which ``right`` (C,) are right; at least one is right and one is wrong.

    A similarity that is not a number counts as the lowest for a right candidate and the highest for a wrong one.
    """
    values = np.where(np.isnan(similarities), np.where(right, -np.inf, np.inf), similarities)
    answer = int(np.flatnonzero(right)[np.argmax(values[right])])
    rival = int(np.flatnonzero(~right)[np.argmax(values[~right])])
    rank = 1 + int(np.count_nonzero(values[~right] >= values[answer]))
    chosen = answer if rank == 1 else rival
    return Ranked(rank, float(values[answer] - values[rival]), answer, chosen, tuple(similarities.tolist()))


def killer_set(items: Sequence[RetrievalItem], texts: EmbeddedTexts) -> tuple[Killer, ...]:
    """The items that the reference model, frozen mean pooling, fails badly, in their order."""
    queries = [encoder_text_of(item.query) for item in items]
    candidates = [[encoder_text_of(candidate.event) for candidate in item.candidates] for item in items]
    found: list[Killer] = []
    for item, near in zip(items, texts.to_each(queries, candidates), strict=True):
        outcome = rank_candidates(rounded(near), np.array([candidate.right for candidate in item.candidates]))
        if reason := reason_code(item, outcome):
            margin = round(outcome.margin, KILLER_DIGITS)
            wrong = item.candidates[outcome.chosen].event.sense_id
            found.append(Killer(item.item_id, reason, margin, round(1 - margin, KILLER_DIGITS), outcome.rank, wrong))
    return tuple(found)


def reason_code(item: RetrievalItem, outcome: Ranked) -> ReasonCode | None:
    """Why ``item`` is a killer, or None when it is not one: its margin is above -0.15 and its rank is 3 or better.

    The first rule that holds gives the reason:

    1. ``underdetermined_context``: the query has at most three words beside the target.
    2. ``cross_domain_confusable``: the candidate chosen is of another lemma.
    3. ``cross_pos_collision``: the candidate chosen is of another part of speech.
    4. ``style_mismatch``: the right candidate is of another source than the query, or more than 2.5 times longer or
       shorter, and the candidate chosen is not.
    5. ``within_lemma_collision``: everything else: another sense of the same word in a similar context.
    """
    if outcome.rank == 1 or (outcome.margin > KILLER_MARGIN and outcome.rank < KILLER_RANK):
        return None
    query, right = item.query, item.candidates[outcome.answer].event
    chosen = item.candidates[outcome.chosen].event
    if len(_WORD.findall(query.text[: query.start] + " " + query.text[query.end :])) <= FEW_WORDS:
        return "underdetermined_context"
    if chosen.lemma != query.lemma:
        return "cross_domain_confusable"
    if chosen.pos != query.pos:
        return "cross_pos_collision"

    def unlike(source: str, text: str) -> bool:
        longer, shorter = sorted((len(text), len(query.text)), reverse=True)
        return source != query.source or longer > STYLE_RATIO * max(1, shorter)

    if unlike(right.source, right.text) and not unlike(chosen.source, chosen.text):
        return "style_mismatch"
    return "within_lemma_collision"
