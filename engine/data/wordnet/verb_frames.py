"""Sentence frames of verbs: whether a verb can replace another before an object or a preposition.

Synonyms need not be used alike: *avenge* the murder, but *retaliate* for it. WordNet lists frames such as 8, "Somebody
----s something", mostly for a whole synset, so three signs are taken together: frames that only some of its verbs have,
the frames of a verb's other senses, and that a phrase such as *hang around* ends with its own preposition.
"""

from __future__ import annotations

import re
from typing import Literal

Slot = Literal["object", "preposition"]

OBJECT_FRAMES = frozenset({8, 9, 10, 11, 14, 15, 16, 17, 18, 19, 20, 21, 24, 25, 30, 31})
"""Frames with a noun phrase right after the verb (wninput(5WN))."""
PREPOSITION_FRAMES = frozenset({4, 12, 13, 22, 27})
"""Frames with a preposition after the verb."""
_BARE_FRAMES = frozenset({1, 2, 3, 23})

_WORD = re.compile(r"[A-Za-z']+")
_AFTER = re.compile(r"\s+([A-Za-z']+)(?:\s+(\S+))?")
_BEGIN_OBJECT = frozenset(
    _WORD.findall(
        "a an the this these those my your his her its our their me him us them it you himself herself itself myself yourself"
    )
)
_AUXILIARIES = frozenset(_WORD.findall("is are was were be been being am get got gets become becomes became"))
_PREPOSITIONS = frozenset(_WORD.findall("of on upon with to about from into against over in"))
_AMOUNTS = frozenset({"little", "lot", "bit", "while"})


def slot_after(before: str, verb: str, after: str) -> Slot | None:
    """What follows an active ``verb`` in the text ``before + verb + after``; None if that is neither or unclear."""
    is_passive = not verb.endswith("ing") and not _AUXILIARIES.isdisjoint(_WORD.findall(before.lower())[-3:])
    found = _AFTER.match(after)
    if is_passive or found is None:
        return None
    word, following = found.group(1).lower(), (found.group(2) or "").lower()
    if word in _BEGIN_OBJECT:
        return None if word == "a" and following in _AMOUNTS else "object"
    if word == "to":  # before anything but a noun phrase it begins an infinitive
        return "preposition" if following in _BEGIN_OBJECT or not following[:1].isalpha() else None
    return "preposition" if word in _PREPOSITIONS else None


def can_replace(
    slot: Slot,
    frames: frozenset[int],
    replaced: frozenset[int],
    elsewhere: frozenset[int] | None,
    *,
    phrase_to_word: bool,
) -> bool:
    """Whether a verb can take the place of a synonym before ``slot``.

    Args:
        slot: what follows.
        frames, replaced: those of the verb and of the synonym in their synset.
        elsewhere: those of the verb's other senses together; None if it has no other.
        phrase_to_word: a synonym of several words is replaced by one word.
    """
    if slot == "preposition":
        only_the_synonym_has_one = bool(replaced & PREPOSITION_FRAMES) and not frames & PREPOSITION_FRAMES
        always_an_object = elsewhere is not None and not (frames | elsewhere) & (_BARE_FRAMES | PREPOSITION_FRAMES)
        return not only_the_synonym_has_one and not always_an_object
    wants_preposition = bool(frames & PREPOSITION_FRAMES) and not replaced & PREPOSITION_FRAMES
    # 4 is of things, "Something is ----ing PP", and says little about what somebody does
    elsewhere_never = elsewhere is not None and not elsewhere & OBJECT_FRAMES and elsewhere & PREPOSITION_FRAMES - {4}
    keeps_no_object = phrase_to_word and not frames & OBJECT_FRAMES
    return not (wants_preposition or elsewhere_never or keeps_no_object)
