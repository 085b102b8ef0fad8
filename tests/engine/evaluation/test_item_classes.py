"""What evaluation items can tell: classes of coherence steps and of retrieval items, and the best score a reader can have."""

from __future__ import annotations

import pytest

from engine.evaluation.item_classes import best_expected, coherence_class, folded, is_placeholder, retrieval_class
from engine.evaluation.word_overlap import overlap, rank_coherence_by_overlap, rank_retrieval_by_overlap
from tests.engine.samples import coherence_item, retrieval_item


@pytest.mark.parametrize(
    ("lemma", "gloss"),
    [
        ("portal", "portal"),
        ("portal", "The Portals"),
        ("portal", "portal (context)"),
        ("portal", "portal in mining context"),
        ("portal", "portal in the context of mining"),
        ("sky", "sky (Sky)"),
        ("jump", "Jump (1999 film)"),
        ("lord", "Lord of the Rings"),
        ("lord", "Ernest E. Lord (1899–1970)"),
        ("dry", "Dry, Loiret"),
        ("ice cream", "ice cream (band)"),
        ("ice cream", "The Ice Cream Girl"),
        ("bank", " ... "),
    ],
)
def test_a_gloss_that_says_nothing_beyond_its_lemma_is_a_placeholder(lemma: str, gloss: str) -> None:
    assert is_placeholder(gloss, lemma)


@pytest.mark.parametrize(
    ("lemma", "gloss"),
    [
        ("sky", "throw or toss with a light motion"),
        ("sky", "the atmosphere as seen from the earth"),
        ("bank", "bank (a slope of land beside a body of water)"),
        ("bank", "an institution such as Lloyds Bank"),
        ("portal", "a portal in the north wall"),
        ("portal", "portal in which a mine begins"),
        ("lord", "the Lord is God"),
        ("cat", "Catholic University of America"),
        ("seal", "Phoca vitulina"),
        ("cream", "ice cream"),
        ("give", "give (as medicine)"),
    ],
)
def test_a_gloss_that_says_more_is_none(lemma: str, gloss: str) -> None:
    assert not is_placeholder(gloss, lemma)


RIVER, MONEY = "sloping land beside water", "an institution that keeps money"


@pytest.mark.parametrize(
    ("context", "glosses", "expected", "best"),
    [
        ("on the bank of the Po", [RIVER, MONEY], "informative", 1.0),
        ("bank: Sloping land, beside water!", [RIVER, MONEY], "verbatim", 1.0),
        ("bank: an institution that keeps money", [RIVER, MONEY], "informative", 1.0),
        ("sloping land beside waterways", [RIVER, MONEY], "informative", 1.0),
        ("sloping land beside water", [RIVER, "Sloping land beside water."], "identical_glosses", 1 / 2),
        ("on the bank", [RIVER, MONEY, MONEY], "informative", 1.0),
        ("on the bank", ["bank (river)", MONEY], "placeholder", 1.0),
        ("sloping land beside water", [RIVER, "bank (context)"], "placeholder", 1.0),
        ("on the bank", ["bank (river)", "bank (context)"], "placeholder", 1 / 2),
        ("on the bank", ["bank (river)", "Bank", "bank (context)", MONEY], "placeholder", 1 / 3),
        ("on the bank", [RIVER, "Bank", "bank (context)"], "placeholder", 1.0),
    ],
)
def test_a_step_is_of_the_first_class_that_fits(context: str, glosses: list[str], expected: str, best: float) -> None:
    item = coherence_item([(context, 0)], glosses)
    assert coherence_class(item, item.steps[0]) == expected
    assert best_expected(item, item.steps[0]) == best


def test_folding_keeps_words_alone() -> None:
    assert folded("  Straße -- it's\n2nd!") == "strasse it s 2nd"


def test_overlap_is_intersection_over_union_of_lower_case_words() -> None:
    assert overlap("The bank of Po", "the Bank  was\nhigh") == 2 / 6
    assert overlap("bank.", "bank") == 0.0
    assert overlap("", " ") == 0.0


def test_retrieval_items_are_classed_by_overlap_and_a_tie_loses() -> None:
    more = rank_retrieval_by_overlap(retrieval_item("a b c", ["x y", "a b x"], ["a x"]))
    less = rank_retrieval_by_overlap(retrieval_item("a b c", ["a x"], ["x y", "a b x"]))
    equal = rank_retrieval_by_overlap(retrieval_item("a b c", ["a x"], ["b x", "c x"]))
    assert [retrieval_class(one) for one in (more, less, equal)] == [
        *("right_overlaps_more", "wrong_overlaps_more", "equal_overlap"),
    ]
    assert (more.rank, less.rank, equal.rank) == (1, 2, 3)
    item = coherence_item([("land by the water", 0), ("nothing", 1)], [RIVER, MONEY])
    assert [rank_coherence_by_overlap(item, step).rank for step in item.steps] == [1, 2]
