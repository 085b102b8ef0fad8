"""Dialog that records a decision: what is decided, and why."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from console.results.analysis.records import Analysis
from console.results.next_steps.decisions import Decision, Kind, decide_now, decision_text
from console.results.records import Results
from console.ui.actions import bindings
from console.ui.dialogs import Choices
from engine.contract.bad_input import BadInput
from engine.contract.experiment import Experiment


class DecisionDialog(ModalScreen[Decision | None], inherit_bindings=False):
    """What is decided on results and analysis; the result is the decision, None if there is none."""

    BINDINGS = bindings("decide")

    def __init__(self, experiment: Experiment, results: Results, analysis: Analysis) -> None:
        super().__init__()
        self._results = results
        self._analysis = analysis
        self._choices = choices(experiment, results, analysis)

    def compose(self) -> ComposeResult:
        analysis = self._analysis
        lines = [Content(decision_text(kind, condition)) for kind, condition in self._choices]
        with Vertical(id="decide"):
            yield Static(Content.styled("Record a decision", "bold"))
            yield Static(Content(analysis.summary), id="decide-summary", markup=False)
            yield Choices(lines, height=7, id="decide-list")
            yield Input(placeholder="why", id="decide-reason")
            yield Static("", id="decide-state", markup=False)
            yield Static("Up, Down choose   Enter records it, for good   Esc cancels", markup=False)

    def action_move(self, by: int) -> None:
        self.query_one(Choices).move(by)

    @on(Input.Submitted)
    def _record(self, event: Input.Submitted) -> None:
        event.stop()
        kind, condition = self._choices[self.query_one(Choices).selected]
        try:
            self.dismiss(decide_now(self._results, self._analysis, kind, condition, event.value))
        except BadInput as error:
            self.query_one("#decide-state", Static).update(Content.styled(error.message, "$text-error"))

    def action_cancel(self) -> None:
        self.dismiss(None)


def choices(experiment: Experiment, results: Results, analysis: Analysis) -> list[tuple[Kind, str]]:
    """What can be decided, with the condition that it is about; what the verdict says comes first."""
    names = [one.condition for one in results.conditions]
    shippable = [name for name in names if name in analysis.shippable]
    falling_back = dict.fromkeys(one.fall_back for one in experiment.contingency if one.fall_back in names)
    found: list[tuple[Kind, str]] = [("do not ship", ""), ("go on", "")]
    if analysis.verdict != "do not ship":
        found.reverse()
    found[:0] = [("ship", name) for name in shippable]
    found += [("fall back", name) for name in falling_back if name]
    return found + [("ship", name) for name in names if name not in shippable]
