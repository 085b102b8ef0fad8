"""Lines of a log as a person reads them: cut at newlines and carriage returns, safe to show, with time, level and step."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

from console.sanitize import sanitize

Level = Literal["", "debug", "info", "warning", "error"]

MAX_LINE_BYTES = 4000  # kept of one line
_PLAIN = bytes(string.printable[:95], "ascii") + b"\n"  # what needs no cleaning
_CUT = f" … (cut after {MAX_LINE_BYTES:,} bytes)".encode()
_LINE_END = re.compile(rb"\r+\n")
_STAMP = re.compile(
    r"[\[(]?(?P<day>\d{4}-\d\d-\d\d)[T ](?P<clock>\d\d:\d\d:\d\d)(?P<part>[.,]\d{1,9})?(?P<zone>Z|[+-]\d\d:?\d\d)?[\])]?"
    r"(?: ?[|:-] | )?"
)
_BEGINS_WITH_DAY = re.compile(rb"[\[(]?\d{4}-\d\d-")
_STAMPS = re.compile("^" + re.sub(r"\?P<\w+>", "?:", _STAMP.pattern), re.MULTILINE)  # without groups, which cost time
_LEVEL = re.compile(
    r"""
      \b(?P<debug>DEBUG)\b | \b(?P<info>INFO)\b
    | (?P<warning>\bWARN(?:ING)?\b | \b\w*[Ww]arning:)
    | (?P<error>\b(?:ERROR|CRITICAL|FATAL)\b | \b[Ee]rror:
      | ^[\w.]*(?:Error|Exception|KeyboardInterrupt)(?::|$) | ^Killed$ | ^Segmentation[ ]fault)
    """,
    re.VERBOSE,
)
_TRACEBACK = "Traceback (most recent"
STEP = re.compile(r"(?<![A-Za-z])[Ss]tep[ =:]{0,2}(\d{1,12})(?!\d)")
_LEVEL_WITHIN = 160  # characters: a level stands at the beginning of a line

# Deleted before two lines are compared: what changes from one progress line to the next, bars of block elements included.
_VARYING = b"0123456789 .,:-+#=<>|_*[]()?\xe2" + bytes(range(0x80, 0xA0))
_PROGRESS = re.compile(rb"\d\s*%|\d\s*/\s*\d")
_KEPT = re.compile(rb"(?i)warn|error|\bnan\b|\binf\b")


class LogLine(Struct, frozen=True):
    """One line of a log.

    Attributes:
        number: from 0, in the whole log.
        text: safe to show, without the timestamp at its beginning.
        time: Unix time in s that the host wrote, that of the nearest line above for one without; None if there is none.
        level: of the line, "" if it names none.
        continued: it belongs to the error above it, as the lines of a traceback do.
        step: the training step that the line names.
    """

    number: int
    text: str
    time: float | None = None
    level: Level = ""
    continued: bool = False
    step: int | None = None


def split_lines(raw: bytes) -> tuple[list[bytes], list[int]]:
    """Lines of ``raw``, which ends with a newline or carriage return, and the indexes of those ended by the latter alone.

    A line that ends with a carriage return is overwritten by the next one, as progress bars do.
    """
    if b"\r" not in raw:
        return raw.split(b"\n")[:-1], []
    lines: list[bytes] = []
    overwritten: list[int] = []
    for whole in _LINE_END.sub(b"\n", raw).split(b"\n"):
        states = whole.split(b"\r")
        overwritten += range(len(lines), len(lines) + len(states) - 1)
        lines += states
    return lines[:-1], overwritten


def clean_lines(lines: Sequence[bytes]) -> list[str]:
    """The lines, safe to show; one that is cut at ``MAX_LINE_BYTES`` says so. Lines hold no newline."""
    return clean_text(lines).split("\n")


def clean_text(lines: Sequence[bytes]) -> str:
    """The same as one text, with a newline between lines."""
    if lines and len(max(lines, key=len)) > MAX_LINE_BYTES:
        lines = [_shortened(line) if len(line) > MAX_LINE_BYTES else line for line in lines]
    raw = b"\n".join(lines)
    if is_plain(raw):
        return raw.decode("ascii")
    return sanitize(raw.decode("utf-8", "replace")).expandtabs(4)


def is_plain(raw: bytes) -> bool:
    """Whether lines are printable ASCII throughout, so that they are safe to show as they are."""
    return not raw.translate(None, _PLAIN)


def _shortened(line: bytes) -> bytes:
    return line[:MAX_LINE_BYTES] + _CUT


def without_stamps(text: str) -> str:
    """The lines of ``text`` without the timestamps that they begin with."""
    return _STAMPS.sub("", text)


def parse_lines(
    number: int, texts: Iterable[str], time: float | None, in_traceback: bool
) -> tuple[list[LogLine], bool]:
    """Lines of consecutive clean texts, the first of them line ``number``, and whether a traceback goes on below them.

    Args:
        time: of the last timestamp above.
        in_traceback: the line above belongs to a traceback that is not over.
    """
    lines = []
    for whole in texts:
        stamp, text = _STAMP.match(whole), whole
        if stamp:
            time = stamp_time(stamp) or time
            text = whole[stamp.end() :]
        level, continued, in_traceback = _level(text, in_traceback and not stamp)
        found = STEP.search(text) if "tep" in text else None
        lines.append(LogLine(number, text, time, level, continued, int(found[1]) if found else None))
        number += 1
    return lines, in_traceback


def _level(text: str, in_traceback: bool) -> tuple[Level, bool, bool]:
    """Level of a line, whether it belongs to the error above, and whether the traceback goes on below it."""
    if _TRACEBACK in text:
        return "error", False, True
    if in_traceback:
        return "error", True, text[:1] in (" ", "")
    found = _LEVEL.search(text, 0, _LEVEL_WITHIN)
    return (found.lastgroup if found else ""), False, False  # type: ignore[return-value]


def stamp_time(stamp: re.Match[str]) -> float | None:
    """Unix time in s of a timestamp; one without a zone is taken as UTC, as hosts of runs are; None if there is no such day."""
    try:
        at = datetime.fromisoformat(f"{stamp['day']}T{stamp['clock']}{stamp['zone'] or '+00:00'}")
        return at.astimezone(UTC).timestamp() + float("0" + (stamp["part"] or "").replace(",", "."))
    except (ValueError, OverflowError):
        return None


def last_time(lines: Sequence[bytes]) -> float | None:
    """Time of the last timestamp of ``lines``; None if they have none."""
    for line in reversed(lines):
        stamp = _STAMP.match(line[:60].decode("ascii", "replace")) if _BEGINS_WITH_DAY.match(line) else None
        if stamp is not None and (time := stamp_time(stamp)) is not None:
            return time
    return None


def line_keys(lines: Sequence[bytes]) -> list[bytes]:
    """What remains of each line without its numbers and bars: equal for the lines of one progress."""
    return b"\n".join(lines).translate(None, _VARYING).split(b"\n")


def folded_lines(
    lines: Sequence[bytes], keys: Sequence[bytes], overwritten: Iterable[int], before: bytes | None
) -> list[int]:
    """Indexes of the lines that replace the line above in its row when progress is folded, in order.

    Of consecutive progress lines ("12%", "epoch 2 step 340/900") that differ in numbers and bars only, and of the states
    of one progress bar, a row shows the last. Lines with a warning, an error or a value that is not finite stay.

    Args:
        keys: of ``line_keys``.
        overwritten: indexes of lines that are.
        before: key of the line above; None if that line is overwritten.
    """
    folded = {index + 1 for index in overwritten if index + 1 < len(lines)}
    if before is None:
        folded.add(0)
    if progress := {key for key in set(keys) if b"%" in key or b"/" in key}:
        for index, key in enumerate(keys):
            if key in progress and key == (keys[index - 1] if index else before):
                line = lines[index]
                if _PROGRESS.search(line) and not _KEPT.search(line):
                    folded.add(index)
    return sorted(folded)
