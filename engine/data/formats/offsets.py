"""How a file counts the offsets of its spans: recognised from all of its spans together, never from a single one.

Python counts characters from 0 and leaves the end out. JavaScript and Java count UTF-16 code units, programs that work on
bytes count those of UTF-8, others count from 1 or include the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import product
from typing import Any, Literal, NamedTuple
from unicodedata import category, normalize

from msgspec import Struct

from engine.data.formats.schemas import SpanObject

Unit = Literal["characters", "UTF-16 code units", "UTF-8 bytes"]
Range = tuple[int, int]

MIN_SPANS = 2
"""Spans that only one convention explains, from which on they are evidence for it; one alone may be a slip."""

MAX_CONTRARY = 0.1
"""Spans that contradict a convention, as a share of those that only it explains, up to which it is still recognised."""

_JOINERS = "\u00ad\u200c\u200d"  # soft hyphen, zero-width non-joiner and joiner: inside words and emoji
_EMOJI_MODIFIERS = ("\U0001f3fb", "\U0001f3ff")
_WITHOUT_SPACES = (  # scripts that write words without spaces between them, or particles attached to them
    *(("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"), ("\u2e80", "\u9fff")),
    *(("\uac00", "\ud7af"), ("\uf900", "\ufaff"), ("\U00020000", "\U0003ffff")),
)


class OffsetConvention(NamedTuple):
    """Unit, first offset and kind of end by which a file's spans mark parts of a text.

    Attributes:
        unit: what is counted.
        first: the offset of the first one, 0 or 1.
        end_included: whether the end is that of the last one of the target, not of the first one after it.
    """

    unit: Unit = "characters"
    first: int = 0
    end_included: bool = False

    def range_in(self, text: str, start: int, end: int) -> Range | None:
        """The range of characters that a span means; None outside ``text``, within a character, or without any."""
        low, high = start - self.first, end - self.first + self.end_included
        if not 0 <= low < high:
            return None
        if self.unit == "characters" or text.isascii():
            return (low, high) if high <= len(text) else None
        encoding, size = ("utf-8", 1) if self.unit == "UTF-8 bytes" else ("utf-16-le", 2)
        encoded = text.encode(encoding)
        if high * size > len(encoded):
            return None
        try:
            return len(encoded[: low * size].decode(encoding)), len(encoded[: high * size].decode(encoding))
        except UnicodeDecodeError:
            return None

    def __str__(self) -> str:
        return self.unit + (" counted from 1" if self.first else "") + (", end included" if self.end_included else "")


PLAIN = OffsetConvention()
"""Characters from 0, the end not included: what this project counts, and every span is read by unless a file differs."""

_UNITS: tuple[Unit, ...] = ("characters", "UTF-16 code units", "UTF-8 bytes")
CONVENTIONS = tuple(OffsetConvention(unit, first, end) for first, end, unit in product((0, 1), (False, True), _UNITS))
"""The likelier first."""


class TargetSpan(NamedTuple):
    """A span in a line: the text, the offsets as given, and the word that it should mark.

    ``surface`` is the surface form that is stated for it, else "".
    """

    text: str
    start: int
    end: int
    surface: str
    lemma: str

    @classmethod
    def of(cls, text: str, span: Any, lemma: str) -> TargetSpan:
        """A span as the schemas have it: an object, a pair, or None, which counts as empty."""
        if isinstance(span, SpanObject):
            return cls(text, span.start, span.end, span.surface or "", lemma)
        start, end = span or (0, 0)
        return cls(text, start, end, "", lemma)

    @property
    def missing(self) -> bool:
        """Whether nothing is stated, as far as one can tell without knowing the convention."""
        return self.start == self.end and not self.surface

    def fit(self, found: Range | None) -> int:
        """How well a range of the text is the target word: 0 not at all, 1 perhaps, 2 certainly.

        It is certain where it equals the surface form or, without one, is the lemma as a whole word. Another whole word
        may be an inflected form, and the lemma within a longer word its stem.
        """
        if found is None:
            return 0
        start, end = found
        target = self.text[start:end]
        if self.surface:
            return 2 * same_word(target, self.surface)
        whole = not cuts_word(self.text, start) and not cuts_word(self.text, end)
        if same_word(target, self.lemma):
            return 1 + whole
        return int(whole and target == target.strip() and any(category(one)[0] in "LNS" for one in target))


def same_word(one: str, other: str) -> bool:
    """Whether two spellings are the same but for case, and for letters composed of marks."""
    if (one := one.casefold()) == (other := other.casefold()):
        return True
    return not (one.isascii() and other.isascii()) and normalize("NFC", one) == normalize("NFC", other)


def cuts_word(text: str, at: int) -> bool:
    """Whether the boundary before character ``at`` is within a word, or within what is drawn as one character."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if _continues(after) or before in _JOINERS:
        return not before.isspace()
    if not (after.isalnum() and (before.isalnum() or _continues(before))):
        return False
    return not (_without_spaces(before) or _without_spaces(after))


def _continues(character: str) -> bool:
    """Whether a character belongs to the one before it: a combining mark, a joiner or a modifier of an emoji."""
    if character.isascii():
        return False
    low, high = _EMOJI_MODIFIERS
    return character in _JOINERS or low <= character <= high or category(character)[0] == "M"


def _without_spaces(character: str) -> bool:
    return any(low <= character <= high for low, high in _WITHOUT_SPACES)


class Located(NamedTuple):
    """What a span means in a file: a range, or None where it fits nowhere, or is doubtful."""

    found: Range | None
    doubtful: bool = False


class FileOffsets(Struct, frozen=True):
    """The convention that the spans of a file follow, with the evidence.

    Attributes:
        conventions: those that the evidence leaves open, the best first. If ``PLAIN`` is the first, the others explain
            some spans that it does not, and a span for which they differ from it is doubtful.
        fitting: how many spans fit each of ``conventions``.
        plain: how many fit ``PLAIN``.
        spans: number of spans in the file.
    """

    conventions: tuple[OffsetConvention, ...] = (PLAIN,)
    fitting: tuple[int, ...] = (0,)
    plain: int = 0
    spans: int = 0

    def locate(self, span: TargetSpan) -> Located:
        """What ``span`` means; doubtful if it fits by several of the conventions left open, and not the same range."""
        ranges = [convention.range_in(span.text, span.start, span.end) for convention in self.conventions]
        fits = [span.fit(found) for found in ranges]
        if span.missing and span.start <= 0 and max(fits) < 2:  # 0, 0 states that there is no span
            return Located(None)
        fitting = {found for found, fit in zip(ranges, fits, strict=True) if fit}
        if len(fitting) == 1 and (self.conventions[0] != PLAIN or fits[0]):
            return Located(fitting.pop())
        return Located(None, doubtful=len(fitting) > 1)

    def as_json(self) -> dict[str, Any]:
        """The conventions by name, each with the number of spans that fit it; the first is followed."""
        return {"spans": self.spans, "fitting": dict(zip(map(str, self.conventions), self.fitting, strict=True))}

    def __str__(self) -> str:
        """One line of a report on a file that does not follow ``PLAIN`` throughout; "" if it does."""
        first, *others = zip(self.conventions, self.fitting, strict=True)
        if first[0] != PLAIN:
            return (
                f"spans are in {first[0]} ({first[1]:,} of {self.spans:,} fit, {self.plain:,} as {PLAIN}): converted where "
                "they differ"
            )
        if not others:
            return ""
        (other, count) = others[0]
        return (
            f"spans follow no one convention: {first[1]:,} of {self.spans:,} fit as {PLAIN}, {count:,} as {other}; none is "
            "converted"
        )


PLAIN_FILE = FileOffsets()


def recognise(spans: Iterable[TargetSpan]) -> FileOffsets:
    """The convention of a file with ``spans``: ``PLAIN`` unless others explain clearly more of them.

    One convention beats another where at least ``MIN_SPANS`` spans fit it better, and those that fit the other better are
    at most ``MAX_CONTRARY`` as many.
    """
    patterns = Counter(_fits(span) for span in spans if not span.missing)
    everyone = range(len(CONVENTIONS))
    fitting = [sum(number for fits, number in patterns.items() if fits[one]) for one in everyone]
    better = [
        [sum(number for fits, number in patterns.items() if fits[one] > fits[other]) for other in everyone]
        for one in everyone
    ]

    def beats(one: int, other: int) -> bool:
        return better[one][other] >= MIN_SPANS and better[other][one] <= MAX_CONTRARY * better[one][other]

    plain = CONVENTIONS.index(PLAIN)
    left = sorted(
        (one for one in everyone if not any(beats(other, one) for other in everyone)), key=lambda one: -fitting[one]
    )
    if plain in left or not left:  # others are then left open only by spans that PLAIN does not explain
        left = [plain, *(one for one in left if better[one][plain] >= MIN_SPANS)]
    return FileOffsets(
        tuple(CONVENTIONS[one] for one in left),
        tuple(fitting[one] for one in left),
        fitting[plain],
        sum(patterns.values()),
    )


def _fits(span: TargetSpan) -> tuple[int, ...]:
    """How well ``span`` fits each of ``CONVENTIONS``."""
    known: dict[Range | None, int] = {None: 0}
    fits = []
    same = len(_UNITS) if span.text.isascii() else 1  # conventions that mean the same, because all units do
    for convention in CONVENTIONS[::same]:
        found = convention.range_in(span.text, span.start, span.end)
        if found not in known:
            known[found] = span.fit(found)
        fits += [known[found]] * same
    return tuple(fits)
