"""The data in the user's own formats: contrastive bundles, retrieval, coherence, attention probes, killers; one a line."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from engine.contract.experiment import Tier
from engine.contract.items import ReasonCode
from engine.data.evaluation.killers import KILLER_MARGIN, KILLER_RANK
from engine.data.records import (
    AttentionProbe,
    Bundle,
    CoherenceItem,
    Killer,
    Pos,
    Rejected,
    RetrievalItem,
    Source,
    UsageEvent,
)

PosName = Literal["noun", "verb", "adj", "adv"]
POS_NAMES: dict[Pos, PosName] = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}


class SpanLine(Struct, frozen=True):
    """``text[start:end]`` is ``surface``; a gloss, which has no target word, has an empty one."""

    start: int
    end: int
    surface: str


class Mention(Struct, frozen=True, kw_only=True):
    """A text with its target word; ``source`` is example, gloss or synthetic."""

    text: str
    span: SpanLine
    sense_id: str
    lemma: str
    pos: PosName
    source: Source


class NearMention(Mention, frozen=True, kw_only=True):
    """A cross-lemma negative with its cosine to the anchor under frozen mean pooling."""

    similarity: float = field(name="_similarity")


class Negatives(Struct, frozen=True):
    """Negatives of the anchor's own lemma, and near ones of other lemmas."""

    within_lemma: tuple[Mention, ...]
    cross_lemma: tuple[NearMention, ...]


class BundleMetadata(Struct, frozen=True):
    """``tier`` is null in editions without tiers; ``source`` is synthetic if anchor or positive is, else the positive's."""

    edition: str
    tier: Tier | None
    danger: float
    source: Source
    adversarial: bool


class BundleLine(Struct, frozen=True):
    """A contrastive bundle with grouped negatives."""

    id: str
    lemma: str
    anchor: Mention
    positive: Mention
    negatives: Negatives
    metadata: BundleMetadata


class CandidateLine(Mention, frozen=True, kw_only=True):
    """A candidate of a retrieval item."""

    passage_id: str
    is_correct_sense: bool


class RetrievalLine(Struct, frozen=True):
    """A retrieval item."""

    eval_id: str
    eval_type: str
    lemma: str
    query: Mention
    candidates: tuple[CandidateLine, ...]
    correct_passage_ids: tuple[str, ...]
    num_correct: int
    num_distractors: int
    difficulty_tier: Tier
    scoring: dict[str, str | tuple[int, ...]]


class StepLine(Struct, frozen=True):
    """A step of a coherence item."""

    step_num: int
    context: str
    span: SpanLine
    expected_sense: str
    sense_gloss: str
    instruction: str


class CoherenceLine(Struct, frozen=True):
    """A coherence item."""

    eval_id: str
    eval_type: str
    lemma: str
    num_steps: int
    num_sense_shifts: int
    steps: tuple[StepLine, ...]
    scoring: dict[str, str | tuple[str, ...]]


class AttentionLine(Struct, frozen=True):
    """An attention probe."""

    eval_id: str
    lemma: str
    query: str
    target_sense_id: str
    cue_tokens: tuple[str, ...]
    cue_tier: Literal["high_cue", "medium_cue", "low_cue"]
    span: SpanLine
    source: Source


class KillerLine(Struct, frozen=True):
    """A killer of the retrieval items."""

    type: Literal["retrieval"]
    eval_id: str
    lemma: str
    best_correct_rank: int
    margin: float
    reason_code: ReasonCode
    wrong_sense_id: str
    severity: float
    tier4: dict[str, float | int | tuple[str, ...]] = field(name="_tier4")


class RejectedLine(Struct, frozen=True):
    """A synthetic context that is in no edition, and why."""

    lemma: str
    sense_id: str
    text: str
    span: SpanLine
    original: str
    reason: str
    similarity: float
    gap: float


def bundle_line(bundle: Bundle, edition: str) -> BundleLine:
    """A built bundle of ``edition``."""
    near = zip(bundle.cross_lemma, bundle.similarities, strict=True)
    negatives = Negatives(
        tuple(_mention(event) for event in bundle.siblings),
        tuple(NearMention(**_fields(event), similarity=similarity) for event, similarity in near),
    )
    sources = (bundle.anchor.source, bundle.positive.source)
    source: Source = "synthetic" if "synthetic" in sources else bundle.positive.source
    metadata = BundleMetadata(edition, bundle.tier, bundle.danger, source, bundle.adversarial)
    return BundleLine(
        bundle.bundle_id,
        bundle.anchor.lemma,
        _mention(bundle.anchor),
        _mention(bundle.positive),
        negatives,
        metadata,
    )


def retrieval_line(item: RetrievalItem) -> RetrievalLine:
    candidates = tuple(
        CandidateLine(**_fields(c.event), passage_id=c.event.event_id, is_correct_sense=c.right)
        for c in item.candidates
    )
    right = tuple(candidate.passage_id for candidate in candidates if candidate.is_correct_sense)
    return RetrievalLine(
        eval_id=item.item_id,
        eval_type="multi_sense_retrieval",
        lemma=item.lemma,
        query=_mention(item.query),
        candidates=candidates,
        correct_passage_ids=right,
        num_correct=len(right),
        num_distractors=len(candidates) - len(right),
        difficulty_tier=item.tier,
        scoring={"metric": "correct_sense_in_top_k", "k_values": (1, 3, 5)},
    )


def coherence_line(item: CoherenceItem) -> CoherenceLine:
    steps = []
    for number, step in enumerate(item.steps, start=1):
        gloss = item.glosses[step.sense]
        said = f"'{item.lemma}' means: {gloss}" if number == 1 else f"'{item.lemma}' has shifted to mean: {gloss}"
        instruction = f"{'Process' if number == 1 else 'Now process'} this context where {said}"
        span = _span(step.event)
        steps.append(StepLine(number, step.event.text, span, item.sense_ids[step.sense], gloss, instruction))
    return CoherenceLine(
        eval_id=item.item_id,
        eval_type="multi_step_coherence",
        lemma=item.lemma,
        num_steps=len(steps),
        num_sense_shifts=len(steps) - 1,
        steps=tuple(steps),
        scoring={"metric": "coherence_accuracy", "checks": ("per_step_sense_match",)},
    )


def attention_line(probe: AttentionProbe) -> AttentionLine:
    event, count = probe.event, len(probe.cues)
    return AttentionLine(
        eval_id=probe.probe_id,
        lemma=event.lemma,
        query=event.text,
        target_sense_id=event.sense_id,
        cue_tokens=probe.cues,
        cue_tier="high_cue" if count > 2 else "medium_cue" if count == 2 else "low_cue",
        span=_span(event),
        source=event.source,
    )


def killer_line(killer: Killer, lemma: str) -> KillerLine:
    """A killer whose retrieval item is of ``lemma``."""
    reasons: tuple[str, ...] = ("margin", "severity") if killer.margin <= KILLER_MARGIN else ()
    reasons += ("rank",) if killer.rank >= KILLER_RANK else ()
    return KillerLine(
        type="retrieval",
        eval_id=killer.item_id,
        lemma=lemma,
        best_correct_rank=killer.rank,
        margin=killer.margin,
        reason_code=killer.reason,
        wrong_sense_id=killer.wrong_sense_id,
        severity=killer.severity,
        tier4={"reasons": reasons, "margin": killer.margin, "severity": killer.severity, "rank": killer.rank},
    )


def rejected_line(rejected: Rejected) -> RejectedLine:
    event = rejected.event
    return RejectedLine(
        lemma=event.lemma,
        sense_id=event.sense_id,
        text=event.text,
        span=_span(event),
        original=rejected.original,
        reason=rejected.reason,
        similarity=rejected.similarity,
        gap=rejected.gap,
    )


def _mention(event: UsageEvent) -> Mention:
    return Mention(**_fields(event))


def _fields(event: UsageEvent) -> dict[str, Any]:
    """The fields of a mention of ``event``."""
    return {
        "text": event.text,
        "span": _span(event),
        "sense_id": event.sense_id,
        "lemma": event.lemma,
        "pos": POS_NAMES[event.pos],
        "source": event.source,
    }


def _span(event: UsageEvent) -> SpanLine:
    return SpanLine(event.start, event.end, event.text[event.start : event.end])
