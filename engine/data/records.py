"""The shapes of the data: usage events, bundles, retrieval and coherence items."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from engine.contract.experiment import Tier
from engine.contract.items import ReasonCode

Pos = Literal["n", "v", "a", "r"]
Source = Literal["example", "gloss", "synthetic"]


class UsageEvent(Struct, frozen=True):
    """A context with a target word: ``text[start:end]`` is the surface form of ``lemma`` in sense ``sense_id``.

    A gloss (``source == "gloss"``) has no target word in it; its span is empty, ``start == end == 0``.
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
    """An anchor, a positive of its sense in another text, and negatives; texts are what the encoder sees.

    ``danger`` = max sim(anchor, negatives) - sim(anchor, positive) under frozen mean pooling; ``tier`` is None in
    editions that have no tiers. ``similarities`` are the anchor's to its cross-lemma negatives, where they are known.
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


class Candidate(Struct, frozen=True):
    """A candidate context of a retrieval item and whether it shares the query's sense."""

    event: UsageEvent
    right: bool


class RetrievalItem(Struct, frozen=True):
    """A query context and candidate contexts of the same lemma, at least one right and one wrong."""

    item_id: str
    lemma: str
    query: UsageEvent
    candidates: tuple[Candidate, ...]
    tier: Tier


class CoherenceStep(Struct, frozen=True):
    """A step: the context and the index, in the item's senses, of the one that is active."""

    event: UsageEvent
    sense: int


class CoherenceItem(Struct, frozen=True):
    """Two or three steps of one lemma whose sense shifts; ``glosses[i]`` describes ``sense_ids[i]``."""

    item_id: str
    lemma: str
    sense_ids: tuple[str, ...]
    glosses: tuple[str, ...]
    steps: tuple[CoherenceStep, ...]


class AttentionProbe(Struct, frozen=True):
    """A context, and the words in it that give its sense away: how much attention they get is followed epoch by epoch.

    ``cues`` are as they stand in the text, without the target word.
    """

    probe_id: str
    event: UsageEvent
    cues: tuple[str, ...]


class Killer(Struct, frozen=True):
    """A retrieval item that a reference model fails badly, and why (tier4).

    ``margin`` is that of the reference model, best right minus best wrong; ``severity`` = 1 - margin; ``rank`` is the
    best right candidate's, from 1. ``wrong_sense_id`` is the sense of the candidate it puts first, if that is known.
    """

    item_id: str
    reason: ReasonCode
    margin: float
    severity: float
    rank: int
    wrong_sense_id: str = ""


class Rejected(Struct, frozen=True):
    """A synthetic context that failed its verification: by how much it is near its original, and nearer than siblings."""

    event: UsageEvent
    original: str
    reason: Literal["too far from its original", "too near to a sibling sense"]
    similarity: float
    gap: float


class Dataset(Struct, frozen=True):
    """What one run needs: training bundles of its edition, development bundles, and the frozen evaluation."""

    edition: str
    train: tuple[Bundle, ...]
    dev: tuple[Bundle, ...]
    retrieval: tuple[RetrievalItem, ...]
    coherence: tuple[CoherenceItem, ...]
    data_fingerprint: str
    eval_fingerprint: str
    probes: tuple[AttentionProbe, ...] = ()
    killers: tuple[Killer, ...] = ()
