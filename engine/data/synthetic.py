"""Synthetic contexts: a sense's lemma put into an example of its synonym, inflection, capital and article kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterator

from msgspec import Struct

from engine.data.inflection import Inflection
from engine.data.morphology import Morphology
from engine.data.records import UsageEvent
from engine.data.usage_events import Sense, normalised, usage_event
from engine.data.wordnet import WordNet

_ARTICLE = re.compile(r"\b(an?)(\s+)\Z", re.I)
# Spelling is not sound: "a unicorn", "a European", "a one-way street", but "an hour", "an heir".
_SOUNDS_CONSONANT = re.compile(r"(?:uni(?!n|m)|us[eaui]|eu|ewe|one|once|u[rt][aeiou]|ub[io]|uku)", re.I)
_SOUNDS_VOWEL = re.compile(r"(?:hour|honest|hono|heir|[aeiou])", re.I)


class Synthetic(Struct, frozen=True):
    """A synthetic usage event and the example it was made from."""

    event: UsageEvent
    original: str


class Substitution:
    """Makes synthetic contexts from one WordNet."""

    def __init__(self, wordnet: WordNet) -> None:
        self._wordnet = wordnet
        self._morphology = Morphology(wordnet)
        self._inflection = Inflection(wordnet, self._morphology)

    def synthetics(self, sense: Sense, forbidden: Container[str], refused: Counter[str]) -> Iterator[Synthetic]:
        """Synthetic contexts of a sense, in the order of its synset's examples and synonyms.

        Args:
            sense: of the lemma to put in.
            forbidden: normal forms that neither an original nor a result may have.
            refused: counts, by reason, the examples that gave nothing; added to.
        """
        synset = self._wordnet.synsets[sense.synset]
        spelled = next((lemma for lemma in synset.lemmas if lemma.lower() == sense.lemma), sense.lemma)
        own = {event.text for event in sense.examples}
        made = {normalised(text) for text in own}
        for text in synset.examples:
            if text in own or normalised(text) in forbidden:
                continue
            result = self._substitute(sense, spelled, synset.lemmas, text)
            if isinstance(result, str):
                refused[result] += 1
            elif (form := normalised(result.text)) in made or form in forbidden or form == normalised(text):
                refused["same text"] += 1
            else:
                made.add(form)
                yield Synthetic(result, text)

    def _substitute(self, sense: Sense, spelled: str, synonyms: tuple[str, ...], text: str) -> UsageEvent | str:
        """The event, or why there is none."""
        spans = [(synonym, span) for synonym in synonyms if (span := self._morphology.find(synonym, sense.pos, text))]
        if not spans:
            return "no synonym in the example"
        synonym, (start, end) = min(spans, key=lambda found: _rank(found[0], text[slice(*found[1])]))
        if text[start - 1 : start] == "-" or text[end : end + 1] == "-":
            return "part of a compound"
        form = self._inflection.form_of(text[start:end], synonym, sense.pos, text[:start])
        replacement = self._inflection.inflect(spelled, sense.pos, form) if form else None
        if replacement is None:
            return "inflection unclear"
        if text[start].isupper() and not synonym[0].isupper():
            replacement = replacement[0].upper() + replacement[1:]
        before = _with_article(text[:start], replacement)
        span = (len(before), len(before) + len(replacement))
        return usage_event(sense.lemma, sense.pos, sense.sense_id, before + replacement + text[end:], span, "synthetic")


def _rank(synonym: str, surface: str) -> tuple[int, bool]:
    """Which synonym of a sentence is the one meant: *take away* before the *take* inside it, plain before inflected."""
    return -len(synonym.split()), surface.lower() != synonym.lower()


def _with_article(before: str, word: str) -> str:
    """``before`` with an a or an at its end made to suit the sound of ``word``."""
    found = _ARTICLE.search(before)
    if found is None:
        return before
    vowel = bool(_SOUNDS_VOWEL.match(word)) and not _SOUNDS_CONSONANT.match(word)
    article = found.group(1)[0] + ("n" if vowel else "")
    return before[: found.start()] + article + found.group(2)
