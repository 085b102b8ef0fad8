"""Morphology (WordNet's morphy): base forms of inflected words, and occurrences of a lemma in a sentence."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from engine.data.records import Pos
from engine.data.wordnet.database import WordNet

# Source: WordNet's morphy(7WN); "ves" -> "f" is the usual addition for thieves and wolves' regular cousins.
DETACHMENTS: dict[Pos, tuple[tuple[str, str], ...]] = {
    "n": (
        ("s", ""),
        ("ses", "s"),
        ("ves", "f"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
    ),
    "v": (("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    "a": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "r": (),
}
_WORD = re.compile(r"[^\W_]+")
_GAP = re.compile(r"[\s\-'’./]{1,3}\Z")
_ODD = re.compile(r"[^\w\s\-'’./]")


class Morphology:
    """Base forms and occurrences of lemmas, with the exception lists of one WordNet."""

    def __init__(self, wordnet: WordNet) -> None:
        self._exceptions = wordnet.exceptions
        self.bases = lru_cache(maxsize=200_000)(self._bases)

    def _bases(self, surface: str, pos: Pos) -> tuple[str, ...]:
        """Possible base forms of ``surface`` (any case), irregular ones first; they need not be lemmas of WordNet."""
        word = surface.lower()
        found = list(self._exceptions[pos].get(word, ()))
        if pos == "n" and word.endswith("ful"):
            return (*found, *(f"{base}ful" for base in self._bases(word.removesuffix("ful"), pos)))
        for suffix, ending in DETACHMENTS[pos]:
            stem = word.removesuffix(suffix)
            if stem != word and len(stem) + len(ending) > 1:
                found.append(stem + ending)
        return tuple(dict.fromkeys(found))

    def find(self, lemma: str, pos: Pos, sentence: str) -> tuple[int, int] | None:
        """The span ``[start, end)`` in characters of ``lemma`` or an inflection of it in ``sentence``; None if absent.

        Case does not matter. The words of a multi-word lemma may be separated by spaces, hyphens or apostrophes, and one
        of them may be inflected. An exact occurrence is preferred to an inflected one, then a free-standing one to a
        part of a hyphenated word, then the first one.
        """
        if _ODD.search(lemma):
            start = sentence.lower().find(lemma.lower())
            return None if start < 0 else (start, start + len(lemma))
        parts = [part.lower() for part in _WORD.findall(lemma)]
        words = list(_WORD.finditer(sentence))
        best: tuple[bool, bool, int, int] | None = None
        for first in range(len(words) - len(parts) + 1):
            window = words[first : first + len(parts)]
            inflected = self._inflections(parts, window, pos)
            gaps = (sentence[left.end() : right.start()] for left, right in pairwise(window))
            if inflected is None or not all(map(_GAP.match, gaps)):
                continue
            start, end = window[0].start(), window[-1].end()
            if lemma.endswith(".") and sentence[end : end + 1] == ".":
                end += 1
            in_compound = sentence[start - 1 : start] == "-" or sentence[end : end + 1] == "-"
            found = (inflected > 0, in_compound, start, end)
            best = found if best is None else min(best, found)
        return None if best is None else best[2:]

    def _inflections(self, parts: list[str], window: list[re.Match[str]], pos: Pos) -> int | None:
        """How many words of ``window`` are inflected forms of their ``parts``: 0 or 1; None if they do not match."""
        count = 0
        for part, word in zip(parts, window, strict=True):
            text = word.group()
            if text.lower() == part:
                continue
            count += 1
            if count > 1 or part not in self.bases(text, pos):
                return None
        return count
