from __future__ import annotations

from collections import Counter

import pytest

from engine.data.synthetic import Substitution
from engine.data.usage_events import Lexicon, normalised
from engine.data.wordnet import WordNet


@pytest.fixture(scope="module")
def substitution(wordnet: WordNet) -> Substitution:
    return Substitution(wordnet)


def made(substitution: Substitution, lexicon: Lexicon, lemma: str, synset: str) -> dict[str, str]:
    """The marked synthetic contexts of a sense, by their originals."""
    sense = next(sense for sense in lexicon[lemma] if sense.synset == synset)
    events = {s.original: s.event for s in substitution.synthetics(sense, set(), Counter())}
    return {
        original: f"{event.text[: event.start]}[{event.text[event.start : event.end]}]{event.text[event.end :]}"
        for original, event in events.items()
    }


def test_the_lemma_takes_the_synonyms_place(substitution: Substitution, lexicon: Lexicon) -> None:
    assert made(substitution, lexicon, "auto", "car.n.01") == {
        "he needs a car to get to work": "he needs an [auto] to get to work"
    }


@pytest.mark.parametrize(
    ("lemma", "synset", "expected"),
    [
        ("unadulterated", "arrant.s.01", "an [unadulterated] fool"),
        ("go past", "travel_by.v.01", "A black limousine [went past] when she looked out the window"),
        ("sum", "total.v.02", "[Sum] all the people in this town to those of the neighboring town"),
    ],
)
def test_article_inflection_and_capital_are_kept_right(
    substitution: Substitution, lexicon: Lexicon, lemma: str, synset: str, expected: str
) -> None:
    assert expected in made(substitution, lexicon, lemma, synset).values()


def test_a_synthetic_of_a_held_out_text_is_not_made(substitution: Substitution, lexicon: Lexicon) -> None:
    sense = next(sense for sense in lexicon["auto"] if sense.synset == "car.n.01")
    for held_out in ("He needs a CAR to get to work!", "he needs an auto to get to work"):
        assert not list(substitution.synthetics(sense, {normalised(held_out)}, Counter()))


def test_synthetics_differ_from_their_originals_and_show_their_lemma(
    substitution: Substitution, lexicon: Lexicon
) -> None:
    for lemma in sorted(lexicon)[::97]:
        for sense in lexicon[lemma]:
            for synthetic in substitution.synthetics(sense, set(), Counter()):
                event = synthetic.event
                assert event.source == "synthetic"
                assert 0 <= event.start < event.end <= len(event.text)
                assert normalised(event.text) != normalised(synthetic.original)
                assert event.text[event.end :] in synthetic.original
