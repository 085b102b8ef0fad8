"""Usage events of WordNet: example sentences that contain a lemma in a known sense, and the glosses of its senses."""

from __future__ import annotations

import hashlib
import re

from msgspec import Struct

from engine.data.records import Pos, Source, UsageEvent
from engine.data.wordnet.database import Synset, WordNet
from engine.data.wordnet.morphology import Morphology

# As users' sense ids spell it: wn:dry.adj.dry.s.10, wn:sky.v.flip.v.06.
_LABEL: dict[Pos, str] = {"n": "n", "v": "v", "a": "adj", "r": "adv"}
_NOT_WORD = re.compile(r"[\W_]+")


class Sense(Struct, frozen=True, gc=False):
    """One sense of one lemma: its synset, its gloss, and the examples that contain the lemma (none for most senses)."""

    sense_id: str
    lemma: str
    pos: Pos
    synset: str
    gloss: UsageEvent
    examples: tuple[UsageEvent, ...]


Lexicon = dict[str, tuple[Sense, ...]]
"""Every lemma (lower case, with spaces) with its senses: nouns, verbs, adjectives, adverbs; the commonest first."""


def read_lexicon(wordnet: WordNet) -> Lexicon:
    """All senses of all lemmas with their usage events, in WordNet's order; deterministic."""
    morphology = Morphology(wordnet)
    lexicon: dict[str, list[Sense]] = {}
    for (lemma, pos), names in wordnet.senses.items():
        senses = lexicon.setdefault(lemma, [])
        senses.extend(_sense(lemma, pos, wordnet.synsets[name], morphology) for name in dict.fromkeys(names))
    return {lemma: tuple(senses) for lemma, senses in lexicon.items()}


def _sense(lemma: str, pos: Pos, synset: Synset, morphology: Morphology) -> Sense:
    sense_id = sense_id_of(lemma, pos, synset.name)
    gloss = usage_event(lemma, pos, sense_id, synset.definition, (0, 0), "gloss")
    examples = tuple(
        usage_event(lemma, pos, sense_id, text, span, "example")
        for text in synset.examples
        if (span := morphology.find(lemma, pos, text))
    )
    return Sense(sense_id, lemma, pos, synset.name, gloss, examples)


def sense_id_of(lemma: str, pos: Pos, synset: str) -> str:
    """``wn:<lemma>.<pos>.<synset>``, such as ``wn:sky.v.flip.v.06`` or ``wn:dry.adj.dry.s.10``."""
    return f"wn:{lemma.replace(' ', '_')}.{_LABEL[pos]}.{synset}"


def synset_of(event: UsageEvent) -> str:
    """The name of the synset in an event's sense id."""
    return event.sense_id[len(sense_id_of(event.lemma, event.pos, "")) :]


def usage_event(lemma: str, pos: Pos, sense_id: str, text: str, span: tuple[int, int], source: Source) -> UsageEvent:
    """An event whose id is a hash of its content."""
    start, end = span
    event_id = digest("event", sense_id, text, str(start), str(end), source)
    return UsageEvent(event_id, lemma, pos, sense_id, text, start, end, source)


def digest(*parts: str) -> str:
    """16 hex digits of SHA-256 over ``parts``: a content id and a reproducible source of random order."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


def normalised(text: str) -> str:
    """Letters and digits only, case folded: two texts with the same normal form are the same text to the leakage check."""
    return _NOT_WORD.sub("", text.casefold())


def text_key(text: str) -> str:
    """The key under which two texts count as equal: their normal form, or all of a text without letters and digits."""
    return normalised(text) or text
