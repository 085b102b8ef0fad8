"""A plan over the real WordNet: what of the evaluation it keeps away from training, and that it says so."""

from __future__ import annotations

from collections import Counter

import pytest
from msgspec import structs

from engine.contract.bad_input import BadInput
from engine.data.bundles.synthetic import Synthetic
from engine.data.bundles.verification import Claim
from engine.data.leakage.held_out import HeldOut
from engine.data.leakage.near_copies import near_copies
from engine.data.plan import Plan, _without_copies, make_plan
from engine.data.wordnet.database import WordNet
from engine.data.wordnet.usage_events import Lexicon, Sense, digest, normalised, usage_event
from tests.engine.data.conftest import SMALL


@pytest.fixture(scope="module")
def plan(wordnet: WordNet, lexicon: Lexicon) -> Plan:
    return make_plan(SMALL, 0, wordnet, lexicon)


def training_texts(plan: Plan) -> set[str]:
    drafted = {event.text for draft in (*plan.dev, *plan.v22, *plan.v23) for event in draft.events}
    made = {text for c in plan.claims for text in (c.synthetic.event.text, c.synthetic.original)}
    return drafted | made | {event.text for senses in plan.seen for one in senses for event in one.examples}


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


def test_a_lemma_that_near_copies_leave_nothing_gives_its_place_to_another(
    plan: Plan, wordnet: WordNet, lexicon: Lexicon
) -> None:
    lemma = plan.lemmas["train"][3]
    queries = sorted((item.query.text for item in plan.evaluation.retrieval), key=len, reverse=True)
    damaged_runs = tuple(
        structs.replace(
            sense,
            gloss=structs.replace(sense.gloss, text=f"{queries[0]} {digest(sense.sense_id)[:2]}"),
            examples=tuple(
                structs.replace(event, text=f"And {queries[number]}") for number, event in enumerate(sense.examples)
            ),
        )
        for sense in lexicon[lemma]
    )
    again = make_plan(SMALL, 0, wordnet, {**lexicon, lemma: damaged_runs})
    assert lemma not in again.lemmas["train"]
    assert len(again.lemmas["train"]) == SMALL.train_lemmas
    assert set(plan.lemmas["train"]) - set(again.lemmas["train"]) == {lemma}


@pytest.mark.parametrize(("made", "original"), [("And {}", "new words"), ("new words", "And {}")])
def test_a_synthetic_context_near_an_evaluation_text_is_left_out_and_counted(made: str, original: str) -> None:
    long = "they went down to the bank of the river and sat there"
    held_out, excluded = HeldOut([long]), Counter[str]()
    kept, left_out = (
        Claim(Synthetic(usage_event("shore", "n", "s", text, (0, 3), "synthetic"), of), ())
        for text, of in (("some text", "another text"), (made.format(long), original.format(long)))
    )
    assert _without_copies((kept, left_out), held_out, excluded) == (kept,)
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
