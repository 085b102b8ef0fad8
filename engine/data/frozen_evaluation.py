"""The frozen evaluation as a whole: what of it training must never show."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from engine.data.reading import definitions_of, reading_of
from engine.data.records import AttentionProbe, CoherenceItem, RetrievalItem, UsageEvent


class FrozenEvaluation(Struct, frozen=True):
    """Retrieval items, coherence items and attention probes of held-out lemmas."""

    retrieval: tuple[RetrievalItem, ...]
    coherence: tuple[CoherenceItem, ...]
    probes: tuple[AttentionProbe, ...]

    def lemmas(self) -> set[str]:
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
        """Every text as it stands in the data, glosses without their words."""
        return {*(event.text for event in self.events()), *(gloss for item in self.coherence for gloss in item.glosses)}

    def readings(self) -> Iterator[str]:
        """Every text as the encoder reads it, with repetitions."""
        yield from map(reading_of, self.events())
        for item in self.coherence:
            yield from definitions_of(item)
