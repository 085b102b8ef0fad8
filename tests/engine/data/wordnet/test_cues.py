"""Cue words and the probes made of them, over the real WordNet."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.evaluation.items import MAX_PROBES, attention_probes, has_retrieval_item
from engine.data.wordnet.cues import DEFINING_WORDS, FUNCTION_WORDS, Cues
from engine.data.wordnet.database import WordNet
from engine.data.wordnet.usage_events import Lexicon


@pytest.fixture(scope="module")
def cues(wordnet: WordNet) -> Cues:
    return Cues(wordnet)


@pytest.fixture(scope="module")
def lemmas(lexicon: Lexicon) -> list[str]:
    return [lemma for lemma in sorted(lexicon)[::31] if has_retrieval_item(lexicon[lemma])]


@pytest.mark.parametrize(
    ("lemma", "text", "expected"),
    [
        ("lead", "it was a tangle of jumper cables and clip leads", ("jumper", "cables", "clip")),
        ("character", "the Greek alphabet has 24 characters", ("alphabet",)),
        ("even", "it was a fifty-fifty (or even) split", ("fifty",)),
    ],
)
def test_a_cue_is_in_wordnets_description_of_the_sense(
    cues: Cues, lexicon: Lexicon, lemma: str, text: str, expected: tuple[str, ...]
) -> None:
    event = next(event for sense in lexicon[lemma] for event in sense.examples if event.text == text)
    assert cues.find(event, lexicon[lemma]) == expected


def test_what_a_hyphen_joins_to_the_target_is_no_cue(cues: Cues, lexicon: Lexicon) -> None:
    event = next(e for s in lexicon["able"] for e in s.examples if "able-bodied" in e.text)
    assert "bodied" not in cues.find(event, lexicon["able"])


def test_probes_keep_their_rules(cues: Cues, lexicon: Lexicon, lemmas: list[str]) -> None:
    probes = attention_probes(lexicon, lemmas, cues)
    assert len(lemmas) / 4 < len(probes) <= min(MAX_PROBES, len(lemmas))
    assert len({probe.probe_id for probe in probes}) == len(probes)
    for probe in probes:
        event = probe.event
        assert probe.cues
        assert event.source == "example"
        around = event.text[: event.start] + "\n" + event.text[event.end :]
        elsewhere = " ".join(s.gloss.text for s in lexicon[event.lemma] if s.sense_id != event.sense_id).lower()
        for cue in probe.cues:
            assert re.search(rf"(?<!\w){re.escape(cue)}(?!\w)", around)
            assert cue.lower() not in FUNCTION_WORDS | DEFINING_WORDS
            assert not re.search(rf"\b{re.escape(cue.lower())}\b", elsewhere)


@given(st.integers(1, 12))
def test_fewer_lemmas_give_the_first_probes_of_more(
    cues: Cues, lexicon: Lexicon, lemmas: list[str], count: int
) -> None:
    first = attention_probes(lexicon, lemmas[:count], cues)
    assert len(first) <= count
    assert {probe.event.lemma for probe in first} <= set(lemmas[:count])
    alone = [probe for lemma in lemmas[:count] for probe in attention_probes(lexicon, [lemma], cues)]
    assert {probe.probe_id for probe in alone} <= {probe.probe_id for probe in first}
