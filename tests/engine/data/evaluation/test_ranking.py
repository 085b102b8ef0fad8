"""How one query ranks its candidates."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.data.evaluation.killers import rank_candidates

candidates = st.lists(
    st.tuples(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.5, 1.0]), st.booleans()), min_size=2, max_size=9
)


@given(drawn=candidates)
def test_the_rank_is_the_place_in_a_list_where_wrong_ones_go_first_among_equals(
    drawn: list[tuple[float, bool]],
) -> None:
    assume(len({right for _, right in drawn}) == 2)
    values, right = np.array([value for value, _ in drawn]), np.array([is_right for _, is_right in drawn])
    outcome = rank_candidates(values, right)
    in_order = sorted(range(len(drawn)), key=lambda place: (-values[place], right[place]))
    assert outcome.rank == 1 + next(at for at, place in enumerate(in_order) if right[place])
    assert outcome.margin == values[right].max() - values[~right].max()
    assert right[outcome.answer]
    assert values[outcome.answer] == values[right].max()
    assert right[outcome.chosen] == (outcome.rank == 1)
    assert values[outcome.chosen] == values.max()


def test_what_is_not_a_number_never_wins() -> None:
    right = np.array([True, False, False])
    assert rank_candidates(np.array([np.nan, 0.1, 0.2]), right).rank == 3
    assert rank_candidates(np.array([0.9, np.nan, 0.2]), right).rank == 2
    assert rank_candidates(np.array([np.nan, np.nan, np.nan]), right).rank == 3
