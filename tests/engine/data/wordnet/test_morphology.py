from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.records import Pos
from engine.data.wordnet.database import WordNet
from engine.data.wordnet.morphology import Morphology


@pytest.fixture(scope="module")
def morphology(wordnet: WordNet) -> Morphology:
    return Morphology(wordnet)


@pytest.mark.parametrize(
    ("surface", "pos", "base"),
    [
        ("geese", "n", "goose"),
        ("churches", "n", "church"),
        ("boxesful", "n", "boxful"),
        ("policemen", "n", "policeman"),
        ("went", "v", "go"),
        ("running", "v", "run"),
        ("Hopes", "v", "hope"),
        ("tried", "v", "try"),
        ("better", "a", "good"),
        ("finest", "a", "fine"),
    ],
)
def test_base_forms_by_exception_and_by_rule(morphology: Morphology, surface: str, pos: Pos, base: str) -> None:
    assert base in morphology.bases(surface, pos)


@pytest.mark.parametrize(
    ("lemma", "pos", "sentence", "surface"),
    [
        ("flip", "v", "He flipped the switch", "flipped"),
        ("be", "v", "where is my umbrella?", "is"),
        ("turn around", "v", "He turned around to face him", "turned around"),
        ("attorney general", "n", "two attorneys general met", "attorneys general"),
        ("well-known", "a", "a Well-Known tune", "Well-Known"),
        ("dog", "n", "the dog's bark", "dog"),
        ("u.s.", "n", "he lives in the U.S. now", "U.S."),
        ("run", "v", "a run-down house will run", "run"),
        ("sun", "n", "he sunned himself in the suns and sun", "sun"),
    ],
)
def test_an_inflected_lemma_is_found(morphology: Morphology, lemma: str, pos: Pos, sentence: str, surface: str) -> None:
    span = morphology.find(lemma, pos, sentence)
    assert span is not None
    assert sentence[slice(*span)] == surface


@pytest.mark.parametrize(
    ("lemma", "pos", "sentence"),
    [("cat", "n", "concatenate"), ("take off", "v", "take it off"), ("sun", "n", "sunny"), ("up", "r", "cups; pup")],
)
def test_other_words_than_the_lemma_are_not_found(morphology: Morphology, lemma: str, pos: Pos, sentence: str) -> None:
    assert morphology.find(lemma, pos, sentence) is None


def test_a_free_standing_occurrence_goes_before_one_in_a_compound(morphology: Morphology) -> None:
    assert morphology.find("run", "v", "a run-down house will run") == (22, 25)


@given(
    before=st.text(alphabet="ab ,.'é—", max_size=20),
    lemma=st.sampled_from(["sky", "physical object", "o'clock", "jack-in-the-box", "Été"]),
    after=st.text(alphabet="ab ,.'é—", max_size=20),
)
def test_a_lemma_put_into_any_text_is_found_whole(morphology: Morphology, before: str, lemma: str, after: str) -> None:
    sentence = f"{before} {lemma.upper()} {after}"
    span = morphology.find(lemma, "n", sentence)
    assert span is not None
    assert sentence[slice(*span)] == lemma.upper()
