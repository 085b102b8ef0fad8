"""What a sense id tells of its lemma and part of speech: ``wn:dry.adj.dry.s.10``, ``wp:egg.n.egg#context``, ``bark#tree``."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from engine.data.records import Pos

_POS: dict[str, Pos] = {
    "n": "n",
    "noun": "n",
    "propn": "n",
    "v": "v",
    "verb": "v",
    "a": "a",
    "s": "a",
    "adj": "a",
    "adjective": "a",
    "r": "r",
    "adv": "r",
    "adverb": "r",
}
_DOTTED = re.compile(r"(?:[a-z]+:)?(?P<lemma>[^#]+?)\.(?P<pos>n|v|a|s|r|noun|verb|adj|adv)\.", re.IGNORECASE)


class Told(NamedTuple):
    """The lemma, lower case with spaces, and the part of speech, where a sense id tells them."""

    lemma: str | None
    pos: Pos | None


@lru_cache(maxsize=1 << 16)
def told_by(sense_id: str) -> Told:
    """What ``sense_id`` tells."""
    if found := _DOTTED.match(sense_id):
        return Told(lemma_form(found["lemma"]), pos_named(found["pos"]))
    before, mark, _ = sense_id.partition("#")
    return Told(lemma_form(before) if mark and before else None, None)


def pos_named(name: str | None) -> Pos | None:
    """The part of speech that files call ``name``: noun, NOUN, n, adj, s, ..."""
    return _POS.get(name.lower()) if name else None


def lemma_form(lemma: str) -> str:
    """A lemma as records have it: lower case, with spaces."""
    return lemma.replace("_", " ").strip().lower()
