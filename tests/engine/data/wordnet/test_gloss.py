from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.wordnet.gloss import split_gloss


@pytest.mark.parametrize(
    ("gloss", "definition", "examples"),
    [
        ('cast away; "flip me the ball"; "toss me  newspaper"', "cast away", ("flip me the ball", "toss me newspaper")),
        ("a concept  ", "a concept", ()),
        ('assail: "The zebra was beset by leopards"', "assail", ("The zebra was beset by leopards",)),
        ('(of a ball) "a ball that is dead"', "(of a ball)", ("a ball that is dead",)),
        ('not changing; e.g. "frozen prices"; "fixed incomes"', "not changing", ("frozen prices", "fixed incomes")),
        ('woven of worsted yarns "he wore a worsted suit"', "woven of worsted yarns", ("he wore a worsted suit",)),
        ('salt; "a saline substance "; "salty; "', "salt", ("a saline substance", "salty")),
        ('wise; "a word"- Shakespeare; "a word"', "wise", ("a word",)),
    ],
)
def test_a_gloss_is_split_into_definition_and_examples(gloss: str, definition: str, examples: tuple[str, ...]) -> None:
    assert split_gloss(gloss) == (definition, examples)


def test_quoted_words_inside_a_definition_stay_in_it() -> None:
    gloss = 'progress (especially in "make strides"); "they made big strides"'
    assert split_gloss('progress (in the phrase "make strides"); "they made big strides"') == (
        'progress (in the phrase "make strides")',
        ("they made big strides",),
    )
    assert '"make strides"' in split_gloss(gloss)[0]


@pytest.mark.parametrize(
    ("gloss", "definition", "examples"),
    [
        ('having toes; "long-toed; "five-toed"', "having toes", ("long-toed", "five-toed")),
        ('take sides; "I"m siding against the candidate"', "take sides", ("I'm siding against the candidate",)),
        ('a local branch where services are available"', "a local branch where services are available", ()),
    ],
)
def test_unpaired_quotes_are_repaired(gloss: str, definition: str, examples: tuple[str, ...]) -> None:
    assert split_gloss(gloss) == (definition, examples)


@given(st.text(alphabet='ab ;:,."(', max_size=60))
def test_examples_have_no_quotes_no_edges_of_white_space_and_no_repetition(gloss: str) -> None:
    _, examples = split_gloss(gloss)
    assert len(set(examples)) == len(examples)
    assert all(example == " ".join(example.split()) and '"' not in example and example for example in examples)
