"""A text of the user's with its target word, as a usage event."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from engine.data.formats.reasons import Quarantined, Repair
from engine.data.formats.schemas import Span, SpanObject
from engine.data.formats.spans import Located, locate
from engine.data.records import Pos, Source, UsageEvent
from engine.data.wordnet.usage_events import normalised, usage_event

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


class Repairs(Struct):
    """What was repaired in one line: the repair and where."""

    made: list[tuple[Repair, str]] = []

    def add(self, repair: Repair, where: str) -> None:
        self.made.append((repair, where))


class Lexeme(Struct, frozen=True):
    """The word that a line is about; its part of speech where the line says it."""

    lemma: str
    pos: Pos | None = None


def lexeme_of(lemma: str | None, sense_id: str | None, pos: str | None = None) -> Lexeme:
    """The word of a line, from its lemma or else from a sense id.

    Raises:
        Quarantined: neither tells it.
    """
    told = told_by(sense_id) if sense_id else None
    form = lemma_form(lemma) if lemma else told.lemma if told else None
    if not form:
        raise Quarantined("no_lemma", sense_id or "")
    return Lexeme(form, pos_named(pos) or (told.pos if told else None))


def event_of(
    text: str,
    span: Span,
    sense_id: str | None,
    lexeme: Lexeme,
    repairs: Repairs,
    where: str,
    *,
    pos: str | None = None,
    source: str | None = None,
) -> UsageEvent:
    """The usage event of a text; the text itself is never altered.

    Its part of speech is what the line or the sense id says; where nothing says it, a noun: those that do not say it
    are all alike, so that none is told from another by it.

    Args:
        text: as the file has it.
        span: as the file has it.
        sense_id: of the target word.
        lexeme: the target word.
        repairs: what is repaired is added here.
        where: the place in the line, for people.
        pos: as the file names it.
        source: what the file says of the text's origin; synthetic texts are told by it, and glosses with an empty span.

    Raises:
        Quarantined: the text is empty, it has no sense, or its span is wrong beyond repair.
    """
    if not text.strip():
        raise Quarantined("empty_text", where)
    if not sense_id:
        raise Quarantined("no_sense", where)
    try:
        start, end, repair = Located(0, 0) if _is_gloss(source, span) else locate(text, span, lexeme.lemma)
    except Quarantined as wrong:
        raise Quarantined(wrong.reason, f"{where}: {wrong.detail}") from None
    if repair is not None:
        repairs.add(repair, where)
    part = pos_named(pos) or told_by(sense_id).pos or lexeme.pos or "n"
    return usage_event(lexeme.lemma, part, sense_id, text, (start, end), _source(source, end > start))


def form_of(text: str) -> str:
    """What two texts must share to be one text: letters and digits in folded case, or all of it where it has none."""
    return normalised(text) or text


def _is_gloss(said: str | None, span: Span) -> bool:
    """Whether a text says of itself that it is a gloss without a target word."""
    return said == "gloss" and isinstance(span, SpanObject) and span.start == span.end


def _source(said: str | None, has_target: bool) -> Source:
    if not has_target:
        return "gloss"
    return "synthetic" if said and "synth" in said.lower() else "example"
