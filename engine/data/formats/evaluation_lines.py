"""The integrity gate of the evaluation: retrieval, coherence, attention probes and killers become records, or say why not."""

from __future__ import annotations

from collections.abc import Set

from engine.contract.experiment import TIERS
from engine.data.formats.reasons import Quarantined
from engine.data.formats.schemas import Attention, Coherence, KillerLine, Retrieval, RetrievalCandidate
from engine.data.formats.spans import find
from engine.data.formats.usages import Repairs, event_of, form_of, lexeme_of
from engine.data.records import (
    AttentionProbe,
    Candidate,
    CoherenceItem,
    CoherenceStep,
    Killer,
    RetrievalItem,
    UsageEvent,
)


def retrieval_item(line: Retrieval, repairs: Repairs) -> RetrievalItem:
    """A retrieval item; its tier is the easiest until its danger is known.

    Raises:
        Quarantined: it breaks a rule of retrieval items.
    """
    asked = line.query.sense_id or line.query.sense
    word = lexeme_of(line.lemma or line.query.lemma, asked, line.query.pos)

    def event(usage: RetrievalCandidate | None, where: str) -> UsageEvent:
        it = line.query if usage is None else usage
        sense = it.sense_id or it.sense
        return event_of(it.text, it.span, sense, word, repairs, where, pos=it.pos, source=it.source)

    query = event(None, "query")
    right = _right(line)
    candidates = tuple(
        Candidate(event(usage, f"candidate {number}"), answer)
        for number, (usage, answer) in enumerate(zip(line.candidates, right, strict=True), start=1)
    )
    if not any(right):
        raise Quarantined("no_right")
    if all(right):
        raise Quarantined("no_wrong")
    forms: dict[str, bool] = {}
    for candidate in candidates:
        if (candidate.event.sense_id == query.sense_id) != candidate.right:
            raise Quarantined("right_contradicted", f"sense {candidate.event.sense_id}, query {query.sense_id}")
        form = form_of(candidate.event.text)
        if forms.setdefault(form, candidate.right) != candidate.right:
            raise Quarantined("right_contradicted", f"one text right and wrong: {candidate.event.text}")
    if form_of(query.text) in forms:
        raise Quarantined("query_leaked", query.text)
    return RetrievalItem(str(line.eval_id), word.lemma, query, candidates, TIERS[0])


def _right(line: Retrieval) -> list[bool]:
    """Which candidates are right, by their flags, by the list of right passages, or by both if they agree."""
    passages = [candidate.passage_id for candidate in line.candidates]
    known = [passage for passage in passages if passage is not None]
    if len(set(known)) < len(known):
        raise Quarantined("duplicate_candidate", str(next(p for p in known if known.count(p) > 1)))
    if line.correct_passage_ids is None:
        return [bool(candidate.is_correct_sense) for candidate in line.candidates]
    named = set(line.correct_passage_ids)
    if strange := sorted(map(str, named.difference(known))):
        raise Quarantined("right_contradicted", f"no candidate {strange[0]}")
    for candidate in line.candidates:
        if candidate.is_correct_sense not in (None, candidate.passage_id in named):
            raise Quarantined("right_contradicted", f"candidate {candidate.passage_id}")
    return [passage in named for passage in passages]


def coherence_item(line: Coherence, repairs: Repairs) -> CoherenceItem:
    """A coherence item over the senses of its steps, in the order of their ids, so that a place gives nothing away.

    Raises:
        Quarantined: it breaks a rule of coherence items.
    """
    glosses: dict[str, str] = {}
    for number, step in enumerate(line.steps, start=1):
        if not step.sense_gloss.strip():
            raise Quarantined("empty_text", f"gloss of step {number}")
        if glosses.setdefault(step.expected_sense, step.sense_gloss) != step.sense_gloss:
            raise Quarantined("gloss_contradicted", f"sense {step.expected_sense}")
        if form_of(step.context) == form_of(step.sense_gloss) and step.context.strip():
            raise Quarantined("query_leaked", f"step {number}")
    if len(glosses) < 2:
        raise Quarantined("no_wrong", f"{len(line.steps)} steps")
    if len({form_of(gloss) for gloss in glosses.values()}) < len(glosses):
        raise Quarantined("gloss_contradicted", "one gloss for two senses")
    word = lexeme_of(line.lemma, line.steps[0].expected_sense)
    senses = tuple(sorted(glosses))
    steps = tuple(
        CoherenceStep(
            event_of(step.context, step.span, step.expected_sense, word, repairs, f"step {number}"),
            senses.index(step.expected_sense),
        )
        for number, step in enumerate(line.steps, start=1)
    )
    return CoherenceItem(str(line.eval_id), word.lemma, senses, tuple(glosses[sense] for sense in senses), steps)


def attention_probe(line: Attention, repairs: Repairs) -> AttentionProbe:
    """An attention probe; its cues are taken as they stand in the text.

    Raises:
        Quarantined: it breaks a rule of events, or no cue is left.
    """
    word = lexeme_of(line.lemma, line.target_sense_id)
    event = event_of(line.query, line.span, line.target_sense_id, word, repairs, "query")
    cues: dict[str, None] = {}
    for cue in line.cue_tokens:
        apart = [place for place in find(line.query, cue) if place[1] <= event.start or place[0] >= event.end]
        if apart:
            cues[line.query[slice(*apart[0])]] = None
        else:
            repairs.add("cue_dropped", f"cue {cue!r}")
    if not cues:
        raise Quarantined("no_cue")
    return AttentionProbe(str(line.eval_id), event, tuple(cues))


def killer(line: KillerLine, items: Set[str] | None) -> Killer:
    """A killer of one of the retrieval ``items``, if these are known; a severity that is not given is 1 - margin.

    Raises:
        Quarantined: there is no such item.
    """
    item = str(line.eval_id)
    if items is not None and item not in items:
        raise Quarantined("unknown_item", item)
    severity = 1.0 - line.margin if line.severity is None else line.severity
    return Killer(item, line.reason_code, line.margin, severity, line.best_correct_rank, line.wrong_sense_id or "")
