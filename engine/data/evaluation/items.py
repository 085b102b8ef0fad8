"""Makes the frozen evaluation from held-out lemmas: retrieval items, coherence items, attention probes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, zip_longest
from typing import TypeVar

from msgspec import structs

from engine.contract.experiment import EASY
from engine.data.bundles.danger import dangers, tiers_by_rank
from engine.data.bundles.encoder_text import EmbeddedTexts, encoder_text_of
from engine.data.records import AttentionProbe, Candidate, CoherenceItem, CoherenceStep, RetrievalItem, UsageEvent
from engine.data.wordnet.cues import Cues
from engine.data.wordnet.usage_events import Lexicon, Sense, digest, normalised

MAX_PROBES = 160
MAX_CANDIDATES, MIN_WRONG, MAX_RIGHT = 8, 3, 2
COHERENCE_PER_LEMMA, THREE_STEPS_ONE_IN = 4, 4

Item = TypeVar("Item")


def attention_probes(lexicon: Lexicon, lemmas: Sequence[str], cues: Cues) -> tuple[AttentionProbe, ...]:
    """At most one probe per lemma on average, and at most ``MAX_PROBES``; each lemma's first before any lemma's second."""
    return round_robin([_probes_of(lexicon[lemma], cues) for lemma in lemmas], min(MAX_PROBES, len(lemmas)))


def _probes_of(senses: Sequence[Sense], cues: Cues) -> Iterator[AttentionProbe]:
    """Probes of a lemma of several senses: its examples that have a cue, in the order of their hashes."""
    if len(senses) < 2:
        return
    events = {normalised(event.text): event for sense in senses for event in sense.examples}
    for event in sorted(events.values(), key=lambda event: digest("probe", event.event_id)):
        if found := cues.find(event, senses):
            yield AttentionProbe(digest("attention", event.event_id), event, found)


def retrieval_items(lexicon: Lexicon, lemmas: Sequence[str], limit: int | None) -> tuple[RetrievalItem, ...]:
    """Up to ``limit`` items, each lemma's first before any lemma's second; all of tier 1 until ``with_tiers``."""
    return round_robin([_retrieval_of(lexicon[lemma]) for lemma in lemmas], limit)


def has_retrieval_item(senses: Sequence[Sense]) -> bool:
    """Whether a lemma yields at least one retrieval item."""
    return next(_retrieval_of(senses), None) is not None


def _retrieval_of(senses: Sequence[Sense]) -> Iterator[RetrievalItem]:
    """One item for each sense with two examples, if the other senses have three or more; the hash picks the query."""
    for sense in senses:
        same_sense = _unique(sense.examples)
        if len(same_sense) < 2:
            continue
        query, *rest = _by_hash(same_sense, sense.sense_id)
        right = rest[:MAX_RIGHT]
        taken = {normalised(event.text) for event in same_sense}
        wrong = _wrong(query, [other for other in senses if other is not sense], taken)[: MAX_CANDIDATES - len(right)]
        if len(wrong) < MIN_WRONG:
            continue
        candidates = [Candidate(event, True) for event in right] + [Candidate(event, False) for event in wrong]
        candidates.sort(key=lambda candidate: digest("candidate", query.event_id, candidate.event.event_id))
        item_id = digest("retrieval", query.event_id, *(candidate.event.event_id for candidate in candidates))
        yield RetrievalItem(item_id, sense.lemma, query, tuple(candidates), EASY)


def _wrong(query: UsageEvent, others: Sequence[Sense], taken: set[str]) -> list[UsageEvent]:
    """Examples of the other senses, no text twice: same part of speech first, each sense's first before its second."""
    seen = set(taken)
    wrong: list[UsageEvent] = []
    for same in (True, False):
        rows = [_unique(other.examples) for other in others if (other.pos == query.pos) is same]
        for event in round_robin([_by_hash(row, query.event_id) for row in rows], None):
            if normalised(event.text) not in seen:
                seen.add(normalised(event.text))
                wrong.append(event)
    return wrong


def coherence_items(lexicon: Lexicon, lemmas: Sequence[str], limit: int | None) -> tuple[CoherenceItem, ...]:
    """Up to ``limit`` items, each lemma's first before any lemma's second."""
    return round_robin([_coherence_of(lexicon[lemma]) for lemma in lemmas], limit)


def _coherence_of(senses: Sequence[Sense]) -> Iterator[CoherenceItem]:
    """Items of two senses with an example each, one in four items of three; glosses and contexts all differ."""
    seen = [sense for sense in senses if sense.examples]
    lemma = senses[0].lemma
    groups: list[tuple[Sense, ...]] = sorted(combinations(seen, 2), key=lambda pair: _group_key(lemma, pair))
    used: set[frozenset[str]] = set()
    for number, pair in enumerate(groups[:COHERENCE_PER_LEMMA]):
        third = [sense for sense in seen if sense not in pair]
        wants_three = int(digest("three", lemma, str(number)), 16) % THREE_STEPS_ONE_IN == 0
        group = (*pair, min(third, key=lambda s: _group_key(lemma, (s,)))) if wants_three and third else pair
        item = _coherence_item(lemma, sorted(group, key=lambda sense: _group_key(str(number), (sense,))))
        if item is not None and frozenset(item.sense_ids) not in used:
            used.add(frozenset(item.sense_ids))
            yield item


def _coherence_item(lemma: str, group: Sequence[Sense]) -> CoherenceItem | None:
    events = [_by_hash(sense.examples, lemma)[0] for sense in group]
    forms = {
        normalised(text) for sense, event in zip(group, events, strict=True) for text in (sense.gloss.text, event.text)
    }
    if len(forms) < 2 * len(group) or "" in forms:
        return None
    item_id = digest("coherence", *(event.event_id for event in events))
    # listed by sense id, so that the index of the active sense carries no information
    listed = sorted(group, key=lambda sense: sense.sense_id)
    steps = tuple(CoherenceStep(event, listed.index(sense)) for sense, event in zip(group, events, strict=True))
    sense_ids, glosses = (sense.sense_id for sense in listed), (sense.gloss.text for sense in listed)
    return CoherenceItem(item_id, lemma, tuple(sense_ids), tuple(glosses), steps)


def with_tiers(items: Sequence[RetrievalItem], texts: EmbeddedTexts) -> tuple[RetrievalItem, ...]:
    """The items with tiers by danger under frozen mean pooling: best wrong candidate minus best right one."""
    danger = dangers(
        [encoder_text_of(item.query) for item in items],
        [[encoder_text_of(c.event) for c in item.candidates if c.right] for item in items],
        [[encoder_text_of(c.event) for c in item.candidates if not c.right] for item in items],
        texts,
    )
    return tuple(structs.replace(item, tier=tier) for item, tier in zip(items, tiers_by_rank(danger), strict=True))


def round_robin(rows: Sequence[Iterable[Item]], limit: int | None) -> tuple[Item, ...]:
    """Up to ``limit`` items, the first of every row before the second of any row."""
    rounds = (item for one_each in zip_longest(*rows) for item in one_each if item is not None)
    return tuple(rounds)[:limit]


def _unique(events: Sequence[UsageEvent]) -> list[UsageEvent]:
    """The events with each normal form once, the first of equals."""
    return list(reversed({normalised(event.text): event for event in reversed(events)}.values()))


def _by_hash(events: Sequence[UsageEvent], salt: str) -> list[UsageEvent]:
    return sorted(events, key=lambda event: digest("order", salt, event.event_id))


def _group_key(salt: str, group: Sequence[Sense]) -> str:
    return digest("group", salt, *(sense.sense_id for sense in group))
