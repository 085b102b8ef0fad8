"""Plan of a build, made by rule and hash before anything is embedded: lemmas, items, drafts, synthetic candidates."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Literal

from msgspec import Struct, structs

from engine.contract.bad_input import BadInput
from engine.contract.experiment import DataSlice
from engine.data.bundles.drafts import Draft, VisibleSense, draft_v22, draft_v23, visible_senses
from engine.data.bundles.encoder_text import encoder_text_of, evaluation_encoder_texts
from engine.data.bundles.enrichment import can_enrich, synthetic_candidates
from engine.data.bundles.synthetic import Substitution, Synthetic
from engine.data.evaluation.items import attention_probes, coherence_items, has_retrieval_item, retrieval_items
from engine.data.leakage import HeldOut
from engine.data.records import FrozenEvaluation, UsageEvent
from engine.data.wordnet.cues import Cues
from engine.data.wordnet.database import WordNet
from engine.data.wordnet.usage_events import Lexicon, Sense, normalised

Split = Literal["train", "dev", "confirm", "eval"]
SHARES: dict[Split, float] = {"eval": 0.20, "dev": 0.08, "confirm": 0.23, "train": 0.49}


def hash_position(lemma: str, data_seed: int) -> float:
    """A lemma's position in [0, 1): uniform over lemmas, reproducible on every machine."""
    hashed = hashlib.sha256(f"split\x1f{data_seed}\x1f{lemma}".encode()).digest()
    return int.from_bytes(hashed[:8], "big") / 2**64


def by_hash(lemmas: Iterable[str], data_seed: int) -> list[str]:
    """The lemmas in the order of their hashes."""
    return sorted(lemmas, key=lambda lemma: (hash_position(lemma, data_seed), lemma))


def share_of(lemma: str, data_seed: int) -> Split:
    """The share that a lemma is in, of ``SHARES``."""
    position, end = hash_position(lemma, data_seed), 0.0
    for name, share in SHARES.items():
        end += share
        if position < end:
            return name
    return "train"


def shares(lemmas: Iterable[str], data_seed: int) -> dict[Split, list[str]]:
    """The lemmas of each share, in the order of their hashes."""
    found: dict[Split, list[str]] = {name: [] for name in SHARES}
    for lemma in by_hash(lemmas, data_seed):
        found[share_of(lemma, data_seed)].append(lemma)
    return found


def training_candidates(lexicon: Lexicon, of_share: Mapping[Split, Sequence[str]]) -> Iterator[str]:
    """The lemmas that may train: those of the share for training, then those that no evaluation can use.

    A lemma without a retrieval item is of no use to an evaluation. Those of the share for confirmation train; of the
    share for evaluation those that yield a bundle from their own examples, in the place of the lemmas held out for
    confirmation, so that the editions keep their sizes.
    """
    yield from of_share["train"]
    yield from (lemma for lemma in of_share["confirm"] if not has_retrieval_item(lexicon[lemma]))
    for lemma in of_share["eval"]:
        if next(draft_v22(visible_senses(lexicon[lemma], ())), None) and not has_retrieval_item(lexicon[lemma]):
            yield lemma


def choose_lemmas(
    lemmas: Iterable[str],
    limit: int | None,
    useful: Callable[[str], bool],
    hold_out: Callable[[Sequence[str]], Container[str]] = lambda _: (),
) -> tuple[str, ...]:
    """The first ``limit`` useful ones of ``lemmas``.

    Args:
        lemmas: to choose from, in order.
        limit: how many at most; None is all.
        useful: whether a lemma yields any data.
        hold_out: removes texts from lemmas about to be chosen, many at once, and returns the lemmas that lost one;
            those that are no longer ``useful`` are replaced by the next ones.
    """
    candidates = filter(useful, lemmas)
    chosen: list[str] = []
    while batch := list(islice(candidates, None if limit is None else limit - len(chosen))):
        reduced = hold_out(batch)
        chosen += [lemma for lemma in batch if lemma not in reduced or useful(lemma)]
    return tuple(chosen)


class Plan(Struct, frozen=True):
    """A build before its embeddings.

    Attributes:
        lemmas: of each split.
        evaluation: the frozen evaluation.
        confirm: a second evaluation, of other lemmas and without probes, sealed until a decision is confirmed on it.
        dev: drafts of the development bundles.
        dev_items: items of development lemmas without any held-out text, made like those of the evaluation.
        dev_visible, visible: the senses of each development and training lemma without any held-out text; all texts of
            development are held out of training.
        v22, v23: drafts of these editions.
        synthetics: synthetic contexts to verify.
        excluded: count of what training may not read, by reason.
    """

    lemmas: dict[str, tuple[str, ...]]
    evaluation: FrozenEvaluation
    confirm: FrozenEvaluation
    dev: tuple[Draft, ...]
    dev_items: FrozenEvaluation
    dev_visible: tuple[tuple[VisibleSense, ...], ...]
    visible: tuple[tuple[VisibleSense, ...], ...]
    v22: tuple[Draft, ...]
    v23: tuple[Draft, ...]
    synthetics: tuple[Synthetic, ...]
    excluded: Counter[str]

    @property
    def glosses(self) -> tuple[UsageEvent, ...]:
        """The visible glosses of the senses of training lemmas, then of development lemmas."""
        senses = (sense for row in (*self.visible, *self.dev_visible) for sense in row)
        return tuple(sense.gloss for sense in senses if sense.gloss is not None)

    def encoder_texts(self) -> Iterator[str]:
        """The texts to embed before the synthetic candidates are verified, with repetitions."""
        yield from evaluation_encoder_texts(self.evaluation)
        yield from evaluation_encoder_texts(self.confirm)
        yield from evaluation_encoder_texts(self.dev_items)
        for draft in (*self.dev, *self.v22, *self.v23):
            yield from map(encoder_text_of, draft.events)
        for candidate in self.synthetics:
            yield from (candidate.event.text, candidate.original, *candidate.siblings)


def make_plan(part: DataSlice, data_seed: int, wordnet: WordNet, lexicon: Lexicon) -> Plan:
    """Choose evaluation and confirmation, then development, then training data without the texts of the earlier ones.

    Evaluation and confirmation may share a text, such as the gloss of a synset, but no lemma.

    Raises:
        BadInput: the slice is too small to hold any items.
    """
    excluded: Counter[str] = Counter()
    of_share = shares(lexicon, data_seed)
    test_lemmas, confirm_lemmas = (
        choose_lemmas(of_share[share], part.eval_lemmas, lambda lemma: has_retrieval_item(lexicon[lemma]))
        for share in ("eval", "confirm")
    )
    evaluation, confirm = (
        FrozenEvaluation(
            retrieval_items(lexicon, lemmas, part.retrieval_items),
            coherence_items(lexicon, lemmas, part.coherence_items),
            (),
        )
        for lemmas in (test_lemmas, confirm_lemmas)
    )
    evaluation = structs.replace(evaluation, probes=attention_probes(lexicon, test_lemmas, Cues(wordnet)))
    held_out = HeldOut(evaluation.texts() | confirm.texts())

    def hold_out(lemmas: Sequence[str]) -> set[str]:
        return held_out.lemmas_with_near_copies(lexicon, lemmas)

    def drafts(lemma: str) -> tuple[Draft, ...]:
        return tuple(draft_v23(visible_senses(lexicon[lemma], held_out)))

    dev_lemmas = choose_lemmas(of_share["dev"], part.dev_lemmas, lambda lemma: bool(drafts(lemma)), hold_out)
    dev = tuple(draft for lemma in dev_lemmas for draft in drafts(lemma))
    dev_visible = tuple(visible_senses(lexicon[lemma], held_out) for lemma in dev_lemmas)
    dev_items = _dev_items(dev_visible, part)
    held_out.add(text for senses in dev_visible for sense in senses for text in sense.texts)
    substitution = Substitution(wordnet)

    def yields_bundles(lemma: str) -> bool:
        senses = visible_senses(lexicon[lemma], held_out)
        if next(draft_v22(senses), None) is not None:
            return True
        return can_enrich(senses, tuple(synthetic_candidates(senses, substitution, held_out, Counter())))

    candidates = training_candidates(lexicon, of_share)
    train_lemmas = choose_lemmas(candidates, part.train_lemmas, yields_bundles, hold_out)
    visible = tuple(visible_senses(lexicon[lemma], held_out) for lemma in train_lemmas)
    _count_excluded(visible, held_out, excluded)
    synthetics = tuple(
        made for senses in visible for made in synthetic_candidates(senses, substitution, held_out, excluded)
    )
    plan = Plan(
        lemmas={"train": train_lemmas, "dev": dev_lemmas, "eval": test_lemmas, "confirm": confirm_lemmas},
        evaluation=evaluation,
        confirm=confirm,
        dev=dev,
        dev_items=dev_items,
        dev_visible=dev_visible,
        visible=visible,
        v22=tuple(draft for senses in visible for draft in draft_v22(senses)),
        v23=tuple(draft for senses in visible for draft in draft_v23(senses)),
        synthetics=_drop_near_copies(synthetics, held_out, excluded),
        excluded=excluded,
    )
    for name, made in (
        ("training", plan.v23),
        ("development", dev),
        ("retrieval", evaluation.retrieval),
        ("coherence", evaluation.coherence),
        ("confirm retrieval", confirm.retrieval),
        ("confirm coherence", confirm.coherence),
    ):
        if not made:
            raise BadInput(f"this slice of the data holds no {name} items; take more lemmas")
    return plan


def _dev_items(dev_visible: Sequence[Sequence[VisibleSense]], part: DataSlice) -> FrozenEvaluation:
    """Items of development lemmas, made like those of the evaluation, from visible texts only.

    Coherence items are of all development lemmas, not only those with a retrieval item: their number decides what
    development can resolve.
    """

    def lexicon(senses: Iterable[VisibleSense]) -> Lexicon:
        found: dict[str, list[Sense]] = {}
        for one in senses:
            found.setdefault(one.sense.lemma, []).append(structs.replace(one.sense, examples=one.examples))
        return {lemma: tuple(kept) for lemma, kept in found.items()}

    visible = [sense for senses in dev_visible for sense in senses]
    every, with_gloss = lexicon(visible), lexicon(sense for sense in visible if sense.gloss is not None)
    return FrozenEvaluation(
        retrieval_items(every, tuple(every), part.retrieval_items),
        coherence_items(with_gloss, tuple(with_gloss), part.coherence_items),
        (),
    )


def _drop_near_copies(
    candidates: Sequence[Synthetic], held_out: HeldOut, excluded: Counter[str]
) -> tuple[Synthetic, ...]:
    """The candidates of which neither the synthetic context nor its original nearly copies an evaluation text."""
    pairs = [(candidate.event.text, candidate.original) for candidate in candidates]
    copies = held_out.add_near_copies(text for pair in pairs for text in pair)
    kept = tuple(candidate for candidate, pair in zip(candidates, pairs, strict=True) if copies.isdisjoint(pair))
    excluded["synthetic context near an evaluation text"] += len(candidates) - len(kept)
    return kept


def _count_excluded(visible: Sequence[Sequence[VisibleSense]], held_out: HeldOut, excluded: Counter[str]) -> None:
    """Count the examples and glosses of training lemmas that ``visible_senses`` left out."""
    for sense in (one.sense for senses in visible for one in senses):
        for event in (sense.gloss, *sense.examples):
            form = normalised(event.text)
            if form in held_out.near_copies:
                excluded[f"{event.source} near an evaluation text"] += 1
            elif form in held_out:
                excluded[f"held-out {event.source}"] += 1
