"""Development sets tell nothing of the evaluation, and training tells nothing of them."""

from __future__ import annotations

import pytest
from msgspec import structs

from engine.contract.bad_input import BadInput
from engine.data.development import EvaluationFilter, without_development_texts
from engine.data.leakage import Excluded
from engine.data.records import NO_ITEMS, CoherenceItem, CoherenceStep, DevelopmentSet, FrozenEvaluation, RetrievalItem
from tests.engine.samples import bundle, event, retrieval_item

LONG = "the old bank beside the muddy river was flooded in the spring of that year"


def of_lemma(item: RetrievalItem, lemma: str) -> RetrievalItem:
    return structs.replace(item, lemma=lemma)


def coherence(lemma: str, text: str, gloss: str) -> CoherenceItem:
    return CoherenceItem(
        "c", lemma, ("s1", "s2"), (gloss, f"not {gloss}"), (CoherenceStep(event(text, lemma=lemma), 0),)
    )


def test_items_with_a_lemma_or_a_text_of_the_evaluation_are_dropped_and_counted() -> None:
    evaluation = FrozenEvaluation((retrieval_item(LONG, ["right"], ["wrong"]),), (), ())
    evaluation = structs.replace(evaluation, coherence=(coherence("bank", "a step", "sloping land"),))
    items = (
        retrieval_item("a query of the same lemma", ["r"], ["w"]),
        of_lemma(retrieval_item("RIGHT!", ["r"], ["w"]), "bark"),
        of_lemma(retrieval_item("another", [LONG + " too"], ["w"]), "bark"),
        of_lemma(retrieval_item("quite another", ["r"], ["w"]), "bark"),
    )
    mine = DevelopmentSet("mine", items, (coherence("bark", "new", "Sloping land"), coherence("bark", "new", "sound")))
    found = EvaluationFilter((mine,), (evaluation,))
    # the events of an item have lemmas of their own, which are not compared
    kept = found.without_evaluation(mine)
    assert (kept.retrieval, kept.coherence) == (items[3:], mine.coherence[1:])
    assert found.counts == {
        "retrieval item of mine with a lemma of the evaluation": 1,
        "retrieval item of mine with a text of the evaluation": 1,
        "retrieval item of mine with a near-copy of the evaluation": 1,
        "coherence item of mine with a text of the evaluation": 1,
    }


def test_a_set_of_which_nothing_is_left_is_refused() -> None:
    evaluation = FrozenEvaluation((retrieval_item("q", ["r"], ["w"]),), (), ())
    mine = DevelopmentSet("mine", (retrieval_item("other", ["o"], ["p"]),))
    message = "^development.mine.retrieval: none of its 1 items is left: 1 with a lemma of the evaluation$"
    with pytest.raises(BadInput, match=message):
        EvaluationFilter((mine,), (evaluation,)).without_evaluation(mine)


def test_training_keeps_no_text_of_a_development_set() -> None:
    mine = DevelopmentSet("mine", (retrieval_item("Query.", ["r"], ["w"]),), (coherence("bark", "step", "a sound"),))
    train = (bundle("a", "b", ["c"]), bundle("a", "QUERY", ["c"]), bundle("a", "b", ["step"]))
    glosses = (event("A sound", source="gloss"), event("a noise", source="gloss"))
    kept = without_development_texts(Excluded(train, train, glosses, NO_ITEMS, {"before": 1}, 9), (mine,))
    assert (kept.train, kept.dev, kept.glosses) == (train[:1], train, glosses[1:])
    assert kept.counts == {
        "before": 1,
        "gloss of a development set": 1,
        "training bundle with a text of a development set": 2,
    }
