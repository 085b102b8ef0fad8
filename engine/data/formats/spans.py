"""Where the target word stands: spans checked, found where they are missing, computed anew where that is unambiguous."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from engine.data.formats.reasons import Quarantined, Repair
from engine.data.formats.schemas import Span, SpanObject


class Located(NamedTuple):
    """``text[start:end]`` is the target word; both are 0 where the text has none. ``repair`` says what was done."""

    start: int
    end: int
    repair: Repair | None = None


def locate(text: str, span: Span, lemma: str) -> Located:
    """The place of the target word in ``text``.

    A span that holds its surface form is taken as it is, in upper or lower case; one without a surface form, if it
    holds a word without white space around it. Otherwise the surface form, or the lemma where none is given, must stand
    in the text exactly once: as a whole word, or failing that at a word's beginning, or failing that anywhere. Where no
    span is given at all, the first place is taken; without any the text is read as a gloss.

    Raises:
        Quarantined: the span is wrong and the right one cannot be told.
    """
    start, end, surface = _parts(span)
    if start == end and not surface:
        places = find(text, lemma)
        return Located(*places[0], "span_found") if places else Located(0, 0, "read_as_gloss")
    inside = 0 <= start < end <= len(text)
    held = text[start:end] if inside else ""
    if held and (held.casefold() == surface.casefold() if surface else held == held.strip()):
        return Located(start, end)
    places = find(text, surface or lemma)
    if len(places) == 1:
        return Located(*places[0], "span_found" if span is None else "span_recomputed")
    said = f"{start}-{end}" + (f" for {surface!r}" if surface else "")
    raise Quarantined("span_differs" if inside else "span_outside", f"{said}, which stands {len(places)} times")


def find(text: str, word: str) -> list[tuple[int, int]]:
    """The places of ``word`` in ``text`` in any case: whole words if there are any, else beginnings of words, else any."""
    if not word:
        return []
    for pattern in _patterns(word):
        if places := [found.span() for found in pattern.finditer(text)]:
            return places
    return []


@lru_cache(maxsize=4096)
def _patterns(word: str) -> tuple[re.Pattern[str], ...]:
    exact = re.escape(word)
    return tuple(
        re.compile(pattern, re.IGNORECASE) for pattern in (rf"(?<!\w){exact}(?!\w)", rf"(?<!\w){exact}", exact)
    )


def _parts(span: Span) -> tuple[int, int, str]:
    match span:
        case None:
            return 0, 0, ""
        case SpanObject(start, end, surface):
            return start, end, surface or ""
        case (start, end):
            return start, end, ""
