"""Reads and writes the evaluation: retrieval items, coherence items, attention probes, killers; writes rejected synthetics."""

from __future__ import annotations

from collections.abc import Set

from engine.contract.experiment import EASY
from engine.contract.items import KILLER_MARGIN, KILLER_RANK
from engine.data.formats.reasons import Quarantined, Reason, Repair
from engine.data.formats.schemas import (
    Attention,
    Coherence,
    KillerLine,
    RejectedLine,
    Retrieval,
    RetrievalCandidate,
    RetrievalQuery,
    Step,
)
from engine.data.formats.usages import (
    LineReading,
    event_of,
    event_of_usage,
    find_word,
    lexeme_of,
    sense_of,
    span_of,
    usage_fields,
)
from engine.data.records import AttentionProbe, Candidate, CoherenceItem, CoherenceStep, Killer, Rejected, RetrievalItem
from engine.data.wordnet.usage_events import text_key


def retrieval_item(line: Retrieval, reading: LineReading) -> RetrievalItem:
    """The retrieval item of a line; of tier 1 until its danger is computed.

    Raises:
        Quarantined: the line breaks a rule of retrieval items.
    """
    word = lexeme_of(line.lemma or line.query.lemma, sense_of(line.query), line.query.pos)
    query = event_of_usage(line.query, word, reading, "query")
    right = _right(line)
    candidates = tuple(
        Candidate(event_of_usage(usage, word, reading, f"candidate {number}"), is_right)
        for number, (usage, is_right) in enumerate(zip(line.candidates, right, strict=True), start=1)
    )
    if not any(right):
        raise Quarantined(Reason.NO_RIGHT)
    if all(right):
        raise Quarantined(Reason.NO_WRONG)
    right_by_text: dict[str, bool] = {}
    for candidate in candidates:
        if (candidate.event.sense_id == query.sense_id) != candidate.right:
            raise Quarantined(Reason.RIGHT_CONTRADICTED, f"sense {candidate.event.sense_id}, query {query.sense_id}")
        if right_by_text.setdefault(text_key(candidate.event.text), candidate.right) != candidate.right:
            raise Quarantined(Reason.RIGHT_CONTRADICTED, f"one text right and wrong: {candidate.event.text}")
    if text_key(query.text) in right_by_text:
        raise Quarantined(Reason.QUERY_LEAKED, query.text)
    strength = line.query.cue_strength
    known = isinstance(strength, int | float) and not isinstance(strength, bool)
    return RetrievalItem(str(line.eval_id), word.lemma, query, candidates, EASY, float(strength) if known else None)


def _right(line: Retrieval) -> list[bool]:
    """Which candidates are right, by their flags, by the list of correct passages, or by both if they agree."""
    passages = [candidate.passage_id for candidate in line.candidates]
    known = [passage for passage in passages if passage is not None]
    if len(set(known)) < len(known):
        raise Quarantined(Reason.DUPLICATE_CANDIDATE, str(next(p for p in known if known.count(p) > 1)))
    if line.correct_passage_ids is None:
        return [bool(candidate.is_correct_sense) for candidate in line.candidates]
    named = set(line.correct_passage_ids)
    if missing := sorted(map(str, named.difference(known))):
        raise Quarantined(Reason.RIGHT_CONTRADICTED, f"no candidate {missing[0]}")
    for candidate in line.candidates:
        if candidate.is_correct_sense not in (None, candidate.passage_id in named):
            raise Quarantined(Reason.RIGHT_CONTRADICTED, f"candidate {candidate.passage_id}")
    return [passage in named for passage in passages]


def coherence_item(line: Coherence, reading: LineReading) -> CoherenceItem:
    """The coherence item of a line; its senses are sorted by id, so that an index carries no information.

    Raises:
        Quarantined: the line breaks a rule of coherence items.
    """
    glosses: dict[str, str] = {}
    for number, step in enumerate(line.steps, start=1):
        if not step.sense_gloss.strip():
            raise Quarantined(Reason.EMPTY_TEXT, f"gloss of step {number}")
        if glosses.setdefault(step.expected_sense, step.sense_gloss) != step.sense_gloss:
            raise Quarantined(Reason.GLOSS_CONTRADICTED, f"sense {step.expected_sense}")
        if text_key(step.context) == text_key(step.sense_gloss) and step.context.strip():
            raise Quarantined(Reason.QUERY_LEAKED, f"step {number}")
    if len(glosses) < 2:
        raise Quarantined(Reason.NO_WRONG, f"{len(line.steps)} steps")
    if len({text_key(gloss) for gloss in glosses.values()}) < len(glosses):
        raise Quarantined(Reason.GLOSS_CONTRADICTED, "one gloss for two senses")
    word = lexeme_of(line.lemma, line.steps[0].expected_sense)
    senses = tuple(sorted(glosses))
    steps = tuple(
        CoherenceStep(
            event_of(step.context, step.span, step.expected_sense, word, reading, f"step {number}"),
            senses.index(step.expected_sense),
        )
        for number, step in enumerate(line.steps, start=1)
    )
    return CoherenceItem(str(line.eval_id), word.lemma, senses, tuple(glosses[sense] for sense in senses), steps)


def attention_probe(line: Attention, reading: LineReading) -> AttentionProbe:
    """The attention probe of a line; its cues are spelled as in the text.

    Raises:
        Quarantined: the line breaks a rule of events, or no cue is left.
    """
    word = lexeme_of(line.lemma, line.target_sense_id)
    event = event_of(line.query, line.span, line.target_sense_id, word, reading, "query")
    cues: dict[str, None] = {}
    for cue in line.cue_tokens:
        outside = [span for span in find_word(line.query, cue) if span[1] <= event.start or span[0] >= event.end]
        if outside:
            cues[line.query[slice(*outside[0])]] = None
        else:
            reading.repaired(Repair.CUE_DROPPED, f"cue {cue!r}")
    if not cues:
        raise Quarantined(Reason.NO_CUE)
    return AttentionProbe(str(line.eval_id), event, tuple(cues))


def killer_of(line: KillerLine, kept: Set[str] | None, quarantined: Set[str] = frozenset()) -> Killer:
    """The killer of a line.

    ``kept`` and ``quarantined`` are the ids of retrieval items, ``kept`` is None if they are unknown. A severity that is
    not given is 1 - margin.

    Raises:
        Quarantined: it names no known item, or one in quarantine.
    """
    item = str(line.eval_id)
    if kept is not None and item not in kept:
        raise Quarantined(Reason.ITEM_QUARANTINED if item in quarantined else Reason.UNKNOWN_ITEM, item)
    severity = 1.0 - line.margin if line.severity is None else line.severity
    return Killer(item, line.reason_code, line.margin, severity, line.best_correct_rank, line.wrong_sense_id or "")


def retrieval_line(item: RetrievalItem) -> Retrieval:
    """The line of a retrieval item; event ids serve as passage ids."""
    candidates = tuple(
        RetrievalCandidate(**usage_fields(c.event), passage_id=c.event.event_id, is_correct_sense=c.right)
        for c in item.candidates
    )
    right = tuple(candidate.event.event_id for candidate in item.candidates if candidate.right)
    return Retrieval(
        eval_id=item.item_id,
        eval_type="multi_sense_retrieval",
        lemma=item.lemma,
        query=RetrievalQuery(**usage_fields(item.query), cue_strength=item.cue_strength),
        candidates=candidates,
        correct_passage_ids=right,
        num_correct=len(right),
        num_distractors=len(candidates) - len(right),
        difficulty_tier=item.tier,
        scoring={"metric": "correct_sense_in_top_k", "k_values": (1, 3, 5)},
    )


def coherence_line(item: CoherenceItem) -> Coherence:
    """The line of a coherence item."""
    steps = []
    for number, step in enumerate(item.steps, start=1):
        gloss = item.glosses[step.sense]
        action, meaning = ("Process", "means") if number == 1 else ("Now process", "has shifted to mean")
        steps.append(
            Step(
                step_num=number,
                context=step.event.text,
                span=span_of(step.event),
                expected_sense=item.sense_ids[step.sense],
                sense_gloss=gloss,
                instruction=f"{action} this context where '{item.lemma}' {meaning}: {gloss}",
            )
        )
    return Coherence(
        eval_id=item.item_id,
        eval_type="multi_step_coherence",
        lemma=item.lemma,
        num_steps=len(steps),
        num_sense_shifts=len(steps) - 1,
        steps=tuple(steps),
        scoring={"metric": "coherence_accuracy", "checks": ("per_step_sense_match",)},
    )


def attention_line(probe: AttentionProbe) -> Attention:
    """The line of an attention probe."""
    event, count = probe.event, len(probe.cues)
    return Attention(
        eval_id=probe.probe_id,
        lemma=event.lemma,
        query=event.text,
        target_sense_id=event.sense_id,
        cue_tokens=probe.cues,
        cue_tier="high_cue" if count > 2 else "medium_cue" if count == 2 else "low_cue",
        span=span_of(event),
        source=event.source,
    )


def killer_line(killer: Killer, lemma: str) -> KillerLine:
    """The line of a killer; ``lemma`` is that of its retrieval item."""
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
    """The line of a synthetic context that failed verification."""
    event = rejected.event
    return RejectedLine(
        lemma=event.lemma,
        sense_id=event.sense_id,
        text=event.text,
        span=span_of(event),
        original=rejected.original,
        reason=rejected.reason,
        similarity=rejected.similarity,
        gap=rejected.gap,
    )
