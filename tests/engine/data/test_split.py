from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from engine.data.plan import SHARES, Split, choose_lemmas, split_of

LEMMAS = [f"lemma{number}" for number in range(4000)]
SPLITS: tuple[Split, ...] = ("train", "dev", "eval")


def test_splits_have_their_shares() -> None:
    counts = Counter(split_of(lemma, 0) for lemma in LEMMAS)
    assert all(abs(counts[name] / len(LEMMAS) - share) < 0.03 for name, share in SHARES.items())


def test_the_split_is_the_same_on_every_machine_and_turns_with_the_seed() -> None:
    pinned = {"sky": "train", "bank": "train", "auto": "eval", "river": "eval"}
    assert {lemma: split_of(lemma, 0) for lemma in pinned} == pinned
    assert any(split_of(lemma, 0) != split_of(lemma, 1) for lemma in LEMMAS)


@given(st.integers(0, 2**31 - 1), st.lists(st.text(min_size=1, max_size=5), max_size=40, unique=True))
def test_every_lemma_is_in_one_split_whatever_the_order(seed: int, lemmas: list[str]) -> None:
    chosen = [choose_lemmas(lemmas, split, seed, None, lambda _: True) for split in SPLITS]
    assert sorted(lemma for part in chosen for lemma in part) == sorted(lemmas)
    assert chosen == [choose_lemmas(reversed(lemmas), split, seed, None, lambda _: True) for split in SPLITS]


@given(st.integers(1, 50), st.integers(0, 50))
def test_a_larger_slice_begins_with_the_smaller_one(few: int, more: int) -> None:
    small = choose_lemmas(LEMMAS, "eval", 3, few, lambda lemma: lemma.endswith("7"))
    large = choose_lemmas(LEMMAS, "eval", 3, few + more, lambda lemma: lemma.endswith("7"))
    assert large[: len(small)] == small
    assert len(small) == min(few, len(large))
    assert all(lemma.endswith("7") for lemma in large)


@given(
    st.integers(0, 2**31 - 1),
    st.lists(st.text(min_size=1, max_size=5), max_size=30, unique=True),
    st.lists(st.text(min_size=1, max_size=5), max_size=10, unique=True),
)
def test_splits_are_disjoint_and_new_lemmas_move_none(seed: int, lemmas: list[str], more: list[str]) -> None:
    before = {split: set(choose_lemmas(lemmas, split, seed, None, lambda _: True)) for split in SPLITS}
    after = {split: set(choose_lemmas({*lemmas, *more}, split, seed, None, lambda _: True)) for split in SPLITS}
    assert all(before[one].isdisjoint(before[other]) for one in SPLITS for other in SPLITS if one != other)
    assert all(before[split] == after[split] & set(lemmas) for split in SPLITS)


@given(st.sets(st.sampled_from(LEMMAS[:60])), st.integers(1, 20))
def test_lemmas_that_are_spoiled_when_they_are_looked_at_give_their_places_to_others(
    damaged_runs: set[str], few: int
) -> None:
    looked_at: list[str] = []

    def hit(lemmas: Sequence[str]) -> set[str]:
        looked_at.extend(lemmas)
        return damaged_runs & set(lemmas)

    def useful(lemma: str) -> bool:
        return lemma not in looked_at or lemma not in damaged_runs

    chosen = choose_lemmas(LEMMAS[:60], "train", 3, few, useful, hit)
    expected = choose_lemmas(LEMMAS[:60], "train", 3, few, lambda lemma: lemma not in damaged_runs)
    assert chosen == expected
    assert len(set(looked_at)) == len(looked_at)
    assert set(chosen) <= set(looked_at)
