"""What an evaluation item can tell: whether a model needs the word's meaning to get it right, or could not get it right at all.

A coherence step is of the first class that fits:

``placeholder``
    a gloss of its item says nothing beyond the lemma: the lemma alone, a title, ``portal (context)``, ``portal in
    mining context``
``identical_glosses``
    the right gloss is another sense's, too
``verbatim``
    the right gloss stands in the step's text, word for word
``informative``
    none of these: only such a step is a test of meaning

A retrieval item is classed by word overlap alone: ``right_overlaps_more``, ``equal_overlap`` or ``wrong_overlaps_more``,
comparing the query's greatest overlap with a right candidate and with a wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.data.evaluation.killers import Ranked
from engine.data.records import CoherenceItem, CoherenceStep

PLACEHOLDER, IDENTICAL, VERBATIM, INFORMATIVE = "placeholder", "identical_glosses", "verbatim", "informative"
COHERENCE_CLASSES = (PLACEHOLDER, IDENTICAL, VERBATIM, INFORMATIVE)
RETRIEVAL_CLASSES = ("right_overlaps_more", "equal_overlap", "wrong_overlaps_more")

MAX_QUALIFIER_WORDS = 3
"""Longer text in brackets after a lemma may well be a definition."""
MAX_TITLE_WORDS = 12
_WORD = re.compile(r"\w+")
_QUALIFIED = re.compile(r"(?P<name>[^()]+)\((?P<qualifier>[^()]*)\)\W*")
_SMALL_WORDS = frozenset(
    (
        *("a", "an", "the", "and", "or", "of", "at", "by", "for", "from", "in", "into", "on", "to", "with", "as", "vs"),
        *("da", "de", "der", "des", "di", "do", "du", "del", "el", "la", "le", "und", "van", "von", "y"),
    )
)


def coherence_class(item: CoherenceItem, step: CoherenceStep) -> str:
    """The class of a step of ``item``, one of ``COHERENCE_CLASSES``."""
    right = item.glosses[step.sense]
    if any(is_placeholder(gloss, item.lemma) for gloss in item.glosses):
        return PLACEHOLDER
    if sum(folded(gloss) == folded(right) for gloss in item.glosses) > 1:
        return IDENTICAL
    if f" {folded(right)} " in f" {folded(step.event.text)} ":
        return VERBATIM
    return INFORMATIVE


def best_expected(item: CoherenceItem, step: CoherenceStep) -> float:
    """The chance of the best reader to name a step's sense: 1 / k where k glosses cannot be told from the right one.

    These are glosses equal to it and, if it is a placeholder, all placeholders. A single placeholder beside real
    glosses can be named by elimination, which is no merit, but possible.
    """
    right = item.glosses[step.sense]
    if is_placeholder(right, item.lemma):
        return 1 / sum(is_placeholder(gloss, item.lemma) for gloss in item.glosses)
    return 1 / sum(folded(gloss) == folded(right) for gloss in item.glosses)


def retrieval_class(by_overlap: Ranked) -> str:
    """The class of a retrieval item, one of ``RETRIEVAL_CLASSES``, from its ranking by word overlap."""
    if by_overlap.margin == 0:
        return "equal_overlap"
    return "right_overlaps_more" if by_overlap.margin > 0 else "wrong_overlaps_more"


def is_placeholder(gloss: str, lemma: str) -> bool:
    """Whether ``gloss`` says nothing beyond ``lemma``, which it must contain to count as a placeholder.

    It is the lemma alone, the lemma with up to three words in brackets, the lemma "in (the) ... context", or a title:
    every word but small ones, such as "of", is capitalised or a number.
    """
    words, name = _words(gloss), _words(lemma)
    if not words:
        return True
    if not name or not _contains(words, name):
        return False
    if len(words) == len(name):
        return True
    if qualified := _QUALIFIED.fullmatch(gloss.strip()):
        outside, inside = _words(qualified["name"]), _words(qualified["qualifier"])
        is_short = len(inside) <= MAX_QUALIFIER_WORDS and inside[:1] != ["as"]  # "give (as medicine)" is a definition
        if is_short and len(_without_small(outside)) == len(_without_small(name)):
            return True
    rest = words[len(name) :]
    if _contains(words[: len(name)], name) and rest[0] == "in":
        return rest[-1] in ("context", "contexts") or rest[:3] == ["in", "the", "context"] or rest[1] == "context"
    return _is_title(gloss)


def folded(text: str) -> str:
    """The words of ``text``, case folded, with one space between: equal for texts that differ in case and punctuation."""
    return " ".join(_words(text))


def _is_title(gloss: str) -> bool:
    words = _WORD.findall(gloss)
    own = [word for word in words if word.lower() not in _SMALL_WORDS]
    return len(words) <= MAX_TITLE_WORDS and all(word[0].isupper() or word[0].isdigit() for word in own)


def _contains(words: Sequence[str], name: Sequence[str]) -> bool:
    """Whether ``name`` stands in ``words``; its last word may have an ending of up to two letters."""
    for start in range(len(words) - len(name) + 1):
        part = words[start : start + len(name)]
        if part[:-1] == name[:-1] and part[-1].startswith(name[-1]) and len(part[-1]) <= len(name[-1]) + 2:
            return True
    return False


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _without_small(words: Sequence[str]) -> list[str]:
    return [word for word in words if word not in _SMALL_WORDS]
