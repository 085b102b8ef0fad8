"""Inflects a lemma like the surface form of another: *cars* -> *autos*, *ran* -> *operated*, *biggest* -> *largest*."""

from __future__ import annotations

import re
from typing import Literal

from engine.data.morphology import Morphology
from engine.data.records import Pos
from engine.data.wordnet import WordNet

Form = Literal["base", "s", "ing", "past", "participle", "er", "est"]

_AFTER = re.compile(r"\b(?:have|has|had|having|be|been|being|is|are|was|were|am|get|gets|got|by|'ve|'d|n't)\s+(?:\w+ly\s+)?\Z", re.I)
# Verbs whose past is their base: "he hit it" is told from "I hit it" only by luck, so a base needs a word that asks for it.
_SAME_PAST = frozenset(
    "beat become bet bid burst cast come cost cut hit hurt knit let put quit read rid run set shed shut slit split spread"
    " thrust upset wed wet".split()
)
_BASE_AFTER = re.compile(
    r"(?:\A|\b(?:to|will|would|can|could|shall|should|may|might|must|do|does|did|don't|doesn't|didn't|can't|won't|let's|please)"
    r"\s+(?:\w+ly\s+)?)\Z",
    re.I,
)
_VOWELS = "aeiou"
_NOT_HEAD = frozenset("of in to at on for by with from and".split())
_BE = frozenset("be am is are was were been being".split())


class Inflection:
    """Inflects by WordNet's exception lists read backwards, else by the regular spelling rules."""

    def __init__(self, wordnet: WordNet, morphology: Morphology) -> None:
        self._morphology = morphology
        self._irregular: dict[Pos, dict[str, tuple[str, ...]]] = {pos: {} for pos in wordnet.exceptions}
        for pos, table in wordnet.exceptions.items():
            for surface, bases in table.items():
                for base in bases:
                    known = self._irregular[pos].get(base, ())
                    if surface != base:
                        self._irregular[pos][base] = (*known, surface)

    def form_of(self, surface: str, lemma: str, pos: Pos, before: str) -> Form | None:
        """Which form of ``lemma`` the surface is, ``before`` being the text in front of it; None if it is unclear."""
        pair = self._changed_word(surface.lower(), lemma.lower())
        if pair is None:
            return None
        word, base = pair
        if word == base:
            return None if pos == "v" and base in _SAME_PAST and not _BASE_AFTER.search(before) else "base"
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
            return "ing"
        if word.endswith("s") and word not in self._irregular["v"].get(base, ()):
            return "s"
        return "participle" if _AFTER.search(before) or self._is_only_participle(word, base) else "past"

    def _is_only_participle(self, word: str, base: str) -> bool:
        return word.endswith("n") and word in self._irregular["v"].get(base, ())

    def _changed_word(self, surface: str, lemma: str) -> tuple[str, str] | None:
        """The word of a surface that differs from its lemma's, with the lemma's; the head words if none differs."""
        words, bases = re.findall(r"[^\W_]+", surface), re.findall(r"[^\W_]+", lemma)
        if not words or len(words) != len(bases):
            return None
        changed = [(word, base) for word, base in zip(words, bases, strict=True) if word != base]
        return changed[0] if changed else (words[0], bases[0])

    def inflect(self, lemma: str, pos: Pos, form: Form) -> str | None:
        """``lemma`` in a form, or None where no rule is sure; of several words the head is inflected."""
        if form == "base":
            return lemma
        words = lemma.split(" ")
        head = self._head(words, pos)
        if not re.fullmatch(r"[A-Za-z'-]*[A-Za-z]", words[head]) or words[head].lower() in _BE:
            return None
        inflected = self._word(words[head], pos, form)
        return None if inflected is None else " ".join([*words[:head], inflected, *words[head + 1 :]])

    @staticmethod
    def _head(words: list[str], pos: Pos) -> int:
        """A verb leads its phrase; a noun ends it, or stands before the first preposition (*man of letters*)."""
        if pos != "n":
            return 0
        stops = [place for place, word in enumerate(words) if place and word in _NOT_HEAD]
        return (stops[0] if stops else len(words)) - 1

    def _word(self, word: str, pos: Pos, form: Form) -> str | None:
        known = self._irregular[pos].get(word, ())
        if pos == "n":
            return known[0] if known else word[:-3] + "men" if word.endswith("man") else _with_s(word)
        if pos == "a":
            return _compared(word, form, known)
        if form == "s":
            return {"have": "has", "do": "does", "go": "goes"}.get(word) or _with_s(word)
        if form == "ing":
            return next((surface for surface in known if surface.endswith("ing")), None) or _with_ing(word)
        return _past(word, form, tuple(surface for surface in known if not surface.endswith(("ing", "s"))))


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
    """The past tense or participle: the irregular one if there is one; None where the lists do not say which it is."""
    if not known:
        if word.endswith("e"):
            return word + "d"
        return word[:-1] + "ied" if word.endswith("y") and word[-2:-1] not in _VOWELS else word + "ed"
    if len(known) == 1:
        return known[0]
    participles = [surface for surface in known if surface.endswith(("n", "ne"))]
    pasts = [surface for surface in known if surface not in participles]
    chosen = participles if form == "participle" else pasts
    return chosen[0] if len(chosen) == 1 else None


def _compared(word: str, form: Form, known: tuple[str, ...]) -> str | None:
    listed = [surface for surface in known if surface.endswith("st" if form == "est" else "r")]
    if listed:
        return listed[0]
    return None
