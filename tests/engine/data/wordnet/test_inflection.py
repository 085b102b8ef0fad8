from __future__ import annotations

import pytest

from engine.data.records import Pos
from engine.data.wordnet.database import WordNet
from engine.data.wordnet.inflection import Form, Inflection
from engine.data.wordnet.morphology import Morphology


@pytest.fixture(scope="module")
def inflection(wordnet: WordNet) -> Inflection:
    return Inflection(wordnet, Morphology(wordnet))


@pytest.mark.parametrize(
    ("lemma", "pos", "form", "inflected"),
    [
        ("auto", "n", "s", "autos"),
        ("church", "n", "s", "churches"),
        ("city", "n", "s", "cities"),
        ("goose", "n", "s", "geese"),
        ("policeman", "n", "s", "policemen"),
        ("man of letters", "n", "s", "men of letters"),
        ("carry on", "v", "past", "carried on"),
        ("operate", "v", "ing", "operating"),
        ("run", "v", "ing", "running"),
        ("lie", "v", "ing", "lying"),
        ("see", "v", "ing", "seeing"),
        ("try", "v", "s", "tries"),
        ("have", "v", "s", "has"),
        ("address", "v", "past", "addressed"),
        ("strip", "v", "participle", "stripped"),
        ("spend", "v", "past", "spent"),
        ("take", "v", "past", "took"),
        ("take", "v", "participle", "taken"),
        ("walk", "v", "participle", "walked"),
        ("sing", "v", "past", "sang"),
        ("sing", "v", "participle", "sung"),
        ("overcome", "v", "participle", "overcome"),
        ("overcome", "v", "past", "overcame"),
        ("hit", "v", "past", "hit"),
        ("big", "a", "est", "biggest"),
    ],
)
def test_lemmas_are_inflected(inflection: Inflection, lemma: str, pos: Pos, form: Form, inflected: str) -> None:
    assert inflection.inflect(lemma, pos, form) == inflected


@pytest.mark.parametrize(
    ("surface", "lemma", "pos", "before", "form"),
    [
        ("cars", "car", "n", "two ", "s"),
        ("Car", "car", "n", "", "base"),
        ("ran", "run", "v", "he ", "past"),
        ("walked", "walk", "v", "he has ", "participle"),
        ("walked", "walk", "v", "he ", "past"),
        ("taken", "take", "v", "days ", "participle"),
        ("running into", "run into", "v", "he is ", "ing"),
        ("biggest", "big", "a", "the ", "est"),
        ("meeting", "meet", "v", "at the ", None),
        ("hit", "hit", "v", "he ", None),
        ("hit", "hit", "v", "he will ", "base"),
    ],
)
def test_the_form_of_a_surface(
    inflection: Inflection, surface: str, lemma: str, pos: Pos, before: str, form: Form | None
) -> None:
    assert inflection.form_of(surface, lemma, pos, before) == form


@pytest.mark.parametrize(("lemma", "pos", "form"), [("be", "v", "past"), ("beautiful", "a", "er"), ("W.C.", "n", "s")])
def test_uncertain_forms_are_not_guessed(inflection: Inflection, lemma: str, pos: Pos, form: Form) -> None:
    assert inflection.inflect(lemma, pos, form) is None


@pytest.mark.parametrize(
    ("noun", "plural"),
    [
        ("earnings", True),
        ("knickers", True),
        ("gas", False),
        ("basis", False),
        ("dress", False),
        ("coat of arms", False),
    ],
)
def test_a_noun_listed_in_the_plural_is_known(inflection: Inflection, noun: str, plural: bool) -> None:
    assert inflection.is_plural(noun) is plural
