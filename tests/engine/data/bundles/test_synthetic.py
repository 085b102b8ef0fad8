from __future__ import annotations

from collections import Counter

import pytest

from engine.data.bundles.synthetic import Substitution
from engine.data.wordnet.database import WordNet
from engine.data.wordnet.usage_events import Lexicon, normalised


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


def test_the_lemma_replaces_the_synonym(substitution: Substitution, lexicon: Lexicon) -> None:
    assert made(substitution, lexicon, "auto", "car.n.01") == {
        "he needs a car to get to work": "he needs an [auto] to get to work"
    }


@pytest.mark.parametrize(
    ("lemma", "synset", "expected"),
    [
        ("unadulterated", "arrant.s.01", "an [unadulterated] fool"),
        ("go past", "travel_by.v.01", "A black limousine [went past] when she looked out the window"),
        ("sum", "total.v.02", "[Sum] all the people in this town to those of the neighboring town"),
        ("unidentified", "nameless.s.01", "a poem by an [unidentified] author"),
        ("unanimous", "solid.s.15", "a [unanimous] voting bloc"),
        ("address", "cover.v.05", "The course [addressed] all of Western Civilization"),
        ("words", "lyric.n.01", "his compositions always started with the [words]"),
    ],
)
def test_article_inflection_and_capital_are_kept_right(
    substitution: Substitution, lexicon: Lexicon, lemma: str, synset: str, expected: str
) -> None:
    assert expected in made(substitution, lexicon, lemma, synset).values()


@pytest.mark.parametrize(
    ("lemma", "synset_of", "reason"),
    [
        ("office", "Central Intelligence Agency", "part of a name or an abbreviation"),
        ("asleep", "he is deceased", "an adjective out of its place"),
        (
            "retaliate",
            "He wants to avenge the murder of his brother",
            "a verb that takes no such object or preposition",
        ),
        ("occupy", "She resides in Princeton", "a verb that takes no such object or preposition"),
        ("stick to", "Will this wallpaper adhere to the wall?", "a verb that wants other words around it"),
        (
            "capitalize",
            "she took advantage of his absence to meet her lover",
            "a verb that wants other words around it",
        ),
        ("shucks", "his promise is not worth a damn", "inflection unclear"),
        ("crookedness", "the acrobat performed incredible contortions", "inflection unclear"),
    ],
)
def test_a_context_that_would_not_be_english_is_not_made(
    substitution: Substitution, wordnet: WordNet, lexicon: Lexicon, lemma: str, synset_of: str, reason: str
) -> None:
    held = (
        sense for sense in lexicon[lemma] if any(synset_of in text for text in wordnet.synsets[sense.synset].examples)
    )
    sense = next(held)
    refused: Counter[str] = Counter()
    made = [synthetic.original for synthetic in substitution.synthetics(sense, set(), refused)]
    assert not any(synset_of in original for original in made)
    assert refused[reason] > 0


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
