"""What the encoder reads."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.contract.experiment import SenseText
from engine.data.bundles.encoder_text import (
    coherence_inputs,
    encoder_input_of,
    encoder_inputs_of,
    encoder_text_of,
    gloss_encoder_texts,
)
from engine.encoder.encoder_input import EncoderInput
from tests.engine.samples import SENSE_TEXT, SenseTask, bundle, coherence_item, dataset_of, event


def test_the_encoder_reads_a_gloss_with_its_lemma_and_a_sentence_unchanged() -> None:
    assert encoder_text_of(event("sloping land", source="gloss", lemma="bank")) == "bank: sloping land"
    assert encoder_text_of(event("we sat on the bank")) == "we sat on the bank"
    assert gloss_encoder_texts(coherence_item([("we sat", 0)], ["sloping land", "an office"])) == [
        "bank: sloping land",
        "bank: an office",
    ]


def test_the_encoder_inputs_of_a_dataset_are_all_its_texts_once() -> None:
    dataset = dataset_of(SenseTask(lemmas=4))
    read = encoder_inputs_of(dataset, SENSE_TEXT, glosses=False)
    assert read == tuple(sorted(set(read)))
    for made in (*dataset.train, *dataset.dev):
        assert {encoder_input_of(one, SENSE_TEXT) for one in (made.anchor, made.positive, *made.siblings)} <= set(read)
    for item in dataset.coherence:
        assert set(coherence_inputs(item, SENSE_TEXT)) <= set(read)
    assert encoder_input_of(bundle("a", "b", ["c"]).anchor, SENSE_TEXT) not in read


@pytest.mark.parametrize(
    ("sense_text", "text", "target"),
    [
        ("gloss", "sloping land", ""),
        ("lemma: gloss", "bank: sloping land", "bank"),
        ("lemma (pos): gloss", "bank (verb): sloping land", "bank"),
    ],
)
def test_a_run_reads_a_sense_as_its_sense_text_says_and_a_sentence_with_its_target_word(
    sense_text: SenseText, text: str, target: str
) -> None:
    read = encoder_input_of(event("sloping land", source="gloss", pos="v"), sense_text)
    assert (read.text, read.text[read.start : read.end], read.is_gloss) == (text, target, True)
    sentence = encoder_input_of(event("we sat on the bank", span=(14, 18)), sense_text)
    assert sentence == EncoderInput("we sat on the bank", 14, 18)
    # the second gloss has no step, and the part of speech of the first step
    item = coherence_item([("we sat", 0)], ["sloping land", "an office"])
    nouns = [text.replace("verb", "noun"), text.replace("verb", "noun").replace("sloping land", "an office")]
    assert [one.text for one in coherence_inputs(item, sense_text)] == nouns


def test_the_glosses_of_senses_are_read_only_by_a_run_that_trains_on_them() -> None:
    gloss = event("of no bundle", source="gloss")
    dataset = replace(dataset_of(SenseTask(lemmas=4)), glosses=(gloss,))
    without, read = (encoder_inputs_of(dataset, SENSE_TEXT, glosses=glosses) for glosses in (False, True))
    assert set(read) - set(without) == {encoder_input_of(gloss, SENSE_TEXT)}
