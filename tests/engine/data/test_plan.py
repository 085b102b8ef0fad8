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
from engine.data.evaluation.items import has_retrieval_item
from engine.data.leakage import HeldOut
from engine.data.near_copies import near_copies
from engine.data.plan import (
    SHARES,
    Plan,
    _drop_near_copies,
    by_hash,
    choose_lemmas,
    make_plan,
    share_of,
    shares,
    training_candidates,
)
from engine.data.wordnet.database import WordNet
from engine.data.wordnet.usage_events import Lexicon, Sense, digest, normalised, usage_event
from tests.engine.data.conftest import SMALL

LEMMAS = [f"lemma{number}" for number in range(4000)]


def test_splits_have_their_shares() -> None:
    counts = {name: len(lemmas) for name, lemmas in shares(LEMMAS, 0).items()}
    assert counts.keys() == SHARES.keys() and sum(SHARES.values()) == pytest.approx(1.0)
    assert all(abs(counts[name] / len(LEMMAS) - share) < 0.03 for name, share in SHARES.items())


def test_the_share_is_the_same_on_every_machine_and_turns_with_the_seed() -> None:
    pinned = {"sky": "train", "bank": "train", "auto": "eval", "river": "eval", "boat": "train"}
    assert {lemma: share_of(lemma, 0) for lemma in pinned} == pinned
    assert any(share_of(lemma, 0) != share_of(lemma, 1) for lemma in LEMMAS)


@given(st.integers(0, 2**31 - 1), st.lists(st.text(min_size=1, max_size=5), max_size=40, unique=True))
def test_every_lemma_is_in_one_share_whatever_the_order(seed: int, lemmas: list[str]) -> None:
    found = shares(lemmas, seed)
    assert sorted(lemma for part in found.values() for lemma in part) == sorted(lemmas)
    assert found == shares(reversed(lemmas), seed)


@given(st.integers(1, 50), st.integers(0, 50))
def test_a_larger_slice_begins_with_the_smaller_one(few: int, more: int) -> None:
    small = choose_lemmas(LEMMAS, few, lambda lemma: lemma.endswith("7"))
    large = choose_lemmas(LEMMAS, few + more, lambda lemma: lemma.endswith("7"))
    assert large[: len(small)] == small
    assert len(small) == min(few, len(large))
    assert all(lemma.endswith("7") for lemma in large)


@given(
    st.integers(0, 2**31 - 1),
    st.lists(st.text(min_size=1, max_size=5), max_size=30, unique=True),
    st.lists(st.text(min_size=1, max_size=5), max_size=10, unique=True),
)
def test_new_lemmas_move_none_to_another_share(seed: int, lemmas: list[str], more: list[str]) -> None:
    before, after = shares(lemmas, seed), shares({*lemmas, *more}, seed)
    assert all(set(before[name]) == set(after[name]) & set(lemmas) for name in SHARES)


@given(st.sets(st.sampled_from(LEMMAS[:60])), st.integers(1, 20))
def test_lemmas_that_lose_their_use_when_held_out_are_replaced(near_copied: set[str], few: int) -> None:
    looked_at: list[str] = []

    def hold_out(lemmas: Sequence[str]) -> set[str]:
        looked_at.extend(lemmas)
        return near_copied & set(lemmas)

    def useful(lemma: str) -> bool:
        return lemma not in looked_at or lemma not in near_copied

    chosen = choose_lemmas(LEMMAS[:60], few, useful, hold_out)
    expected = choose_lemmas(LEMMAS[:60], few, lambda lemma: lemma not in near_copied)
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


def test_no_text_of_training_nearly_copies_the_evaluation_or_the_confirm_split(plan: Plan) -> None:
    held_out = sorted(plan.evaluation.texts() | plan.confirm.texts())
    assert near_copies(sorted(training_texts(plan)), held_out) == {}


def test_development_items_and_glosses_hold_no_text_of_the_evaluation_and_none_that_training_reads(plan: Plan) -> None:
    held_out = sorted(plan.evaluation.texts() | plan.confirm.texts())
    assert near_copies(sorted({gloss.text for gloss in plan.glosses} | plan.dev_items.texts()), held_out) == {}
    dev_lemmas = set(plan.lemmas["dev"])
    assert plan.dev_items.retrieval and plan.dev_items.lemmas() <= dev_lemmas
    assert {gloss.lemma for gloss in plan.glosses} == dev_lemmas | set(plan.lemmas["train"])
    dev = {normalised(gloss.text) for gloss in plan.glosses if gloss.lemma in dev_lemmas}
    dev |= {normalised(text) for text in plan.dev_items.texts()}
    train = {normalised(gloss.text) for gloss in plan.glosses if gloss.lemma not in dev_lemmas}
    made = {normalised(text) for one in plan.synthetics for text in (one.event.text, one.original)}
    drafted = {normalised(event.text) for draft in (*plan.v22, *plan.v23) for event in draft.events}
    assert dev and train and dev.isdisjoint(train | made | drafted)


def test_a_gloss_of_a_development_lemma_is_not_read_by_a_synonym_that_trains(
    plan: Plan, wordnet: WordNet, lexicon: Lexicon
) -> None:
    (first, *rest), shared = lexicon[plan.lemmas["train"][0]], lexicon[plan.lemmas["dev"][0]][0].gloss.text
    synonym = structs.replace(first, gloss=structs.replace(first.gloss, text=shared))
    again = make_plan(SMALL, 0, wordnet, {**lexicon, first.lemma: (synonym, *rest)})
    readers = [gloss.lemma for gloss in again.glosses if gloss.text == shared]
    assert plan.lemmas["dev"][0] in readers and first.lemma not in readers
    assert first.lemma in again.lemmas["train"]


def test_the_confirm_split_is_of_other_lemmas_as_many_as_the_evaluations(plan: Plan) -> None:
    assert len(plan.lemmas["confirm"]) == len(plan.lemmas["eval"]) == SMALL.eval_lemmas
    splits = [set(lemmas) for lemmas in plan.lemmas.values()]
    assert len(set.union(*splits)) == sum(map(len, splits))
    assert plan.confirm.lemmas() <= set(plan.lemmas["confirm"])
    assert (len(plan.confirm.retrieval), len(plan.confirm.coherence)) == (SMALL.retrieval_items, SMALL.coherence_items)


def test_lemmas_that_no_evaluation_can_use_train_after_those_of_the_training_share(lexicon: Lexicon) -> None:
    some = {lemma: lexicon[lemma] for lemma in by_hash(lexicon, 0)[::40]}
    of_share = shares(some, 0)
    candidates = list(training_candidates(some, of_share))
    assert candidates[: len(of_share["train"])] == of_share["train"]
    added = set(candidates[len(of_share["train"]) :])
    usable = {lemma for lemma in some if has_retrieval_item(some[lemma])}
    assert added & usable == set()
    assert added & set(of_share["confirm"]) == set(of_share["confirm"]) - usable
    of_eval = added & set(of_share["eval"])
    assert of_eval and all(len([sense for sense in some[lemma] if sense.examples]) > 1 for lemma in of_eval)
    assert added.isdisjoint(of_share["dev"])


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
