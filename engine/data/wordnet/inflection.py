"""Inflects a lemma like the surface form of a synonym: *cars* -> *autos*, *ran* -> *operated*, *biggest* -> *largest*."""

from __future__ import annotations

import re
from typing import Literal

from engine.data.records import Pos
from engine.data.wordnet.database import WordNet
from engine.data.wordnet.morphology import Morphology

Form = Literal["base", "s", "ing", "past", "participle", "er", "est"]

# A form that may be past tense or participle is a participle after these words.
_BEFORE_PARTICIPLE = re.compile(
    r"\b(?:have|has|had|having|be|been|being|is|are|was|were|am|get|gets|got|by|'ve|'d|n't"
    r"|a|an|the|my|your|his|her|its|our|their)\s+(?:\w+ly\s+)?\Z",
    re.I,
)
# Verbs whose past or participle equals the base: "they hit it" may be either, so a base form is certain only after a
# word that requires it.
_SAME_PAST = re.compile(
    "beat|become|bet|bid|burst|cast|come|cost|cut|hit|hurt|knit|let|put|quit|read|rid|run|set|shed|shut|slit|split"
    "|spread|thrust|upset|wed|wet"
)
_BEFORE_BASE = re.compile(
    r"(?:\A|\b(?:to|will|would|can|could|shall|should|may|might|must|do|does|did|don't|doesn't|didn't|can't|won't|let's"
    r"|please)\s+(?:\w+ly\s+)?)\Z",
    re.I,
)
# "at the meeting" has a noun, although the example may be listed under a verb.
_BEFORE_NOUN = re.compile(r"\b(?:a|an|the)\s+\Z", re.I)
_PARTICIPLE = re.compile(r"(?:en|wn|rne?|ain|[gd]one)\Z")
_VOWELS = "aeiou"
_NOT_HEAD = frozenset({"of", "in", "to", "at", "on", "for", "by", "with", "from"})
# addrest, curst, gript: archaic forms that WordNet lists
_ARCHAIC = re.compile(r"(?:ss|x|ip|rse)\Z")
_BE = frozenset({"be", "am", "is", "are", "was", "were", "been", "being"})


class Inflection:
    """Inflects lemmas by WordNet's exception lists in reverse, else by the regular spelling rules."""

    def __init__(self, wordnet: WordNet, morphology: Morphology) -> None:
        self._morphology = morphology
        self._senses = wordnet.senses
        self._irregular: dict[Pos, dict[str, tuple[str, ...]]] = {pos: {} for pos in wordnet.exceptions}
        for pos, table in wordnet.exceptions.items():
            for surface, bases in table.items():
                for base in bases:
                    known = self._irregular[pos].get(base, ())
                    if surface != base and not (pos == "v" and surface.endswith("t") and _ARCHAIC.search(base)):
                        self._irregular[pos][base] = (*known, surface)

    def is_plural(self, noun: str) -> bool:
        """Whether a noun's lemma is itself a plural, such as *earnings* or *knickers*."""
        word = noun.split(" ")[self._head(noun.split(" "), "n")].lower()
        if not word.endswith("s") or word.endswith(("ss", "us", "is")) or len(word) < 4:
            return False
        known = any((base, "n") in self._senses for base in self._morphology.bases(word, "n"))
        return known or word.endswith(("ings", "ers"))

    def form_of(self, surface: str, lemma: str, pos: Pos, before: str) -> Form | None:
        """The form of ``lemma`` that ``surface`` is; ``before`` is the text in front of it; None if it is unclear."""
        pair = self._changed_word(surface.lower(), lemma.lower())
        if pair is None:
            return None
        word, base = pair
        if word == base:
            return None if pos == "v" and _SAME_PAST.fullmatch(base) and not _BEFORE_BASE.search(before) else "base"
        if pos == "n":
            return "s"
        if pos == "a":
            return "est" if word.endswith("st") else "er" if word.endswith("r") else None
        if pos == "v":
            return self._verb_form(word, base, before)
        return None

    def _verb_form(self, word: str, base: str, before: str) -> Form | None:
        if base in _BE or word in _BE:
            return None
        if word.endswith("ing"):
            return None if _BEFORE_NOUN.search(before) else "ing"
        if word.endswith("s") and word not in self._irregular["v"].get(base, ()):
            return "s"
        _, participles = _pasts_and_participles(self._irregular["v"].get(base, ()))
        return "participle" if _BEFORE_PARTICIPLE.search(before) or participles == (word,) else "past"

    def _changed_word(self, surface: str, lemma: str) -> tuple[str, str] | None:
        """The first word of a surface that differs from its lemma's, and the lemma's; the first words if none differs."""
        words, bases = re.findall(r"[^\W_]+", surface), re.findall(r"[^\W_]+", lemma)
        if not words or len(words) != len(bases):
            return None
        changed = [(word, base) for word, base in zip(words, bases, strict=True) if word != base]
        return changed[0] if changed else (words[0], bases[0])

    def inflect(self, lemma: str, pos: Pos, form: Form) -> str | None:
        """``lemma`` inflected, or None where no rule is certain; of a multi-word lemma the head is inflected."""
        if form == "base":
            return lemma
        words = lemma.split(" ")
        head = self._head(words, pos)
        if pos == "n" and ("and" in words or words[head].endswith("ness")):
            return None
        if not re.fullmatch(r"[A-Za-z'-]*[A-Za-z]", words[head]) or words[head].lower() in _BE:
            return None
        inflected = self._word(words[head], pos, form)
        return None if inflected is None else " ".join([*words[:head], inflected, *words[head + 1 :]])

    @staticmethod
    def _head(words: list[str], pos: Pos) -> int:
        """Index of the head word: the first of a verb; the last of a noun, or the one before a preposition (*man of letters*)."""
        if pos != "n":
            return 0
        stops = [index for index, word in enumerate(words) if index and word in _NOT_HEAD]
        return (stops[0] if stops else len(words)) - 1

    def _word(self, word: str, pos: Pos, form: Form) -> str | None:
        known = self._irregular[pos].get(word, ())
        if pos == "n":
            return known[0] if known else word[:-3] + "men" if word.endswith("man") else _with_s(word)
        if pos == "a":
            # regular comparatives and superlatives are not built, because many adjectives have none
            return next((surface for surface in known if surface.endswith("st" if form == "est" else "r")), None)
        if form == "s":
            return {"have": "has", "do": "does", "go": "goes"}.get(word) or _with_s(word)
        if form == "ing":
            return next((surface for surface in known if surface.endswith("ing")), None) or _with_ing(word)
        return _past(word, form, known)


def _with_s(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in _VOWELS:
        return word[:-1] + "ies"
    return word + "es" if word.endswith("o") and word in ("go", "do", "echo", "veto", "hero", "potato") else word + "s"


def _with_ing(word: str) -> str:
    if word.endswith("ie"):
        return word[:-2] + "ying"
    if word.endswith("e") and not word.endswith(("ee", "oe", "ye")):
        return word[:-1] + "ing"
    return word + "ing"


def _past(word: str, form: Form, known: tuple[str, ...]) -> str | None:
    """The past tense or participle, irregular if listed; None where the lists do not distinguish the two."""
    pasts, participles = _pasts_and_participles(known)
    if form == "participle" and word.endswith(("run", "come")):
        return word
    if not pasts and not participles:
        if _SAME_PAST.fullmatch(word):
            return word
        if word.endswith("e"):
            return word + "d"
        return word[:-1] + "ied" if word.endswith("y") and word[-2:-1] not in _VOWELS else word + "ed"
    chosen = participles or pasts if form == "participle" else pasts
    return chosen[0] if len(chosen) == 1 else None


def _pasts_and_participles(known: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The irregular forms that are past tense, and those that are participles only: *took, taken*; *sang, sung*; *ran*."""
    forms = tuple(surface for surface in known if not surface.endswith(("ing", "s")))
    participles = tuple(surface for surface in forms if _PARTICIPLE.search(surface))
    if not participles and len(forms) > 1:
        participles = tuple(surface for surface in forms if "u" in surface and surface.replace("u", "a") in forms)
    return tuple(surface for surface in forms if surface not in participles), participles
