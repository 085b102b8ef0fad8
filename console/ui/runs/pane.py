"""View 2: the condition x seed matrix; launch, run again, abort."""

from __future__ import annotations

import time

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from console.ui.actions import bindings
from console.ui.messages import AbortWanted, LaunchWanted, PullAgainWanted, RunSelected, VerifyWanted, ViewWanted
from console.ui.pane import Pane, UpdatingText
from console.ui.runs.cell import RunCell
from console.ui.runs.details import details
from engine.contract.experiment import USER_BUNDLES, Experiment
from engine.contract.settings import RunId

_TALL = 26  # lines of the view that hold three rows of cells and more than three lines of details


class RunsPane(Pane, inherit_bindings=False):
    """The matrix with a cursor, and what is known of the run under it."""

    SCOPE = "runs"
    BINDINGS = bindings("runs")

    def __init__(self, experiment: Experiment, runs: tuple[RunId, ...], *, id: str) -> None:
        super().__init__(id=id)
        self._experiment = experiment
        self._rows: dict[str, list[RunId]] = {}
        for run in runs:
            self._rows.setdefault(run.condition, []).append(run)
        self._cells = {run: RunCell(run) for run in runs}
        if runs:  # selected before anything is styled
            self.set_reactive(RunsPane.selected, runs[0])
            self._cells[runs[0]].add_class("selected")

    def compose(self) -> ComposeResult:
        """A row of cells a condition under its title, the details below."""
        with VerticalScroll(id="matrix", can_focus=False):
            for name, runs in self._rows.items():
                condition = self._experiment.conditions[name]
                title = f"  {condition.title}: {condition.edition or USER_BUNDLES} bundles, {condition.curriculum} curriculum"
                yield Static(Content.assemble((name, "bold"), title), classes="condition")
                with Horizontal(classes="cells"):
                    yield from (self._cells[run] for run in runs)
        yield UpdatingText(id="details")

    def on_resize(self, event: events.Resize) -> None:
        """More on the selected run where there is room for it."""
        self.set_class(event.size.height >= _TALL, "tall")

    def watch_snapshot(self) -> None:
        """Bring every cell up to date."""
        self.tick()

    def tick(self) -> None:
        """Let the times go on; what says the same is not drawn again."""
        if self.snapshot is None:
            return
        now = time.time()
        for run, cell in self._cells.items():
            view = self.snapshot.runs[run]
            cell.show(view, self.snapshot.sync_states[run], self.clock.seconds(view, now))
        self._show_details()

    def watch_selected(self, old: RunId | None, new: RunId | None) -> None:
        """Move the cursor."""
        if old in self._cells:
            self._cells[old].remove_class("selected")
        if new in self._cells:
            self._cells[new].add_class("selected")
        if new in self._cells and old is not None:
            self._cells[new].scroll_visible(animate=False)
            self._show_details()

    def _show_details(self) -> None:
        if self.snapshot is None or self.selected is None:
            return
        in_stage = self.clock.seconds(self.snapshot.runs[self.selected], time.time())
        self.query_one("#details", UpdatingText).say(details(self.snapshot, self.selected, in_stage, time.monotonic()))

    def action_move(self, right: int, down: int) -> None:
        """Move the cursor by one; it stops at the edges."""
        if self.selected is None:
            return
        names = list(self._rows)
        row = min(max(0, names.index(self.selected.condition) + down), len(names) - 1)
        place = self._rows[self.selected.condition].index(self.selected) + right
        runs = self._rows[names[row]]
        self.post_message(RunSelected(runs[min(max(0, place), len(runs) - 1)]))

    def action_open_live(self) -> None:
        """Watch the selected run."""
        self.post_message(ViewWanted("live"))

    def action_launch(self) -> None:
        """Launch the selected run."""
        if self.selected is not None:
            self.post_message(LaunchWanted((self.selected,)))

    def action_launch_condition(self) -> None:
        """Launch every seed of the selected condition."""
        if self.selected is not None:
            self.post_message(LaunchWanted(tuple(self._rows[self.selected.condition])))

    def action_launch_all(self) -> None:
        """Launch every run."""
        self.post_message(LaunchWanted(tuple(self._cells)))

    def action_launch_again(self) -> None:
        """Run the selected run once more."""
        if self.selected is not None:
            self.post_message(LaunchWanted((self.selected,), again=True))

    def action_abort(self) -> None:
        """Abort the selected run."""
        if self.selected is not None:
            self.post_message(AbortWanted((self.selected,)))

    def action_abort_all(self) -> None:
        """Abort everything that goes on."""
        self.post_message(AbortWanted(tuple(self._cells)))

    def action_pull_again(self) -> None:
        """Ask again for what did not come home."""
        self.post_message(PullAgainWanted())

    def action_verify_synced(self) -> None:
        """Read what is at home again."""
        self.post_message(VerifyWanted())
