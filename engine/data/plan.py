"""What a build will hold, decided by rule and hash before anything is embedded: lemmas, items, drafts, claims."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal

from msgspec import Struct

from engine.contract.bad_input import BadInput
from engine.contract.experiment import Slice
from engine.data.bundles.drafts import Draft, SeenSense, draft_v22, draft_v23, without
from engine.data.bundles.encoder_text import encoder_text_of
from engine.data.bundles.enrichment import claims_of, gives_enrichment
from engine.data.bundles.synthetic import Substitution
from engine.data.bundles.verification import Claim
from engine.data.evaluation.items import attention_probes, coherence_items, gives_retrieval, retrieval_items
from engine.data.leakage.held_out import FrozenEvaluation, HeldOut
from engine.data.wordnet.cues import Cues
from engine.data.wordnet.database import WordNet
from engine.data.wordnet.usage_events import Lexicon, normalised

Split = Literal["train", "dev", "eval"]
SHARES: dict[Split, float] = {"eval": 0.20, "dev": 0.08, "train": 0.72}


def position(lemma: str, data_seed: int) -> float:
    """Where a lemma stands in [0, 1): uniform over lemmas, the same everywhere."""
    hashed = hashlib.sha256(f"split\x1f{data_seed}\x1f{lemma}".encode()).digest()
    return int.from_bytes(hashed[:8], "big") / 2**64


def split_of(lemma: str, data_seed: int) -> Split:
    """The split of a lemma, in the shares of ``SHARES``."""
    place, end = position(lemma, data_seed), 0.0
    for name, share in SHARES.items():
        end += share
        if place < end:
            return name
    return "train"


def choose_lemmas(
    lemmas: Iterable[str],
    split: Split,
    data_seed: int,
    limit: int | None,
    useful: Callable[[str], bool],
    hit: Callable[[Sequence[str]], Container[str]] = lambda _: (),
) -> tuple[str, ...]:
    """The first ``limit`` lemmas of a split, in the order of their hashes, of which ``useful`` says yes.

    Args:
        lemmas: to choose from.
        split, data_seed: which of them belong to the split.
        limit: how many at most; None is all.
        useful: whether a lemma is of use.
        hit: takes something away from lemmas about to be chosen, many at once, and says from which; whether these are
            still ``useful`` is asked again, and others take the places of those that are not.
    """
    ordered = sorted((position(lemma, data_seed), lemma) for lemma in lemmas if split_of(lemma, data_seed) == split)
    candidates = (lemma for _, lemma in ordered if useful(lemma))
    chosen: list[str] = []
    while batch := list(islice(candidates, None if limit is None else limit - len(chosen))):
        fewer = hit(batch)
        chosen += [lemma for lemma in batch if lemma not in fewer or useful(lemma)]
    return tuple(chosen)


class Plan(Struct, frozen=True):
    """A build before its embeddings; ``seen`` holds the training lemmas without every held-out text."""

    lemmas: dict[str, tuple[str, ...]]
    evaluation: FrozenEvaluation
    dev: tuple[Draft, ...]
    seen: tuple[tuple[SeenSense, ...], ...]
    v22: tuple[Draft, ...]
    v23: tuple[Draft, ...]
    claims: tuple[Claim, ...]
    excluded: Counter[str]

    def encoder_texts(self) -> Iterator[str]:
        """The texts to embed before the claims are verified, with repetitions."""
        yield from self.evaluation.encoder_texts()
        for draft in (*self.dev, *self.v22, *self.v23):
            yield from map(encoder_text_of, draft.events)
        for claim in self.claims:
            yield from (claim.synthetic.event.text, claim.synthetic.original, *claim.siblings)


def make_plan(part: Slice, data_seed: int, wordnet: WordNet, lexicon: Lexicon) -> Plan:
    """Choose evaluation, then development, then training, each without the texts of those before it.

    Raises:
        BadInput: the slice is too small to hold anything.
    """
    excluded: Counter[str] = Counter()
    test_lemmas = choose_lemmas(
        lexicon, "eval", data_seed, part.eval_lemmas, lambda lemma: gives_retrieval(lexicon[lemma])
    )
    evaluation = FrozenEvaluation(
        retrieval_items(lexicon, test_lemmas, part.retrieval_items),
        coherence_items(lexicon, test_lemmas, part.coherence_items),
        attention_probes(lexicon, test_lemmas, Cues(wordnet)),
    )
    held_out = HeldOut(evaluation.texts())

    def hit(lemmas: Sequence[str]) -> set[str]:
        return held_out.hit(lexicon, lemmas)

    def drafts(lemma: str) -> tuple[Draft, ...]:
        return tuple(draft_v23(without(lexicon[lemma], held_out)))

    dev_lemmas = choose_lemmas(lexicon, "dev", data_seed, part.dev_lemmas, lambda lemma: bool(drafts(lemma)), hit)
    dev = tuple(draft for lemma in dev_lemmas for draft in drafts(lemma))
    held_out.add(event.text for draft in dev for event in draft.events)
    substitution = Substitution(wordnet)

    def trains(lemma: str) -> bool:
        senses = without(lexicon[lemma], held_out)
        if next(draft_v22(senses), None) is not None:
            return True
        return gives_enrichment(senses, tuple(claims_of(senses, substitution, held_out, Counter())))

    train_lemmas = choose_lemmas(lexicon, "train", data_seed, part.train_lemmas, trains, hit)
    seen = tuple(without(lexicon[lemma], held_out) for lemma in train_lemmas)
    _count_hidden(seen, held_out, excluded)
    claims = tuple(claim for senses in seen for claim in claims_of(senses, substitution, held_out, excluded))
    plan = Plan(
        lemmas={"train": train_lemmas, "dev": dev_lemmas, "eval": test_lemmas},
        evaluation=evaluation,
        dev=dev,
        seen=seen,
        v22=tuple(draft for senses in seen for draft in draft_v22(senses)),
        v23=tuple(draft for senses in seen for draft in draft_v23(senses)),
        claims=_without_copies(claims, held_out, excluded),
        excluded=excluded,
    )
    for name, made in (
        ("training", plan.v23),
        ("development", dev),
        ("retrieval", evaluation.retrieval),
        ("coherence", evaluation.coherence),
    ):
        if not made:
            raise BadInput(f"this slice of the data holds no {name} items; take more lemmas")
    return plan


def _without_copies(claims: Sequence[Claim], held_out: HeldOut, excluded: Counter[str]) -> tuple[Claim, ...]:
    """The claims of which neither the synthetic context nor its original nearly copies a text of the evaluation."""
    made = [(claim.synthetic.event.text, claim.synthetic.original) for claim in claims]
    copies = held_out.copies_among(text for pair in made for text in pair)
    kept = tuple(claim for claim, pair in zip(claims, made, strict=True) if copies.isdisjoint(pair))
    excluded["synthetic context near an evaluation text"] += len(claims) - len(kept)
    return kept


def _count_hidden(seen: Sequence[Sequence[SeenSense]], held_out: HeldOut, excluded: Counter[str]) -> None:
    """Count the examples and glosses of training lemmas that ``without`` left out."""
    for sense in (one.sense for senses in seen for one in senses):
        for event in (sense.gloss, *sense.examples):
            form = normalised(event.text)
            if form in held_out.near_copies:
                excluded[f"{event.source} near an evaluation text"] += 1
            elif form in held_out:
                excluded[f"held-out {event.source}"] += 1
