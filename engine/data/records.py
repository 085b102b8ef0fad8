"""Records of a dataset: usage events, bundles, retrieval and coherence items, probes, killers.

Built datasets are JSON Lines of these structs, so field names and their order are part of the data fingerprints.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from engine.contract.experiment import WORDNET_DEVELOPMENT, Tier
from engine.contract.items import ReasonCode

Pos = Literal["n", "v", "a", "r"]
POS_NAMES: dict[Pos, str] = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
FULL_POS_NAMES: dict[Pos, str] = {"n": "noun", "v": "verb", "a": "adjective", "r": "adverb"}
Source = Literal["example", "gloss", "synthetic"]


class UsageEvent(Struct, frozen=True, gc=False):
    """A context with a target word: ``text[start:end]`` is the surface form of ``lemma`` in sense ``sense_id``.

    A gloss (``source == "gloss"``) does not contain the target word; its span is empty, ``start == end == 0``.
    """

    event_id: str
    lemma: str
    pos: Pos
    sense_id: str
    text: str
    start: int
    end: int
    source: Source


class Bundle(Struct, frozen=True):
    """A training bundle: an anchor, a positive of its sense in another text, and negatives.

    ``siblings`` are negatives of the anchor's lemma, ``cross_lemma`` negatives of other lemmas. ``danger`` = max
    sim(anchor, negatives) - sim(anchor, positive) under frozen mean pooling. ``tier`` is by rank of the same difference
    among the siblings that the training loss compares; None in editions without tiers.
    ``similarities`` are the anchor's to its cross-lemma negatives; empty where unknown.
    """

    bundle_id: str
    anchor: UsageEvent
    positive: UsageEvent
    siblings: tuple[UsageEvent, ...]
    cross_lemma: tuple[UsageEvent, ...]
    danger: float
    tier: Tier | None
    adversarial: bool = False
    similarities: tuple[float, ...] = ()

    @property
    def events(self) -> tuple[UsageEvent, ...]:
        """The bundle's texts in order: anchor, positive, siblings, cross-lemma negatives."""
        return (self.anchor, self.positive, *self.siblings, *self.cross_lemma)


class Candidate(Struct, frozen=True):
    """A candidate context of a retrieval item and whether it shares the query's sense."""

    event: UsageEvent
    right: bool


class RetrievalItem(Struct, frozen=True, omit_defaults=True):
    """A retrieval item: a query context and candidate contexts of the same lemma, at least one right and one wrong.

    ``cue_strength`` is how much the query gives its sense away, where a user's file says so.
    """

    item_id: str
    lemma: str
    query: UsageEvent
    candidates: tuple[Candidate, ...]
    tier: Tier
    cue_strength: float | None = None


class CoherenceStep(Struct, frozen=True):
    """A step of a coherence item: a context and the index of its active sense in the item's ``sense_ids``."""

    event: UsageEvent
    sense: int


class CoherenceItem(Struct, frozen=True):
    """A coherence item: two or three steps of one lemma whose sense shifts; ``glosses[i]`` describes ``sense_ids[i]``."""

    item_id: str
    lemma: str
    sense_ids: tuple[str, ...]
    glosses: tuple[str, ...]
    steps: tuple[CoherenceStep, ...]


class AttentionProbe(Struct, frozen=True):
    """An attention probe: a context and its cue words, whose share of the attention is recorded at every measurement.

    ``cues`` are spelled as in the text and never include the target word.
    """

    probe_id: str
    event: UsageEvent
    cues: tuple[str, ...]


class Killer(Struct, frozen=True):
    """A killer (tier4): a retrieval item that the reference model fails badly, with a reason code.

    ``margin`` is the reference model's, best right minus best wrong; ``severity`` = 1 - margin; ``rank`` is that of the
    best right candidate, from 1. ``wrong_sense_id`` is the sense of the candidate ranked first, empty where unknown.
    """

    item_id: str
    reason: ReasonCode
    margin: float
    severity: float
    rank: int
    wrong_sense_id: str = ""


class Rejected(Struct, frozen=True):
    """A synthetic context that failed verification.

    ``similarity`` is the cosine to its original; ``gap`` is that minus the cosine to the nearest text of a sibling sense.
    """

    event: UsageEvent
    original: str
    reason: Literal["too far from its original", "too near to a sibling sense"]
    similarity: float
    gap: float


class FrozenEvaluation(Struct, frozen=True):
    """Evaluation data, which no run changes: retrieval items, coherence items, attention probes.

    The items of development lemmas have the same shape.
    """

    retrieval: tuple[RetrievalItem, ...]
    coherence: tuple[CoherenceItem, ...]
    probes: tuple[AttentionProbe, ...]

    def lemmas(self) -> set[str]:
        """The lemmas of every event."""
        return {event.lemma for event in self.events()}

    def events(self) -> Iterator[UsageEvent]:
        """Every event, with repetitions."""
        for item in self.retrieval:
            yield item.query
            yield from (candidate.event for candidate in item.candidates)
        for coherence in self.coherence:
            yield from (step.event for step in coherence.steps)
        yield from (probe.event for probe in self.probes)

    def texts(self) -> set[str]:
        """Every text as stored: contexts, and glosses without the lemma that the encoder reads before them."""
        return {*(event.text for event in self.events()), *(gloss for item in self.coherence for gloss in item.glosses)}


NO_ITEMS = FrozenEvaluation((), (), ())


class DevelopmentSet(Struct, frozen=True):
    """Items on which a run's head is measured while it is trained; its best measurement is chosen by their scores.

    Either kind of items may be missing. ``name`` is unique within a dataset.
    """

    name: str
    retrieval: tuple[RetrievalItem, ...] = ()
    coherence: tuple[CoherenceItem, ...] = ()

    def as_evaluation(self) -> FrozenEvaluation:
        """Its items in the form of an evaluation without probes."""
        return FrozenEvaluation(self.retrieval, self.coherence, ())


class Dataset(Struct, frozen=True):
    """Everything one run trains and evaluates on: bundles of one edition, development data, frozen evaluation.

    Development data are bundles (``dev``) and named sets of items (``development``). ``glosses`` are those that training
    may read of the senses of the training and development lemmas.
    """

    edition: str
    train: tuple[Bundle, ...]
    dev: tuple[Bundle, ...]
    retrieval: tuple[RetrievalItem, ...]
    coherence: tuple[CoherenceItem, ...]
    data_fingerprint: str
    eval_fingerprint: str
    probes: tuple[AttentionProbe, ...] = ()
    killers: tuple[Killer, ...] = ()
    development: tuple[DevelopmentSet, ...] = ()
    glosses: tuple[UsageEvent, ...] = ()

    @property
    def dev_items(self) -> FrozenEvaluation:
        """The items of the built dataset's development lemmas, without probes; none where the data are not built."""
        items = (one for one in self.development if one.name == WORDNET_DEVELOPMENT)
        return next((FrozenEvaluation(one.retrieval, one.coherence, ()) for one in items), NO_ITEMS)

    @property
    def evaluation(self) -> FrozenEvaluation:
        """The evaluation items and probes."""
        return FrozenEvaluation(self.retrieval, self.coherence, self.probes)
