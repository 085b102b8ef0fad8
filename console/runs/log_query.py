"""Query of a log search: texts and regular expressions to include and to exclude.

Regular expressions are matched by polars, whose engine (Rust's) takes time linear in the text: none of them can hang. One
that is slow all the same is timed on a little text first, and given up if it needs more than ``MAX_SECONDS_PER_BLOCK``.
"""

from __future__ import annotations

import re
import time

from msgspec import Struct

from console.runs.log_index import BLOCK_BYTES
from console.runs.log_text import without_stamps
from console.sanitize import sanitize_line

MAX_SECONDS_PER_BLOCK = 0.5
MAX_PATTERN = 500  # characters
_PROBE, _SLICE_S = 2000, 0.05
_TERM = re.compile(r'(!?)(?:/((?:[^/\\]|\\.|/(?=\S))*)(?:/(?=\s|$)|$)|"([^"]*)(?:"|$)|(\S+))')
_OPEN, _CLOSE = "\x00", "\x01"  # around a match; lines that are safe to show contain neither


class BadPattern(ValueError):
    """A regular expression that cannot be used, and why, in one line."""


class Term(Struct, frozen=True):
    """A text, found whatever its case, or a regular expression of Rust's syntax that ignores case."""

    text: str
    regex: bool = False


class LogQuery(Struct, frozen=True):
    """Accepts lines with every term of ``include`` and none of ``exclude``."""

    include: tuple[Term, ...] = ()
    exclude: tuple[Term, ...] = ()

    @classmethod
    def parse(cls, text: str) -> LogQuery:
        """``loss !nan "two words" /step \\d+0/``: a lone ``!`` and what is empty is ignored, an open end closes there."""
        include: list[Term] = []
        exclude: list[Term] = []
        for negated, regex, quoted, word in _TERM.findall(text):
            term = Term(regex, True) if regex else Term((quoted or word).lower())
            if term.text and (negated or term.text != "!"):
                (exclude if negated else include).append(term)
        return cls(tuple(include), tuple(exclude))

    def __bool__(self) -> bool:
        return bool(self.terms)

    @property
    def terms(self) -> tuple[Term, ...]:
        """Included and excluded terms."""
        return (*self.include, *self.exclude)

    @property
    def has_regex(self) -> bool:
        """Whether it has a regular expression, which may turn out to be unusable."""
        return any(term.regex for term in self.terms)

    @property
    def needles(self) -> list[str]:
        """Texts in lower case that a block of lines must contain for a line of it to be accepted."""
        return [term.text for term in self.include if not term.regex]


class LogMatcher:
    """Matches lines with a query. Blocks: the first regular expression loads polars.

    Raises:
        BadPattern: a regular expression of the query cannot be used.
    """

    def __init__(self, query: LogQuery) -> None:
        self.query = query
        self._seconds_per_character: dict[Term, float] = {}
        for term in query.terms:
            if term.regex:
                if len(term.text) > MAX_PATTERN:
                    raise BadPattern(f"the pattern is longer than {MAX_PATTERN} characters")
                _contains(term, [""])
        plain = "|".join(re.escape(term.text) for term in query.include if not term.regex)
        self._plain = re.compile(plain, re.IGNORECASE) if plain else None

    def matching(self, text: str) -> list[int]:
        """Indexes of the accepted lines of ``text``; the timestamp before a line is no part of it.

        Raises:
            BadPattern: a regular expression is too slow.
        """
        text = without_stamps(text)
        lines = text.split("\n")
        lowered = text.lower().split("\n") if any(not term.regex for term in self.query.terms) else []
        kept = list(range(len(lines)))
        for term in self.query.include:
            kept = self._with(term, lines, lowered, kept)
        for term in self.query.exclude:
            without = set(self._with(term, lines, lowered, kept))
            kept = [index for index in kept if index not in without]
        return kept

    def _with(self, term: Term, lines: list[str], lowered: list[str], among: list[int]) -> list[int]:
        if not term.regex:
            return [index for index in among if term.text in lowered[index]]
        found: list[int] = []
        at = 0
        while at < len(among):
            pace = self._seconds_per_character.get(term)
            room, end = _PROBE if pace is None else max(_PROBE, int(_SLICE_S / pace)), at
            while end < len(among) and (end == at or room > 0):
                room -= len(lines[among[end]]) + 1
                end += 1
            found += self._slice(term, lines, among[at:end])
            at = end
        return found

    def _slice(self, term: Term, lines: list[str], among: list[int]) -> list[int]:
        texts = [lines[index] for index in among]
        started = time.thread_time()
        mask = _contains(term, texts)
        pace = (time.thread_time() - started) / max(_PROBE // 2, sum(map(len, texts)))
        if pace * BLOCK_BYTES > MAX_SECONDS_PER_BLOCK:
            raise BadPattern(f"/{term.text}/ is too slow: over {MAX_SECONDS_PER_BLOCK} s for 64 KiB of log")
        self._seconds_per_character[term] = max(pace, 1e-9)
        return [index for index, found in zip(among, mask, strict=True) if found]

    def spans(self, line: str) -> list[tuple[int, int]]:
        """Where the included terms are in ``line``, in order, for highlighting."""
        spans = [found.span() for found in self._plain.finditer(line)] if self._plain else []
        for term in self.query.include:
            if term.regex:
                spans += _spans(term, line)
        return sorted(spans)


def _contains(term: Term, texts: list[str]) -> list[bool]:
    """Which of ``texts`` the regular expression finds itself in."""
    import polars as pl

    try:
        return pl.Series("", texts, pl.String).str.contains(f"(?i){term.text}").to_list()
    except pl.exceptions.PolarsError as error:
        raise BadPattern(_reason(str(error))) from error


def _spans(term: Term, line: str) -> list[tuple[int, int]]:
    import polars as pl

    marked = pl.Series("", [line], pl.String).str.replace_all(f"(?i){term.text}", f"{_OPEN}${{0}}{_CLOSE}")[0]
    spans: list[tuple[int, int]] = []
    at = 0
    for part in marked.split(_OPEN)[1:]:
        if not spans and not at:
            at = marked.index(_OPEN)
        text, _, rest = part.partition(_CLOSE)
        spans.append((at, at + len(text)))
        at += len(text) + len(rest)
    return [span for span in spans if span[0] < span[1]]


def _reason(message: str) -> str:
    """The one line of the engine's message that says what is wrong."""
    told = next((line for line in message.splitlines() if line.startswith("error: ")), "")
    return sanitize_line(told.removeprefix("error: ") or message.splitlines()[0], 200)
