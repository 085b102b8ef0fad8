"""Makes synthetic contexts: the lemma of a sense replaces its synonym in an example; inflection, case, article kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterator

from msgspec import Struct

from engine.data.records import Pos, UsageEvent
from engine.data.wordnet.database import Synset, WordNet
from engine.data.wordnet.inflection import Inflection
from engine.data.wordnet.morphology import Morphology
from engine.data.wordnet.usage_events import Sense, normalised, usage_event
from engine.data.wordnet.verb_frames import can_replace, slot_after

_ARTICLE = re.compile(r"\b(an?)(\s+)\Z", re.I)
# The article follows the sound, not the spelling: "a unicorn", "a European", "a one-way street", but "an hour",
# "an heir", "an X-ray", "an MP".
_SOUNDS_CONSONANT = re.compile(
    r"(?:uni(?!n|m|dentif|ll|ron|ss)|unanim|us[eaui]|u-|eu|ewe|one(?!r|i)|once|u[rt][aeiou]|ub[io]|uku|ukr|ugand)", re.I
)
_SOUNDS_VOWEL = re.compile(r"(?:hour(?!i)|honest|hono(?!l)|heir|x-|[aeiou])", re.I)
_LETTERS = re.compile(r"[AEFHILMNORSX][A-Z]{0,2}\b")
_SENTENCE_START = re.compile(r"(?:\A|[.!?:]\s)[\s\"'`(]*\Z")
_NEXT_WORD = re.compile(r"\s+([a-z]+)")
_OBJECTS = frozenset({"me", "you", "him", "her", "it", "us", "them"})
_PREPOSITIONS = frozenset(
    {"to", "of", "at", "on", "in", "for", "with", "from", "into", "about", "against", "upon", "by"}
)
_PARTICLES = frozenset({"up", "out", "off", "down", "away", "back", "over", "apart", "together", "around"})


class Synthetic(Struct, frozen=True):
    """A synthetic usage event, the text of the example it was made from, and encoder texts of its sibling senses."""

    event: UsageEvent
    original: str
    siblings: tuple[str, ...] = ()


class Substitution:
    """Makes synthetic contexts by synonym substitution with one WordNet."""

    def __init__(self, wordnet: WordNet) -> None:
        self._wordnet = wordnet
        self._morphology = Morphology(wordnet)
        self._inflection = Inflection(wordnet, self._morphology)

    def synthetics(self, sense: Sense, forbidden: Container[str], excluded: Counter[str]) -> Iterator[Synthetic]:
        """Synthetic contexts of a sense, in the order of its synset's examples and synonyms.

        Args:
            sense: the sense whose lemma is put in.
            forbidden: normal forms that neither an original nor a result may have.
            excluded: the count, by reason, of examples that gave nothing is added here.
        """
        synset = self._wordnet.synsets[sense.synset]
        spelled = next((lemma for lemma in synset.lemmas if lemma.lower() == sense.lemma), sense.lemma)
        own = {event.text for event in sense.examples}
        made = {normalised(text) for text in own}
        for text in synset.examples:
            if text in own or normalised(text) in forbidden:
                continue
            result = self._substitute(sense, spelled, synset, text)
            if isinstance(result, str):
                excluded[result] += 1
            elif (form := normalised(result.text)) in made or form in forbidden or form == normalised(text):
                excluded["same text"] += 1
            else:
                made.add(form)
                yield Synthetic(result, text)

    def _substitute(self, sense: Sense, spelled: str, synset: Synset, text: str) -> UsageEvent | str:
        """The event, or the reason why there is none."""
        spans = [
            (synonym, span) for synonym in synset.lemmas if (span := self._morphology.find(synonym, sense.pos, text))
        ]
        if not spans:
            return "no synonym in the example"
        synonym, (start, end) = min(spans, key=lambda found: _rank(found[0], text[slice(*found[1])]))
        if text[start - 1 : start] == "-" or text[end : end + 1] == "-":
            return "part of a compound"
        is_name = text[start].isupper() and synonym[0].islower() and not _SENTENCE_START.search(text[:start])
        if is_name or spelled.endswith("."):
            return "part of a name or an abbreviation"
        marker = dict(zip(synset.lemmas, synset.markers, strict=True))
        if marker[spelled] not in ("", marker[synonym]):
            return "an adjective out of its place"
        if sense.pos == "v" and not _fits(spelled, synonym, text[end:]):
            return "a verb that wants other words around it"
        if sense.pos == "v" and not self._takes_the_same(sense, spelled, synset, synonym, text, (start, end)):
            return "a verb that takes no such object or preposition"
        replacement = self._inflected(spelled, synonym, sense.pos, text, (start, end))
        if replacement is None:
            return "inflection unclear"
        if text[start].isupper() and not synonym[0].isupper():
            replacement = replacement[0].upper() + replacement[1:]
        before = _with_article(text[:start], replacement)
        span = (len(before), len(before) + len(replacement))
        return usage_event(sense.lemma, sense.pos, sense.sense_id, before + replacement + text[end:], span, "synthetic")

    def _takes_the_same(
        self, sense: Sense, spelled: str, synset: Synset, synonym: str, text: str, span: tuple[int, int]
    ) -> bool:
        """Whether the verb ``spelled`` takes the object or preposition after ``synonym`` in ``text``, by its frames."""
        slot = slot_after(text[: span[0]], text[slice(*span)], text[span[1] :])
        if slot is None:
            return True
        frames = dict(zip(synset.lemmas, synset.frames, strict=True))
        others = [
            self._wordnet.synsets[name] for name in self._wordnet.senses[sense.lemma, "v"] if name != sense.synset
        ]
        elsewhere = [
            taken
            for other in others
            for lemma, taken in zip(other.lemmas, other.frames, strict=True)
            if lemma.lower() == sense.lemma
        ]
        return can_replace(
            slot,
            frames[spelled],
            frames[synonym],
            frozenset().union(*elsewhere) if elsewhere else None,
            phrase_to_word=" " in synonym and " " not in spelled,
        )

    def _inflected(self, lemma: str, synonym: str, pos: Pos, text: str, span: tuple[int, int]) -> str | None:
        """``lemma`` inflected like the synonym in the text; None where the form is unclear or does not exist."""
        form = self._inflection.form_of(text[slice(*span)], synonym, pos, text[: span[0]])
        if form is None:
            return None
        if pos == "n":
            is_plural = form == "s" or self._inflection.is_plural(synonym)
            if self._inflection.is_plural(lemma):
                return lemma if is_plural else None
            if is_plural and form == "base":
                return None
        return self._inflection.inflect(lemma, pos, form)


def _fits(verb: str, synonym: str, after: str) -> bool:
    """Whether ``verb`` can replace ``synonym`` before ``after``, judged by particles and prepositions.

    It cannot if a preposition is doubled (*come to* to her talk), remains from the synonym (line up of these tools, from
    *get hold* of), or if a pronoun follows a particle (*call up* me).
    """
    found = _NEXT_WORD.match(after)
    following, last = found.group(1) if found else "", verb.rsplit(" ", maxsplit=1)[-1]
    if " " in verb:
        doubled = following == last or (last in _PREPOSITIONS and following in _PREPOSITIONS)
        return not doubled and not (last in _PARTICLES and following in _OBJECTS)
    return not (" " in synonym and following in _PREPOSITIONS)


def _rank(synonym: str, surface: str) -> tuple[int, bool]:
    """Sort key of the synonym to replace: *take away* before the *take* inside it, plain before inflected."""
    return -len(synonym.split()), surface.lower() != synonym.lower()


def _with_article(before: str, word: str) -> str:
    """``before`` with its final *a* or *an* adapted to the sound of ``word``."""
    found = _ARTICLE.search(before)
    if found is None:
        return before
    vowel = bool(_LETTERS.match(word) or (_SOUNDS_VOWEL.match(word) and not _SOUNDS_CONSONANT.match(word)))
    article = found.group(1)[0] + ("n" if vowel else "")
    return before[: found.start()] + article + found.group(2)
