"""The checklist as text: pure, from an examination and a width to lines."""

from __future__ import annotations

import time

from textual import events
from textual.content import Content
from textual.reactive import reactive

from console.format import age, duration
from console.hosts.preflight.checks import Check, Status, worst_status
from console.ui.actions import in_scope, shown_key
from console.ui.host.preflight_state import PreflightState, RepairProgress, first_concern, verdict
from console.ui.pane import UpdatingText
from console.ui.runs.state_text import Mark

MARKS: dict[Status, Mark] = {
    "ok": Mark("✓", "ok", "$text-success"),
    "warning": Mark("!", "warning", "bold $text-warning"),
    "blocker": Mark("✗", "blocker", "bold $text-error"),
}
_KEYS = {action.method.removeprefix("action_"): shown_key(action.keys[0]) for action in in_scope("host")}
_MARK_WIDTH, _NAME_WIDTH = 12, 22
_WIDE = 60  # from here on what was found stands beside a check's name, else below it


def headline(preflight_state: PreflightState, now: float) -> Content:
    """How it stands, how old that is, and what goes on; ``now`` is ``time.monotonic()``."""
    key, does = ("stop_waiting", "stops waiting") if preflight_state.repairing else ("look", "looks again")
    advice = Content.assemble((_KEYS[key], "bold $text-accent"), f" {does}")
    parts: list[Content] = []
    if preflight_state.looked_at is not None:
        parts.append(Content.styled(verdict(preflight_state.checks), MARKS[worst_status(preflight_state.checks)].style))
        parts.append(Content(f"looked {age(now - preflight_state.looked_at)} ago"))
    if preflight_state.looking_since is not None:
        parts.append(Content(f"looking, {age(now - preflight_state.looking_since)}"))
    elif preflight_state.looked_at is None and not preflight_state.trouble:
        parts.append(Content("once the host is reached"))
    if preflight_state.repairing or preflight_state.looking_since is None:
        parts.append(advice)
    line = Content.assemble((f"{'Preflight':<13}", "$text-muted")) + Content("; ").join(parts)
    if not preflight_state.trouble or preflight_state.looking_since is not None:
        return line
    return Content.assemble(line, "\n", (f"could not look: {preflight_state.trouble}", "bold $text-error"))


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


class Checklist(UpdatingText):
    """Some lines a check; the cursor stays with its check when they are looked at again."""

    preflight_state: reactive[PreflightState] = reactive(PreflightState(), init=False)

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._at = 0
        self._tops = [0]

    @property
    def selected(self) -> Check | None:
        """The check under the cursor."""
        checks = self.preflight_state.checks
        return checks[self._at] if self._at < len(checks) else None

    def watch_preflight_state(self, old: PreflightState, new: PreflightState) -> None:
        """Say the new state; the first look puts the cursor on what to see to first."""
        if new.checks != old.checks:
            names = [check.name for check in new.checks]
            here = old.checks[self._at].name if self._at < len(old.checks) else None
            self._at = names.index(here) if here in names else first_concern(new.checks)
        self.tick()

    def on_resize(self) -> None:
        """Wrap anew."""
        self.tick()

    def tick(self) -> None:
        """Let the time of a repair go on."""
        if not self.size.width:
            return
        lines: list[Content] = []
        self._tops = [0]
        for place, check in enumerate(self.preflight_state.checks):
            repair = self.preflight_state.repair
            lines += check_lines(
                check,
                selected=place == self._at,
                repair=repair if repair is not None and repair.check == check.name else None,
                width=self.size.width,
                now=time.monotonic(),
            )
            self._tops.append(len(lines))
        self.say(Content("\n").join(lines))

    def move(self, by: int) -> bool:
        """Select another check; False if there is none in that direction."""
        to = self._at + by
        if not 0 <= to < len(self.preflight_state.checks):
            return False
        self._at = to
        self.tick()
        return True

    @property
    def selected_top(self) -> int:
        """The first line of the selected check."""
        return self._tops[self._at] if self._at < len(self._tops) else 0

    @property
    def selected_height(self) -> int:
        """Lines of the selected check."""
        return self._tops[self._at + 1] - self._tops[self._at] if self._at + 1 < len(self._tops) else 0

    def on_click(self, event: events.Click) -> None:
        """Select the check that was clicked."""
        for place in range(len(self.preflight_state.checks)):
            if self._tops[place] <= event.y < self._tops[place + 1]:
                self.move(place - self._at)
                return
