from __future__ import annotations

import pytest

from engine.data.evaluation.items import MAX_CANDIDATES, MIN_WRONG, coherence_items, has_retrieval_item, retrieval_items
from engine.data.records import CoherenceItem, RetrievalItem
from engine.data.wordnet.usage_events import Lexicon, normalised


@pytest.fixture(scope="module")
def lemmas(lexicon: Lexicon) -> list[str]:
    return [lemma for lemma in sorted(lexicon)[::23] if has_retrieval_item(lexicon[lemma])]


@pytest.fixture(scope="module")
def retrieval(lexicon: Lexicon, lemmas: list[str]) -> tuple[RetrievalItem, ...]:
    return retrieval_items(lexicon, lemmas, None)


@pytest.fixture(scope="module")
def coherence(lexicon: Lexicon, lemmas: list[str]) -> tuple[CoherenceItem, ...]:
    return coherence_items(lexicon, lemmas, None)


def test_retrieval_items_can_be_answered_and_failed(retrieval: tuple[RetrievalItem, ...]) -> None:
    assert len(retrieval) > 40
    for item in retrieval:
        right = [candidate for candidate in item.candidates if candidate.right]
        assert right
        assert len(item.candidates) - len(right) >= MIN_WRONG
        assert len(item.candidates) <= MAX_CANDIDATES
        for candidate in item.candidates:
            assert (candidate.event.sense_id == item.query.sense_id) is candidate.right
            assert candidate.event.lemma == item.lemma == item.query.lemma
            assert candidate.event.source == "example"


def test_no_text_stands_twice_in_a_retrieval_item(retrieval: tuple[RetrievalItem, ...]) -> None:
    for item in retrieval:
        forms = [normalised(event.text) for event in (item.query, *(c.event for c in item.candidates))]
        assert len(set(forms)) == len(forms)


def test_the_position_of_the_right_candidate_carries_no_information(retrieval: tuple[RetrievalItem, ...]) -> None:
    first = sum(item.candidates[0].right for item in retrieval) / len(retrieval)
    expected = sum(sum(c.right for c in item.candidates) / len(item.candidates) for item in retrieval) / len(retrieval)
    assert abs(first - expected) < 0.15


def test_the_sense_shifts_at_each_step_of_a_coherence_item(coherence: tuple[CoherenceItem, ...]) -> None:
    assert {len(item.steps) for item in coherence} == {2, 3}
    for item in coherence:
        assert sorted(step.sense for step in item.steps) == list(range(len(item.sense_ids)))
        assert [item.sense_ids[step.sense] for step in item.steps] == [step.event.sense_id for step in item.steps]
        forms = [normalised(text) for text in (*item.glosses, *(step.event.text for step in item.steps))]
        assert len(set(forms)) == len(forms)


def test_no_two_items_are_equal(retrieval: tuple[RetrievalItem, ...], lexicon: Lexicon) -> None:
    everything = coherence_items(
        lexicon, [lemma for lemma in sorted(lexicon) if has_retrieval_item(lexicon[lemma])], None
    )
    assert len({item.item_id for item in everything}) == len({item.sense_ids for item in everything}) == len(everything)
    assert len({item.item_id for item in retrieval}) == len(retrieval)


def test_the_index_of_the_active_sense_carries_no_information(coherence: tuple[CoherenceItem, ...]) -> None:
    first = [item.steps[0].sense == 0 for item in coherence if len(item.steps) == 2]
    assert 0.3 < sum(first) / len(first) < 0.7


def test_glosses_are_those_of_the_senses(lexicon: Lexicon, coherence: tuple[CoherenceItem, ...]) -> None:
    for item in coherence:
        gloss = {sense.sense_id: sense.gloss.text for sense in lexicon[item.lemma]}
        assert item.glosses == tuple(gloss[sense_id] for sense_id in item.sense_ids)


def test_a_limit_takes_every_lemmas_first_item_before_any_second(lexicon: Lexicon, lemmas: list[str]) -> None:
    assert [item.lemma for item in retrieval_items(lexicon, lemmas, len(lemmas))] == lemmas
    assert [item.item_id for item in coherence_items(lexicon, lemmas, 5)] == [
        item.item_id for item in coherence_items(lexicon, lemmas, 9)
    ][:5]
