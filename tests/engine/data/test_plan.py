"""Splits by lemma, and plans over the real WordNet that keep evaluation texts out of training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.contract.bad_input import BadInput
from engine.data.bundles.synthetic import Synthetic
from engine.data.leakage import HeldOut
from engine.data.near_copies import near_copies
from engine.data.plan import SHARES, Plan, Split, _drop_near_copies, choose_lemmas, make_plan, split_of
from engine.data.wordnet.database import WordNet
from engine.data.wordnet.usage_events import Lexicon, Sense, digest, normalised, usage_event
from tests.engine.data.conftest import SMALL

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
def test_lemmas_that_lose_their_use_when_held_out_are_replaced(near_copied: set[str], few: int) -> None:
    looked_at: list[str] = []

    def hold_out(lemmas: Sequence[str]) -> set[str]:
        looked_at.extend(lemmas)
        return near_copied & set(lemmas)

    def useful(lemma: str) -> bool:
        return lemma not in looked_at or lemma not in near_copied

    chosen = choose_lemmas(LEMMAS[:60], "train", 3, few, useful, hold_out)
    expected = choose_lemmas(LEMMAS[:60], "train", 3, few, lambda lemma: lemma not in near_copied)
    assert chosen == expected
    assert len(set(looked_at)) == len(looked_at)
    assert set(chosen) <= set(looked_at)


@pytest.fixture(scope="module")
def plan(wordnet: WordNet, lexicon: Lexicon) -> Plan:
    return make_plan(SMALL, 0, wordnet, lexicon)


def training_texts(plan: Plan) -> set[str]:
    drafted = {event.text for draft in (*plan.dev, *plan.v22, *plan.v23) for event in draft.events}
    made = {text for c in plan.synthetics for text in (c.event.text, c.original)}
    return drafted | made | {event.text for senses in plan.visible for one in senses for event in one.examples}


def test_no_text_of_training_nearly_copies_the_evaluation(plan: Plan) -> None:
    assert near_copies(sorted(training_texts(plan)), sorted(plan.evaluation.texts())) == {}


def test_a_near_copy_planted_in_a_training_lemma_is_left_out_and_counted(
    plan: Plan, wordnet: WordNet, lexicon: Lexicon
) -> None:
    lemma = plan.lemmas["train"][0]
    query = max((item.query for item in plan.evaluation.retrieval), key=lambda event: len(event.text))
    first, *rest = lexicon[lemma]
    copy = usage_event(lemma, first.pos, first.sense_id, f"And {query.text}", (0, 3), "example")
    planted: Sense = structs.replace(first, examples=(*first.examples, copy))
    again = make_plan(SMALL, 0, wordnet, {**lexicon, lemma: (planted, *rest)})
    assert copy.text not in training_texts(again)
    reason = "example near an evaluation text"
    assert again.excluded[reason] == plan.excluded[reason] + 1
    assert again.lemmas == plan.lemmas


def test_a_lemma_that_loses_all_texts_as_near_copies_is_replaced(
    plan: Plan, wordnet: WordNet, lexicon: Lexicon
) -> None:
    lemma = plan.lemmas["train"][3]
    queries = sorted((item.query.text for item in plan.evaluation.retrieval), key=len, reverse=True)
    near_copied = tuple(
        structs.replace(
            sense,
            gloss=structs.replace(sense.gloss, text=f"{queries[0]} {digest(sense.sense_id)[:2]}"),
            examples=tuple(
                structs.replace(event, text=f"And {queries[number]}") for number, event in enumerate(sense.examples)
            ),
        )
        for sense in lexicon[lemma]
    )
    again = make_plan(SMALL, 0, wordnet, {**lexicon, lemma: near_copied})
    assert lemma not in again.lemmas["train"]
    assert len(again.lemmas["train"]) == SMALL.train_lemmas
    assert set(plan.lemmas["train"]) - set(again.lemmas["train"]) == {lemma}


@pytest.mark.parametrize(("made", "original"), [("And {}", "new words"), ("new words", "And {}")])
def test_a_synthetic_context_near_an_evaluation_text_is_left_out_and_counted(made: str, original: str) -> None:
    long = "they went down to the bank of the river and sat there"
    held_out, excluded = HeldOut([long]), Counter[str]()
    kept, left_out = (
        Synthetic(usage_event("shore", "n", "s", text, (0, 3), "synthetic"), of)
        for text, of in (("some text", "another text"), (made.format(long), original.format(long)))
    )
    assert _drop_near_copies((kept, left_out), held_out, excluded) == (kept,)
    assert excluded == {"synthetic context near an evaluation text": 1}


def test_probes_are_of_held_out_lemmas_and_no_text_of_theirs_is_in_training(plan: Plan) -> None:
    probes = plan.evaluation.probes
    assert 0 < len(probes) <= len(plan.lemmas["eval"])
    assert {probe.event.lemma for probe in probes} <= set(plan.lemmas["eval"])
    forms = {normalised(text) for text in training_texts(plan)}
    assert forms.isdisjoint(normalised(probe.event.text) for probe in probes)


def test_a_slice_that_holds_nothing_is_bad_input(wordnet: WordNet, lexicon: Lexicon) -> None:
    some = {lemma: lexicon[lemma] for lemma in sorted(lexicon)[:50]}
    with pytest.raises(BadInput, match="take more lemmas"):
        make_plan(SMALL, 0, wordnet, some)
