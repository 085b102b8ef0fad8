"""Attention probes: contexts of held-out lemmas in which WordNet itself says which words carry the sense."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.data.cues import Cues
from engine.data.evaluation_items import in_turns
from engine.data.records import AttentionProbe
from engine.data.usage_events import Lexicon, Sense, digest, normalised

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
