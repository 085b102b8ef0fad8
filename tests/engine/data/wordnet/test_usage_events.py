from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from engine.data.wordnet.database import WordNet
from engine.data.wordnet.morphology import Morphology
from engine.data.wordnet.usage_events import Lexicon, normalised, synset_of


def test_the_number_of_usage_events_in_wordnet_is_fixed(lexicon: Lexicon) -> None:
    senses = [sense for senses in lexicon.values() for sense in senses]
    assert len(senses) == 206_941
    assert sum(len(sense.examples) for sense in senses) == 48_482
    assert sum(len(sense.examples) >= 1 for sense in senses) == 40_099
    assert sum(len(sense.examples) >= 2 for sense in senses) == 6_211


def test_a_sense_id_names_lemma_part_of_speech_and_synset(lexicon: Lexicon) -> None:
    assert [sense.sense_id for sense in lexicon["sky"]] == ["wn:sky.n.sky.n.01", "wn:sky.v.flip.v.06"]
    assert "wn:dry.adj.dry.s.10" in {sense.sense_id for sense in lexicon["dry"]}


def test_the_span_of_every_event_holds_its_lemma(lexicon: Lexicon, wordnet: WordNet) -> None:
    morphology = Morphology(wordnet)
    events = (event for senses in lexicon.values() for sense in senses for event in sense.examples)
    for event in islice(events, 0, None, 7):
        surface = event.text[event.start : event.end]
        assert surface
        found = morphology.find(event.lemma, event.pos, surface)
        assert found is not None, (event.lemma, surface)
        assert surface[slice(*found)] == surface


def test_event_ids_are_unique_and_glosses_have_an_empty_span(lexicon: Lexicon) -> None:
    senses = [sense for senses in lexicon.values() for sense in senses]
    events = [event for sense in senses for event in (sense.gloss, *sense.examples)]
    assert len({event.event_id for event in events}) == len(events)
    assert all(sense.gloss.start == sense.gloss.end == 0 and sense.gloss.source == "gloss" for sense in senses)
    assert all(sense.gloss.text for sense in senses)


def test_the_synset_is_read_back_from_the_sense_id_whatever_dots_it_has(lexicon: Lexicon) -> None:
    assert all(synset_of(sense.gloss) == sense.synset for senses in lexicon.values() for sense in senses)


@given(st.text(alphabet="aBÉß1", min_size=1, max_size=9), st.sampled_from([" ", ", ", "-", "…", "_", "'"]))
def test_the_normal_form_forgets_case_white_space_and_punctuation(word: str, mark: str) -> None:
    assert normalised(f"{mark}{word}{mark}{word.upper()}{mark}") == normalised(word + word)
