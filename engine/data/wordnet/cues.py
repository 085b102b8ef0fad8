"""Finds cue words: words of a context that indicate the sense of its target, judged by WordNet's description of the sense."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from engine.data.records import Pos, UsageEvent
from engine.data.wordnet.database import WordNet
from engine.data.wordnet.morphology import Morphology
from engine.data.wordnet.usage_events import Sense


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTION_WORDS = _words(
    """
    a about above across after again against ago all almost along already also although always am among an and any
    anybody anyone anything are around as at away back be became because become becomes been before being below between
    both but by came can cannot come comes could did do does doing done down during each either else enough even ever
    every everybody everyone everything few for from further gave get gets getting give given gives go goes going gone
    got had has have having he her here hers herself him himself his how however i if in into is it its itself just keep
    kept less let like made make makes making many may me might mine more most much must my myself near need neither
    never no nobody none nor not nothing now of off often on once one only onto or other others our ours ourselves out
    over own perhaps put quite rather same seem seemed seems shall she should since so some somebody someone something
    sometimes soon still such take taken takes taking than that the their theirs them themselves then there these they
    this those though three through thus to together too took toward towards two under until up upon us use used using
    usually very was way we well went were what whatever when where whether which while who whole whom whose why will
    with within without would yet you your yours yourself
    """
)
"""Closed classes, and verbs so general that they occur beside every sense."""

DEFINING_WORDS = _words(
    """
    act acting action activity cause certain characteristic characterized consisting containing especially etc form
    generally group kind lacking large manner marked member new number part particular people person piece place quality
    relating resembling several small sort specific specified state thing things time type unit various
    """
)
"""Words that definitions of all kinds use."""

_WORD = re.compile(r"[^\W\d_]+")
_SHORTEST = 3
_POS: tuple[Pos, ...] = ("n", "v", "a", "r")


class Cues:
    """Finds cue words with one WordNet."""

    def __init__(self, wordnet: WordNet) -> None:
        self._wordnet = wordnet
        self._morphology = Morphology(wordnet)
        self._bases = lru_cache(maxsize=100_000)(self._bases_of)
        self._described = lru_cache(maxsize=10_000)(self._description_bases)

    def find(self, event: UsageEvent, senses: Sequence[Sense]) -> tuple[str, ...]:
        """The cue words of an example, spelled as in its text, each once and in order.

        A cue is a content word that shares a base form with WordNet's description of the sense (its gloss, synonyms, and
        the lemmas of the synsets it points to) and none with the description of another sense of the lemma. Neither the
        target word nor a word that a hyphen joins to it is a cue.

        Args:
            event: an example of one of ``senses``.
            senses: all senses of its lemma.
        """
        own = next(sense for sense in senses if sense.sense_id == event.sense_id)
        described = self._described(own.synset)
        elsewhere = frozenset[str]().union(*(self._described(other.synset) for other in senses if other is not own))
        target = self._bases_in((event.lemma, event.text[event.start : event.end]))
        cues = []
        for word in _WORD.finditer(event.text):
            bases = self._bases(word.group())
            if _is_separate(word, event) and bases & described and not bases & (elsewhere | target):
                cues.append(word.group())
        return tuple(dict.fromkeys(cues))

    def _description_bases(self, name: str) -> frozenset[str]:
        """The base forms in a synset's gloss, its lemmas, and the lemmas of the synsets it points to."""
        synset = self._wordnet.synsets[name]
        near = (lemma for related in synset.related for lemma in self._wordnet.synsets[related].lemmas)
        return self._bases_in((synset.definition, *synset.lemmas, *near))

    def _bases_in(self, texts: Iterable[str]) -> frozenset[str]:
        return frozenset(base for text in texts for word in _WORD.findall(text) for base in self._bases(word))

    def _bases_of(self, word: str) -> frozenset[str]:
        """The base forms of a content word that WordNet knows; empty for any other word."""
        form = word.lower()
        if len(form) < _SHORTEST or form in FUNCTION_WORDS or form in DEFINING_WORDS:
            return frozenset()
        found = ((base, pos) for pos in _POS for base in (form, *self._morphology.bases(form, pos)))
        bases = frozenset(base for base, pos in found if (base, pos) in self._wordnet.senses)
        return bases - FUNCTION_WORDS - DEFINING_WORDS


def _is_separate(word: re.Match[str], event: UsageEvent) -> bool:
    """Whether a word is before or after the target, with more than a hyphen between them."""
    return (word.end() <= event.start and event.text[word.end() : event.start] != "-") or (
        word.start() >= event.end and event.text[event.end : word.start()] != "-"
    )
