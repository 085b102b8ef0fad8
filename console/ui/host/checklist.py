"""The preflight checks: their text, and the list in which one is selected."""

from __future__ import annotations

import time

from textual import events
from textual.content import Content
from textual.reactive import reactive

from console.format import age, duration
from console.hosts.preflight.checks import Check, Status, worst_status
from console.ui.actions import key_of
from console.ui.host.preflight import checks_summary_text, worst_check_index
from console.ui.pane import UpdatingText
from console.ui.state import PreflightState, RepairProgress

_MARKS: dict[Status, tuple[str, str]] = {
    "ok": ("✓ ok", "$text-success"),
    "warning": ("! warning", "bold $text-warning"),
    "blocker": ("✗ blocker", "bold $text-error"),
}
_MARK_WIDTH, _NAME_WIDTH = 12, 22
_WIDE = 60  # from this width on, what was found stands beside a check's name, else below it


def preflight_text(state: PreflightState, now: float) -> Content:
    """Summary, age and progress of the preflight; ``now`` is ``time.monotonic()``."""
    parts: list[Content] = []
    if state.checked_at is not None:
        parts.append(Content.styled(checks_summary_text(state.checks), _MARKS[worst_status(state.checks)][1]))
        parts.append(Content(f"checked {age(now - state.checked_at)} ago"))
    if state.started_at is not None:
        parts.append(Content(f"checking, {age(now - state.started_at)}"))
    elif state.checked_at is None and not state.error:
        parts.append(Content("starts once the host is connected"))
    if state.repairing or state.started_at is None:
        action, effect = ("app.stop", "stops waiting") if state.repairing else ("app.check_again", "checks again")
        parts.append(Content.assemble((key_of(action), "bold $text-accent"), f" {effect}"))
    line = Content.assemble((f"{'Preflight':<13}", "$foreground-muted")) + Content("; ").join(parts)
    if not state.error or state.started_at is not None:
        return line
    return Content.assemble(line, "\n", (f"could not check: {state.error}", "bold $text-error"))


def check_lines(
    check: Check, *, selected: bool, repair: RepairProgress | None, width: int, now: float
) -> list[Content]:
    """One check in lines of at most ``width`` cells: status, what was found, advice, progress of its repair."""
    mark, style = _MARKS[check.status]
    head = Content.assemble(
        ("> " if selected else "  ", "bold $text-accent"),
        (mark.ljust(_MARK_WIDTH - 2), style),
        (check.name.ljust(_NAME_WIDTH), "bold" if selected else ""),
    )
    texts = [Content(check.found)]
    if check.status != "ok" and check.advice:
        key = Content.assemble("  ", (key_of("repair"), "bold $text-accent"), " does it")
        texts.append(Content.styled(check.advice, "italic") + (key if check.repair else ""))
    if repair is not None:
        texts.append(_repair_text(repair, now))
    indent = _MARK_WIDTH + _NAME_WIDTH if width >= _WIDE else 4
    wrapped = [line for text in texts for line in text.wrap(max(8, width - indent))]
    if width >= _WIDE:
        return [head + wrapped[0], *(line.pad_left(indent) for line in wrapped[1:])]
    return [*head.rstrip().wrap(max(8, width)), *(line.pad_left(indent) for line in wrapped)]


def _repair_text(repair: RepairProgress, now: float) -> Content:
    step = repair.step or "waiting for the host"
    if repair.ended_at is None:
        return Content.assemble((step, "$text-accent"), f", {duration(now - repair.started_at)}")
    took = f" after {duration(repair.ended_at - repair.started_at)}"
    if repair.error:
        return Content.styled(f"{repair.error}{took}; last: {step}", "bold $text-error")
    return Content.styled(f"{step}{took}", "$text-accent")


class Checklist(UpdatingText):
    """The checks with a cursor, which stays with its check when the host is checked again."""

    preflight_state: reactive[PreflightState] = reactive(PreflightState(), init=False)

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._index = 0
        self._tops = [0]  # first line of each check, and the end of the last

    @property
    def selected(self) -> Check | None:
        """The selected check; None before the first preflight."""
        checks = self.preflight_state.checks
        return checks[self._index] if self._index < len(checks) else None

    def watch_preflight_state(self, old: PreflightState, new: PreflightState) -> None:
        """Show the new state; select the worst check unless the selected one is still there."""
        if new.checks != old.checks:
            names = [check.name for check in new.checks]
            selected = old.checks[self._index].name if self._index < len(old.checks) else None
            self._index = names.index(selected) if selected in names else worst_check_index(new.checks)
        self.tick()

    def on_resize(self) -> None:
        self.tick()

    def tick(self) -> None:
        """Update the time of a repair."""
        if not self.size.width:
            return
        lines: list[Content] = []
        self._tops = [0]
        for index, check in enumerate(self.preflight_state.checks):
            repair = self.preflight_state.repair
            lines += check_lines(
                check,
                selected=index == self._index,
                repair=repair if repair is not None and repair.check == check.name else None,
                width=self.size.width,
                now=time.monotonic(),
            )
            self._tops.append(len(lines))
        self.set_text(Content("\n").join(lines))

    def move(self, by: int) -> bool:
        """Select another check; False if there is none in that direction."""
        index = self._index + by
        if not 0 <= index < len(self.preflight_state.checks):
            return False
        self._index = index
        self.tick()
        return True

    @property
    def laid_out(self) -> bool:
        """Whether all checks have their place on the page, so that it can be scrolled to them."""
        return self.size.height >= self._tops[-1] > 0

    @property
    def selected_top(self) -> int:
        """The first line of the selected check."""
        return self._tops[self._index] if self._index < len(self._tops) else 0

    @property
    def selected_height(self) -> int:
        """Lines of the selected check."""
        return self._tops[self._index + 1] - self._tops[self._index] if self._index + 1 < len(self._tops) else 0

    def on_click(self, event: events.Click) -> None:
        for index in range(len(self.preflight_state.checks)):
            if self._tops[index] <= event.y < self._tops[index + 1]:
                self.move(index - self._index)
                return
