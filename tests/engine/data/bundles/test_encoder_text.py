"""What the encoder reads."""

from __future__ import annotations

from engine.data.bundles.encoder_text import (
    coherence_inputs,
    encoder_input_of,
    encoder_inputs_of,
    encoder_text_of,
    gloss_encoder_texts,
)
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
