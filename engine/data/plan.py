"""What a build will hold, decided by rule and hash before anything is embedded: lemmas, items, drafts, claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from engine.contract.bad_input import BadInput
from engine.contract.experiment import Slice
from engine.data.drafts import Draft, SeenSense, draft_v22, draft_v23, without
from engine.data.enrichment import claims_of, gives_enrichment
from engine.data.evaluation_items import (
    coherence_items,
    gives_retrieval,
    retrieval_items,
    texts_of_coherence,
    texts_of_retrieval,
)
from engine.data.records import CoherenceItem, RetrievalItem
from engine.data.split import choose_lemmas
from engine.data.synthetic import Substitution
from engine.data.usage_events import Lexicon, normalised
from engine.data.verification import Claim
from engine.data.wordnet import WordNet


class Plan(Struct, frozen=True):
    """A build before its embeddings; ``seen`` holds the training lemmas without every held-out text."""

    lemmas: dict[str, tuple[str, ...]]
    retrieval: tuple[RetrievalItem, ...]
    coherence: tuple[CoherenceItem, ...]
    dev: tuple[Draft, ...]
    seen: tuple[tuple[SeenSense, ...], ...]
    v22: tuple[Draft, ...]
    v23: tuple[Draft, ...]
    claims: tuple[Claim, ...]
    excluded: Counter[str]

    def texts(self) -> Iterator[str]:
        """The texts to embed before the claims are verified, with repetitions."""
        yield from texts_of_retrieval(self.retrieval)
        yield from texts_of_coherence(self.coherence)
        for draft in (*self.dev, *self.v22, *self.v23):
            yield from draft.texts
        for claim in self.claims:
            yield from (claim.synthetic.event.text, claim.synthetic.original, *claim.siblings)


def make_plan(part: Slice, data_seed: int, wordnet: WordNet, lexicon: Lexicon) -> Plan:
    """Choose evaluation, then development, then training, each without the texts of those before it.

    Raises:
        BadInput: the slice is too small to hold anything.
    """
    excluded: Counter[str] = Counter()
    held_out = choose_lemmas(
        lexicon, "eval", data_seed, part.eval_lemmas, lambda lemma: gives_retrieval(lexicon[lemma])
    )
    retrieval = retrieval_items(lexicon, held_out, part.retrieval_items)
    coherence = coherence_items(lexicon, held_out, part.coherence_items)
    evaluated = {normalised(text) for text in (*texts_of_retrieval(retrieval), *texts_of_coherence(coherence))}

    def drafts(lemma: str) -> tuple[Draft, ...]:
        return tuple(draft_v23(without(lexicon[lemma], evaluated)))

    dev_lemmas = choose_lemmas(lexicon, "dev", data_seed, part.dev_lemmas, lambda lemma: bool(drafts(lemma)))
    dev = tuple(draft for lemma in dev_lemmas for draft in drafts(lemma))
    forbidden = evaluated | {normalised(text) for draft in dev for text in draft.texts}
    substitution = Substitution(wordnet)

    def trains(lemma: str) -> bool:
        senses = without(lexicon[lemma], forbidden)
        if next(draft_v22(senses), None) is not None:
            return True
        return gives_enrichment(senses, tuple(claims_of(senses, substitution, forbidden, Counter())))

    train_lemmas = choose_lemmas(lexicon, "train", data_seed, part.train_lemmas, trains)
    seen = tuple(without(lexicon[lemma], forbidden) for lemma in train_lemmas)
    _count_hidden(seen, excluded)
    plan = Plan(
        lemmas={"train": train_lemmas, "dev": dev_lemmas, "eval": held_out},
        retrieval=retrieval,
        coherence=coherence,
        dev=dev,
        seen=seen,
        v22=tuple(draft for senses in seen for draft in draft_v22(senses)),
        v23=tuple(draft for senses in seen for draft in draft_v23(senses)),
        claims=tuple(claim for senses in seen for claim in claims_of(senses, substitution, forbidden, excluded)),
        excluded=excluded,
    )
    for name, made in (
        ("training", plan.v23),
        ("development", dev),
        ("retrieval", retrieval),
        ("coherence", coherence),
    ):
        if not made:
            raise BadInput(f"this slice of the data holds no {name} items; take more lemmas")
    return plan


def _count_hidden(seen: tuple[tuple[SeenSense, ...], ...], excluded: Counter[str]) -> None:
    for senses in seen:
        for sense in senses:
            excluded["held-out example"] += len(sense.sense.examples) - len(sense.examples)
            excluded["held-out gloss"] += sense.gloss is None
