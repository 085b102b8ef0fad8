"""What training must not show: the texts of the evaluation and all that nearly copies them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from engine.data.bundles.encoder_text import definitions_of, encoder_text_of
from engine.data.leakage.near_copies import near_copies
from engine.data.records import AttentionProbe, CoherenceItem, RetrievalItem, UsageEvent
from engine.data.wordnet.usage_events import Lexicon, normalised


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

    def encoder_texts(self) -> Iterator[str]:
        """Every text as the encoder reads it, with repetitions."""
        yield from map(encoder_text_of, self.events())
        for item in self.coherence:
            yield from definitions_of(item)


class HeldOut:
    """Held-out texts by their normal forms; near-copies are looked for where they are asked about, and then known too."""

    def __init__(self, evaluation: Iterable[str]) -> None:
        self._evaluation = sorted(evaluation)
        self.forms = {normalised(text) for text in self._evaluation}
        self.near_copies: set[str] = set()

    def __contains__(self, form: object) -> bool:
        return form in self.forms or form in self.near_copies

    def add(self, texts: Iterable[str]) -> None:
        """Hold out ``texts`` as they are, without what is like them."""
        self.forms |= {normalised(text) for text in texts}

    def copies_among(self, texts: Iterable[str]) -> set[str]:
        """Those of ``texts`` that nearly copy a text of the evaluation; they are held out from now on."""
        found = set(near_copies(texts, self._evaluation))
        self.near_copies |= {normalised(text) for text in found} - self.forms
        return found

    def hit(self, lexicon: Lexicon, lemmas: Sequence[str]) -> set[str]:
        """Those of ``lemmas`` of which an example or a gloss is now held out as a near-copy."""
        owners: dict[str, set[str]] = {}
        for lemma in lemmas:
            for sense in lexicon[lemma]:
                for event in (sense.gloss, *sense.examples):
                    if normalised(event.text) not in self:
                        owners.setdefault(event.text, set()).add(lemma)
        return {lemma for text in self.copies_among(owners) for lemma in owners[text]}
