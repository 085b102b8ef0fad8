"""The frozen evaluation: retrieval items and coherence items of the held-out lemmas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, zip_longest
from typing import TypeVar

from msgspec import structs

from engine.contract.experiment import TIERS
from engine.data.bundles.danger import dangers, tiers_of
from engine.data.bundles.encoder_text import EmbeddedTexts, encoder_text_of
from engine.data.records import AttentionProbe, Candidate, CoherenceItem, CoherenceStep, RetrievalItem, UsageEvent
from engine.data.wordnet.cues import Cues
from engine.data.wordnet.usage_events import Lexicon, Sense, digest, normalised

MOST_PROBES = 160


def attention_probes(lexicon: Lexicon, lemmas: Sequence[str], cues: Cues) -> tuple[AttentionProbe, ...]:
    """At most one probe for each of ``lemmas`` on average, and at most 160; each lemma's first before any second."""
    return in_turns([_probes_of(lexicon[lemma], cues) for lemma in lemmas], min(MOST_PROBES, len(lemmas)))


def _probes_of(senses: Sequence[Sense], cues: Cues) -> Iterator[AttentionProbe]:
    """The examples of a lemma of several senses that have a cue, in the order of their hashes."""
    if len(senses) < 2:
        return
    events = {normalised(event.text): event for sense in senses for event in sense.examples}
    for event in sorted(events.values(), key=lambda event: digest("probe", event.event_id)):
        if found := cues.of(event, senses):
            yield AttentionProbe(digest("attention", event.event_id), event, found)


MAX_CANDIDATES, MIN_WRONG, MAX_RIGHT = 8, 3, 2
COHERENCE_PER_LEMMA, THREE_STEPS_ONE_IN = 4, 4

Item = TypeVar("Item")


def retrieval_items(lexicon: Lexicon, lemmas: Sequence[str], limit: int | None) -> tuple[RetrievalItem, ...]:
    """Up to ``limit`` items, each lemma's first before any lemma's second; the tier is still the easiest everywhere."""
    return in_turns([_retrieval_of(lexicon[lemma]) for lemma in lemmas], limit)


def gives_retrieval(senses: Sequence[Sense]) -> bool:
    """Whether a lemma yields at least one retrieval item."""
    return next(_retrieval_of(senses), None) is not None


def _retrieval_of(senses: Sequence[Sense]) -> Iterator[RetrievalItem]:
    """One item for each sense with two examples, if the other senses have three or more; the hash picks the query."""
    for sense in senses:
        mine = _unique(sense.examples, set())
        if len(mine) < 2:
            continue
        query, *rest = _by_hash(mine, sense.sense_id)
        right = rest[:MAX_RIGHT]
        taken = {normalised(event.text) for event in mine}
        wrong = _wrong(query, [other for other in senses if other is not sense], taken)[: MAX_CANDIDATES - len(right)]
        if len(wrong) < MIN_WRONG:
            continue
        candidates = [Candidate(event, True) for event in right] + [Candidate(event, False) for event in wrong]
        candidates.sort(key=lambda candidate: digest("candidate", query.event_id, candidate.event.event_id))
        item_id = digest("retrieval", query.event_id, *(candidate.event.event_id for candidate in candidates))
        yield RetrievalItem(item_id, sense.lemma, query, tuple(candidates), TIERS[0])


def _wrong(query: UsageEvent, others: Sequence[Sense], taken: set[str]) -> list[UsageEvent]:
    """Examples of the other senses, no text twice: same part of speech first, each sense's first before its second."""
    seen = set(taken)
    wrong: list[UsageEvent] = []
    for same in (True, False):
        rows = [
            _by_hash(_unique(other.examples, set()), query.event_id)
            for other in others
            if (other.pos == query.pos) is same
        ]
        for event in (event for turn in zip_longest(*rows) for event in turn if event is not None):
            if normalised(event.text) not in seen:
                seen.add(normalised(event.text))
                wrong.append(event)
    return wrong


def coherence_items(lexicon: Lexicon, lemmas: Sequence[str], limit: int | None) -> tuple[CoherenceItem, ...]:
    """Up to ``limit`` items, each lemma's first before any lemma's second."""
    return in_turns([_coherence_of(lexicon[lemma]) for lemma in lemmas], limit)


def _coherence_of(senses: Sequence[Sense]) -> Iterator[CoherenceItem]:
    """Pairs of senses that are both seen in a sentence, now and then three; glosses and contexts all differ."""
    seen = [sense for sense in senses if sense.examples]
    lemma = senses[0].lemma
    groups: list[tuple[Sense, ...]] = sorted(combinations(seen, 2), key=lambda pair: _group_key(lemma, pair))
    asked: set[frozenset[str]] = set()
    for number, pair in enumerate(groups[:COHERENCE_PER_LEMMA]):
        third = [sense for sense in seen if sense not in pair]
        wants_three = int(digest("three", lemma, str(number)), 16) % THREE_STEPS_ONE_IN == 0
        group = (*pair, min(third, key=lambda s: _group_key(lemma, (s,)))) if wants_three and third else pair
        item = _coherence_item(lemma, sorted(group, key=lambda sense: _group_key(str(number), (sense,))))
        if item is not None and frozenset(item.sense_ids) not in asked:
            asked.add(frozenset(item.sense_ids))
            yield item


def _coherence_item(lemma: str, group: Sequence[Sense]) -> CoherenceItem | None:
    events = [_by_hash(sense.examples, lemma)[0] for sense in group]
    forms = {
        normalised(text) for sense, event in zip(group, events, strict=True) for text in (sense.gloss.text, event.text)
    }
    if len(forms) < 2 * len(group) or "" in forms:
        return None
    item_id = digest("coherence", *(event.event_id for event in events))
    steps = tuple(CoherenceStep(event, index) for index, event in enumerate(events))
    # the senses are listed in WordNet's order, so that the index of the active one gives nothing away
    listed = sorted(range(len(group)), key=lambda index: group[index].sense_id)
    steps = tuple(structs.replace(step, sense=listed.index(step.sense)) for step in steps)
    return CoherenceItem(
        item_id,
        lemma,
        tuple(group[index].sense_id for index in listed),
        tuple(group[index].gloss.text for index in listed),
        steps,
    )


def with_tiers(items: Sequence[RetrievalItem], texts: EmbeddedTexts) -> tuple[RetrievalItem, ...]:
    """The items with tiers by danger under frozen mean pooling: how far the best wrong candidate is above the right."""
    danger = dangers(
        [encoder_text_of(item.query) for item in items],
        [[encoder_text_of(c.event) for c in item.candidates if c.right] for item in items],
        [[encoder_text_of(c.event) for c in item.candidates if not c.right] for item in items],
        texts,
    )
    return tuple(structs.replace(item, tier=tier) for item, tier in zip(items, tiers_of(danger), strict=True))


def in_turns(rows: Sequence[Iterator[Item]], limit: int | None) -> tuple[Item, ...]:
    """Up to ``limit`` items, the first of every row before the second of any."""
    turns = (item for turn in zip_longest(*rows) for item in turn if item is not None)
    return tuple(turns)[:limit]


def _unique(events: Sequence[UsageEvent], taken: set[str]) -> list[UsageEvent]:
    by_form = {normalised(event.text): event for event in reversed(events)}
    return [event for form, event in reversed(by_form.items()) if form not in taken]


def _by_hash(events: Sequence[UsageEvent], salt: str) -> list[UsageEvent]:
    return sorted(events, key=lambda event: digest("order", salt, event.event_id))


def _group_key(salt: str, group: Sequence[Sense]) -> str:
    return digest("group", salt, *(sense.sense_id for sense in group))
