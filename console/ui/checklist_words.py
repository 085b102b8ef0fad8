"""The checklist as text: pure, from an examination and a width to lines."""

from __future__ import annotations

from textual.content import Content

from console.hosts.preflight.check import Check, Status, worst
from console.number_words import age, duration
from console.ui.actions import in_scope, shown_key
from console.ui.examination import Examination, RepairProgress, verdict
from console.ui.state_mark import Mark

MARKS: dict[Status, Mark] = {
    "ok": Mark("✓", "ok", "$text-success"),
    "warning": Mark("!", "warning", "bold $text-warning"),
    "blocker": Mark("✗", "blocker", "bold $text-error"),
}
_KEYS = {action.method.removeprefix("action_"): shown_key(action.keys[0]) for action in in_scope("host")}
_MARK_WIDTH, _NAME_WIDTH = 12, 22
_WIDE = 60  # from here on what was found stands beside a check's name, else below it


def headline(examination: Examination, now: float) -> Content:
    """How it stands, how old that is, and what goes on; ``now`` is ``time.monotonic()``."""
    key, does = ("stop_waiting", "stops waiting") if examination.repairing else ("look", "looks again")
    advice = Content.assemble((_KEYS[key], "bold $text-accent"), f" {does}")
    parts: list[Content] = []
    if examination.looked_at is not None:
        parts.append(Content.styled(verdict(examination.checks), MARKS[worst(examination.checks)].style))
        parts.append(Content(f"looked {age(now - examination.looked_at)} ago"))
    if examination.looking_since is not None:
        parts.append(Content(f"looking, {age(now - examination.looking_since)}"))
    elif examination.looked_at is None and not examination.trouble:
        parts.append(Content("once the host is reached"))
    if examination.repairing or examination.looking_since is None:
        parts.append(advice)
    line = Content.assemble((f"{'Preflight':<13}", "$text-muted")) + Content("; ").join(parts)
    if not examination.trouble or examination.looking_since is not None:
        return line
    return Content.assemble(line, "\n", (f"could not look: {examination.trouble}", "bold $text-error"))


def check_lines(
    check: Check, *, selected: bool, repair: RepairProgress | None, width: int, now: float
) -> list[Content]:
    """A check in at most ``width`` cells a line: how it is, what was found, what to do, how far its repair is."""
    mark = MARKS[check.status]
    head = Content.assemble(
        ("> " if selected else "  ", "bold $text-accent"),
        (f"{mark.sign} {mark.word}".ljust(_MARK_WIDTH - 2), mark.style),
        (check.name.ljust(_NAME_WIDTH), "bold" if selected else ""),
    )
    texts = [Content(check.found)]
    if check.status != "ok":
        texts += [_advice(check)] if check.advice else []
    if repair is not None:
        texts.append(_progress(repair, now))
    indent = _MARK_WIDTH + _NAME_WIDTH if width >= _WIDE else 4
    wrapped = [line for text in texts for line in text.wrap(max(8, width - indent))]
    if width >= _WIDE:
        return [head + wrapped[0], *(line.pad_left(indent) for line in wrapped[1:])]
    return [*head.rstrip().wrap(max(8, width)), *(line.pad_left(indent) for line in wrapped)]


def _advice(check: Check) -> Content:
    if check.repair is None:
        return Content.styled(check.advice, "italic")
    return Content.assemble((check.advice, "italic"), "  ", (_KEYS["repair"], "bold $text-accent"), " does it")


def _progress(repair: RepairProgress, now: float) -> Content:
    line = repair.line or "asking the host"
    if repair.ended is None:
        return Content.assemble((line, "$text-accent"), f", {duration(now - repair.since)}")
    took = f" after {duration(repair.ended - repair.since)}"
    if repair.trouble:
        return Content.styled(f"{repair.trouble}{took}; last: {line}", "bold $text-error")
    return Content.assemble((f"{line}{took}", "$text-accent"))
