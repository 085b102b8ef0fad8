"""What the encoder reads."""

from __future__ import annotations

from engine.data.bundles.encoder_text import encoder_text_of, encoder_texts_of, gloss_encoder_texts
from tests.engine.samples import SenseTask, bundle, coherence_item, dataset_of, event


def test_the_encoder_reads_a_gloss_with_its_lemma_and_a_sentence_unchanged() -> None:
    assert encoder_text_of(event("sloping land", source="gloss", lemma="bank")) == "bank: sloping land"
    assert encoder_text_of(event("we sat on the bank")) == "we sat on the bank"
    assert gloss_encoder_texts(coherence_item([("we sat", 0)], ["sloping land", "an office"])) == [
        "bank: sloping land",
        "bank: an office",
    ]


def test_the_encoder_texts_of_a_dataset_are_all_its_texts_once() -> None:
    dataset = dataset_of(SenseTask(lemmas=4))
    read = encoder_texts_of(dataset)
    assert read == tuple(sorted(set(read)))
    for made in (*dataset.train, *dataset.dev):
        assert {encoder_text_of(one) for one in (made.anchor, made.positive, *made.siblings)} <= set(read)
    for item in dataset.coherence:
        assert set(gloss_encoder_texts(item)) <= set(read)
    assert bundle("a", "b", ["c"]).anchor.text not in read
