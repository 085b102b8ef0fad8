"""What the encoder reads: a sentence as it stands, a definition with the word it defines before it.

A definition does not say which word it is of; on development lemmas, saying so gained four points of coherence under
frozen mean pooling.
"""

from __future__ import annotations

from engine.data.dataset_files import events_of_dataset
from engine.data.records import CoherenceItem, Dataset, UsageEvent


def reading_of(event: UsageEvent) -> str:
    """The text that stands for ``event`` before the encoder; its span is of the event's own text."""
    return definition(event.lemma, event.text) if event.source == "gloss" else event.text


def definition(lemma: str, gloss: str) -> str:
    return f"{lemma}: {gloss}"


def definitions_of(item: CoherenceItem) -> list[str]:
    """The readings of an item's glosses, in their order."""
    return [definition(item.lemma, gloss) for gloss in item.glosses]


def readings_of(dataset: Dataset) -> tuple[str, ...]:
    """Every text that a run over ``dataset`` reads, once, sorted."""
    glosses = (text for item in dataset.coherence for text in definitions_of(item))
    return tuple(sorted({*map(reading_of, events_of_dataset(dataset)), *glosses}))
