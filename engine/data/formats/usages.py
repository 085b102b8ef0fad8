"""A text with a target word in a user's file: read as a usage event with its span checked or repaired, and written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec import Struct, field

from engine.data.formats.offsets import PLAIN_FILE, FileOffsets, TargetSpan, cuts_word
from engine.data.formats.reasons import Quarantined, Reason, Repair
from engine.data.formats.schemas import (
    Attention,
    Bundle21,
    Coherence,
    Contrastive,
    Groups,
    Retrieval,
    Schema,
    Span,
    SpanObject,
    Usage,
)
from engine.data.records import POS_NAMES, Pos, Source, UsageEvent
from engine.data.wordnet.usage_events import usage_event


class LineReading(Struct, frozen=True):
    """How the spans of a line are counted, and the repairs made in it, each with its position in the line for people."""

    offsets: FileOffsets = PLAIN_FILE
    repairs: list[tuple[Repair, str]] = field(default_factory=list)

    def repaired(self, repair: Repair, where: str) -> None:
        """Note a repair."""
        self.repairs.append((repair, where))


_NAMES_READ: dict[Pos, tuple[str, ...]] = {
    "n": ("n", "noun", "propn"),
    "v": ("v", "verb"),
    "a": ("a", "s", "adj", "adjective"),
    "r": ("r", "adv", "adverb"),
}
_POS = {name: pos for pos, names in _NAMES_READ.items() for name in names}
_DOTTED = re.compile(r"(?:[a-z]+:)?(?P<lemma>[^#]+?)\.(?P<pos>n|v|a|s|r|noun|verb|adj|adv)\.", re.IGNORECASE)


class SenseIdParts(NamedTuple):
    """Lemma (lower case, with spaces) and part of speech in a sense id; None where it does not contain them."""

    lemma: str | None
    pos: Pos | None


@lru_cache(maxsize=1 << 16)
def parse_sense_id(sense_id: str) -> SenseIdParts:
    """The lemma and part of speech of sense ids such as ``wn:dry.adj.dry.s.10`` and ``bark#tree``."""
    if found := _DOTTED.match(sense_id):
        return SenseIdParts(normalise_lemma(found["lemma"]), parse_pos(found["pos"]))
    lemma, separator, _ = sense_id.partition("#")
    return SenseIdParts(normalise_lemma(lemma) if separator and lemma else None, None)


def parse_pos(name: str | None) -> Pos | None:
    """The part of speech of a name such as noun, NOUN, n, adj, s; None if unknown."""
    return _POS.get(name.lower()) if name else None


def normalise_lemma(lemma: str) -> str:
    """A lemma as records store it: lower case, with spaces."""
    return lemma.replace("_", " ").strip().lower()


class Lexeme(Struct, frozen=True):
    """The word that a line is about; its part of speech where the line states it."""

    lemma: str
    pos: Pos | None = None


def lexeme_of(lemma: str | None, sense_id: str | None, pos: str | None = None) -> Lexeme:
    """The word of a line, from its lemma, else from a sense id.

    Raises:
        Quarantined: neither contains it.
    """
    parts = parse_sense_id(sense_id or "")
    form = normalise_lemma(lemma) if lemma else parts.lemma
    if not form:
        raise Quarantined(Reason.NO_LEMMA, sense_id or "")
    return Lexeme(form, parse_pos(pos) or parts.pos)


def event_of(
    text: str,
    span: Span,
    sense_id: str | None,
    lexeme: Lexeme,
    reading: LineReading,
    where: str,
    *,
    pos: str | None = None,
    source: str | None = None,
) -> UsageEvent:
    """The usage event of a text; the text itself is never altered.

    The part of speech is that of the line or the sense id, else noun: a line without one gives all its events the same,
    so that the part of speech distinguishes none of them.

    Args:
        text, span, sense_id: as in the file.
        lexeme: the target word.
        reading: how spans are counted; repairs are noted here.
        where: the position in the line, for people.
        pos: part of speech as the file names it.
        source: origin of the text as the file names it; marks synthetic texts, and glosses that have an empty span.

    Raises:
        Quarantined: the text is empty, it has no sense, or its span is wrong and cannot be repaired.
    """
    if not text.strip():
        raise Quarantined(Reason.EMPTY_TEXT, where)
    if not sense_id:
        raise Quarantined(Reason.NO_SENSE, where)
    is_gloss = source == "gloss" and isinstance(span, SpanObject) and span.start == span.end
    try:
        start, end, repair = (
            LocatedTarget(0, 0) if is_gloss else locate_target(text, span, lexeme.lemma, reading.offsets)
        )
    except Quarantined as error:
        raise Quarantined(error.reason, f"{where}: {error.detail}") from None
    if repair is not None:
        reading.repaired(repair, where)
    known_pos = parse_pos(pos) or parse_sense_id(sense_id).pos or lexeme.pos or "n"
    text_source: Source = "synthetic" if source and "synth" in source.lower() else "example"
    return usage_event(lexeme.lemma, known_pos, sense_id, text, (start, end), text_source if end > start else "gloss")


def event_of_usage(usage: Usage, lexeme: Lexeme, reading: LineReading, where: str) -> UsageEvent:
    """``event_of`` for a ``Usage``."""
    return event_of(usage.text, usage.span, sense_of(usage), lexeme, reading, where, pos=usage.pos, source=usage.source)


def sense_of(usage: Usage) -> str | None:
    """The sense id of a text, under either of its names; None where the line has none."""
    return usage.sense_id or usage.sense


def spans_of(line: Schema) -> Iterator[TargetSpan]:
    """The spans of all texts of a line, those of glosses and missing ones too, each with the word it should mark."""
    match line:
        case Bundle21(word=word, items=items):
            for item in items:
                lemma = parse_sense_id(item.sense_id).lemma or normalise_lemma(word.lemma)
                yield TargetSpan.of(item.context, item.target_span, lemma)
        case Contrastive(lemma=stated, anchor=anchor, positive=positive, negatives=negatives):
            yield from (_span_of_usage(usage, stated) for usage in (anchor, positive) if usage is not None)
            if isinstance(negatives, Groups):
                negatives = (*negatives.within_lemma, *negatives.cross_lemma)
            yield from (_span_of_usage(usage, None, stated) for usage in negatives or ())
        case Retrieval(lemma=stated, query=query, candidates=candidates):
            yield from (_span_of_usage(usage, stated) for usage in (query, *candidates))
        case Coherence(lemma=stated, steps=steps):
            for step in steps:
                lemma = normalise_lemma(stated or parse_sense_id(step.expected_sense).lemma or "")
                yield TargetSpan.of(step.context, step.span, lemma)
        case Attention(lemma=stated, query=text, span=span, target_sense_id=sense):
            yield TargetSpan.of(text, span, normalise_lemma(stated or parse_sense_id(sense or "").lemma or ""))


def _span_of_usage(usage: Usage, stated: str | None, otherwise: str | None = None) -> TargetSpan:
    lemma = stated or usage.lemma or parse_sense_id(sense_of(usage) or "").lemma or otherwise or ""
    return TargetSpan.of(usage.text, usage.span, normalise_lemma(lemma))


class LocatedTarget(NamedTuple):
    """Result of ``locate_target``: the span (0, 0 in a text without target word) and the repair made, if any."""

    start: int
    end: int
    repair: Repair | None = None


def locate_target(text: str, span: Span, lemma: str, offsets: FileOffsets = PLAIN_FILE) -> LocatedTarget:
    """Find the target word in ``text``, repairing the span if it is wrong or missing.

    A span that equals its surface form in any case is accepted; so is one without a surface form, if it is the lemma or
    cuts no word. Otherwise the surface form, or the lemma where none is given, must occur exactly once: as a whole word,
    else at the beginning of a word, else anywhere. Where no span is given, the first occurrence is taken; a text without
    any occurrence is read as a gloss.

    Raises:
        Quarantined: the span is wrong or doubtful, and the right one is ambiguous.
    """
    target = TargetSpan.of(text, span, lemma)
    found, doubtful = offsets.locate(target)
    given = target.start, target.end
    if found is not None:
        return LocatedTarget(*found, None if found == given else Repair.SPAN_CONVERTED)
    if target.missing:
        spans = find_word(text, lemma)
        return LocatedTarget(*spans[0], Repair.SPAN_FOUND) if spans else LocatedTarget(0, 0, Repair.READ_AS_GLOSS)
    spans = find_word(text, target.surface or lemma)
    if len(spans) == 1:
        return LocatedTarget(*spans[0], Repair.SPAN_RECOMPUTED)
    detail = f"{target.start}-{target.end}" + (f" for {target.surface!r}" if target.surface else "")
    if doubtful:
        raise Quarantined(Reason.SPAN_DOUBTFUL, detail)
    inside = 0 <= target.start < target.end <= len(text)
    if inside and not target.surface:
        marked = text[target.start : target.end]
        raise Quarantined(Reason.SPAN_CUTS_WORD, f"{detail} is {marked!r}; {lemma!r} occurs {len(spans)} times")
    raise Quarantined(
        Reason.SPAN_DIFFERS if inside else Reason.SPAN_OUTSIDE, f"{detail}, which occurs {len(spans)} times"
    )


def find_word(text: str, word: str) -> list[tuple[int, int]]:
    """The spans of ``word`` in ``text``, ignoring case: whole words if any, else beginnings of words, else all."""
    if not word:
        return []
    for number, pattern in enumerate(_patterns(word)):
        spans = [found.span() for found in pattern.finditer(text)]
        if number == 0:  # to the pattern, a combining mark is not part of the word before it
            spans = [span for span in spans if text.isascii() or not cuts_word(text, span[1])]
        if spans:
            return spans
    return []


@lru_cache(maxsize=4096)
def _patterns(word: str) -> tuple[re.Pattern[str], ...]:
    exact = re.escape(word)
    return tuple(
        re.compile(pattern, re.IGNORECASE) for pattern in (rf"(?<!\w){exact}(?!\w)", rf"(?<!\w){exact}", exact)
    )


def usage_of(event: UsageEvent) -> Usage:
    """The usage that is written for ``event``."""
    return Usage(**usage_fields(event))


def usage_fields(event: UsageEvent) -> dict[str, Any]:
    """The fields of ``usage_of``, for schemas that extend ``Usage``."""
    return {
        "text": event.text,
        "span": span_of(event),
        "sense_id": event.sense_id,
        "lemma": event.lemma,
        "pos": POS_NAMES[event.pos],
        "source": event.source,
    }


def span_of(event: UsageEvent) -> SpanObject:
    """The span that is written for ``event``, with its surface form."""
    return SpanObject(event.start, event.end, event.text[event.start : event.end])
