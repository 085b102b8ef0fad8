"""How one query ranks its candidates: shared by retrieval and coherence."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Ranked(NamedTuple):
    """One query's outcome.

    Attributes:
        rank: of the best right candidate among all, from 1; a wrong candidate with an equal similarity stands before it.
        margin: similarity of the best right candidate minus that of the best wrong one.
        answer: index of the best right candidate.
        chosen: index of the candidate the model puts first; the wrong one on a tie.
    """

    rank: int
    margin: float
    answer: int
    chosen: int


def rank_candidates(similarities: NDArray[np.float64], right: NDArray[np.bool_]) -> Ranked:
    """Rank candidates (C,) of which ``right`` (C,) are right; at least one is right and one is wrong.

    A similarity that is not a number counts as the lowest for a right candidate and the highest for a wrong one.
    """
    values = np.where(np.isnan(similarities), np.where(right, -np.inf, np.inf), similarities)
    answer = int(np.flatnonzero(right)[np.argmax(values[right])])
    rival = int(np.flatnonzero(~right)[np.argmax(values[~right])])
    rank = 1 + int(np.count_nonzero(values[~right] >= values[answer]))
    return Ranked(rank, float(values[answer] - values[rival]), answer, answer if rank == 1 else rival)
