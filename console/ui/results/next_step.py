"""Dialogs of the next step: which one, and the change that it means, edited as TOML and checked while it is typed."""

from __future__ import annotations

from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static, TextArea

from console.results.next_steps.derive import (
    Addition,
    change_text,
    draft,
    error_in_typed,
    next_name,
    origin,
    with_addition,
)
from console.results.next_steps.records import NextStep
from console.ui.actions import bindings
from console.ui.dialogs import Choices
from engine.contract.bad_input import BadInput
from engine.contract.experiment import Experiment
from engine.contract.settings import run_ids

_STYLES = {
    "supported": "$text-success",
    "contradicted": "$text-error",
    "conflicting": "$text-warning",
    "no evidence": "$foreground-muted",
}
_REASON_NEEDED = "Say why, in one line: it is kept with the condition."


class NextStepsDialog(ModalScreen[NextStep | None], inherit_bindings=False):
    """Which step comes next; below the list, what the data say for and against the selected one."""

    BINDINGS = bindings("steps")

    def __init__(self, steps: tuple[NextStep, ...]) -> None:
        super().__init__()
        self._steps = steps

    def compose(self) -> ComposeResult:
        lines = [
            Content.assemble(f"{one.order}. {one.title}  ", (one.status, _STYLES[one.status])) for one in self._steps
        ]
        with Vertical(id="steps"):
            yield Static(Content.styled("Next steps, the plan's first", "bold"))
            first = next((at for at, one in enumerate(self._steps) if one.status == "supported"), 0)
            yield Choices(lines, height=7, id="step-list", selected=first)
            with VerticalScroll(id="step-evidence", can_focus=False):
                yield Static("", id="step-text", markup=False)
            yield Static("", id="step-keys", markup=False)

    def on_mount(self) -> None:
        self._show()

    @property
    def step(self) -> NextStep:
        """The selected step."""
        return self._steps[self.query_one(Choices).selected]

    def _show(self) -> None:
        step = self.step
        lines = [Content.assemble((f"{one.side}: ", "$foreground-muted"), one.text) for one in step.evidence]
        self.query_one("#step-evidence").scroll_home(animate=False)
        self.query_one("#step-text", Static).update(Content("\n").join([*lines, Content(step.advice)]))
        enter = "Enter opens the change     " if step.changes else "nothing to launch for it     "
        self.query_one("#step-keys", Static).update(Content(f"{enter}Esc closes"))

    @on(Choices.Clicked)
    def _show_clicked(self) -> None:
        self._show()

    def action_move(self, by: int) -> None:
        self.query_one(Choices).move(by)
        self._show()

    def action_scroll_text(self, by: int) -> None:
        self.query_one("#step-evidence").scroll_relative(y=4 * by, animate=False, immediate=True)

    @on(Choices.DoubleClicked)
    def action_choose(self) -> None:
        if self.step.changes:
            self.dismiss(self.step)

    def action_close(self) -> None:
        self.dismiss(None)


class ChangeDialog(ModalScreen[Addition | None], inherit_bindings=False):
    """The change that a step means: its TOML and the reason, edited; the result is what to add, None for nothing.

    Args:
        results: fingerprint of the results that the step is from.
    """

    BINDINGS = bindings("change")

    def __init__(self, step: NextStep, experiment: Experiment, file: Path, profile: str, results: str) -> None:
        super().__init__()
        self._step = step
        self._experiment = experiment
        self._file = file
        self._profile = profile
        self._results = results
        self._at = 0
        self._addition: Addition | None = None

    def compose(self) -> ComposeResult:
        with Vertical(id="change"):
            yield Static("", id="change-title", markup=False)
            yield TextArea("", id="change-toml", show_line_numbers=True)
            yield Input(placeholder="why", id="change-reason")
            yield Static("", id="change-state", markup=False)
            more = "Ctrl+T next condition   " if len(self._step.changes) > 1 else ""
            yield Static(f"Ctrl+S adds and launches   Tab other field   {more}Esc cancels", markup=False)

    def on_mount(self) -> None:
        self.query_one(Input).value = self._step.title
        self._show()

    def _show(self) -> None:
        change = self._step.changes[self._at]
        name = next_name(self._experiment, change.parent) if change.parent else ""
        title = f"{name}, from {change.parent}: what differs" if name else "Seeds for every condition of the profile"
        self.query_one("#change-title", Static).update(Content.styled(title, "bold"))
        self.query_one(TextArea).load_text(change_text(self._experiment, self._profile, change))
        self._check()

    @on(TextArea.Changed)
    @on(Input.Changed)
    def _check(self) -> None:
        """Check what is typed, and say what it would add or what is wrong."""
        change, typed = self._step.changes[self._at], self.query_one(TextArea).text
        addition = Addition((), "")
        self._addition = None
        reason = self.query_one(Input).value.strip()
        try:
            made = origin(reason or "none", self._profile, self._results)
            addition = draft(self._experiment, self._profile, change, typed, made)
            _, experiment = with_addition(self._file, addition, self._profile)
        except BadInput as error:
            self._say(error_in_typed(error, addition, typed), "$text-error")
            return
        if not reason:
            self._say(_REASON_NEEDED, "$text-warning")
            return
        self._addition = addition
        known = set(run_ids(self._experiment, self._profile))
        runs = [run.label for run in run_ids(experiment, self._profile) if run not in known]
        shown = ", ".join(runs[:6]) + (f" and {len(runs) - 6} more" if len(runs) > 6 else "")
        self._say(f"Adds {shown}.", "$text-success")

    def _say(self, text: str, style: str) -> None:
        self.query_one("#change-state", Static).update(Content.styled(text, style))

    def action_next_change(self) -> None:
        self._at = (self._at + 1) % len(self._step.changes)
        self._show()

    def action_add(self) -> None:
        self._check()
        if self._addition is not None:
            self.dismiss(self._addition)

    def action_cancel(self) -> None:
        self.dismiss(None)
