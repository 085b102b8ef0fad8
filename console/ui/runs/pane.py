"""View 2: the condition x seed matrix; launch, restart, abort."""

from __future__ import annotations

import time

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from console.runs.run_view import RunView
from console.runs.snapshot import SyncState
from console.ui.actions import bindings
from console.ui.messages import AbortRequested, LaunchRequested, RestoreRequested, RunSelected
from console.ui.pane import Pane, UpdatingText
from console.ui.runs.run_text import cell_text, details_text
from engine.contract.experiment import USER_BUNDLES, Experiment
from engine.contract.settings import RunId, differences

_FRAME = 3  # lines of the screen around the view
_CELL_WIDTH = 22  # as in console.tcss
_CELL_HEIGHT = 5
_TALL = 26  # lines of the view that hold three rows of cells and more than three lines of details


class RunCell(Widget):
    """One run in the matrix; drawn again only when its text changes."""

    text: reactive[Content] = reactive(Content(""), init=False)

    def __init__(self, run: RunId) -> None:
        super().__init__(id=f"cell-{run.condition.replace('.', '-dot-')}-{run.seed}")  # an id may not have a dot
        self.run = run
        self.border_title = Content(run.label)
        self._shown: tuple[RunView, SyncState, float | None] = (RunView(run), SyncState(), None)

    def show(self, view: RunView, sync: SyncState, stage_seconds: float | None) -> None:
        """Show the state of ``view``."""
        known_view, known_sync, known_seconds = self._shown
        if view is known_view and sync is known_sync and stage_seconds == known_seconds:
            return
        self._shown = (view, sync, stage_seconds)
        self.on_resize()

    def on_resize(self) -> None:
        """Fit the text to the width."""
        self.text = cell_text(*self._shown, self.size.width)

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.post_message(RunSelected(self.run))

    def render(self) -> Content:
        return self.text


class RunsPane(Pane, inherit_bindings=False):
    """The matrix with a cursor, and details of the selected run."""

    SCOPE = "runs"
    BINDINGS = bindings("runs")

    def __init__(self, experiment: Experiment, profile: str, runs: tuple[RunId, ...], *, id: str) -> None:
        super().__init__(id=id)
        self._experiment = experiment
        self._differences = {
            name: differences(experiment, name, profile) for name in dict.fromkeys(run.condition for run in runs)
        }
        self._rows: dict[str, list[RunId]] = {}
        for run in runs:
            self._rows.setdefault(run.condition, []).append(run)
        self._cells = {run: RunCell(run) for run in runs}
        self._details = UpdatingText(id="details")  # kept, not queried: updates come while the console closes
        if runs:  # selected before anything is styled
            self.set_reactive(RunsPane.selected, runs[0])
            self._cells[runs[0]].add_class("selected")

    def compose(self) -> ComposeResult:
        """Per condition a title and a row of cells; the details below."""
        self.set_class(self.app.size.height - _FRAME >= _TALL, "tall")  # else the first layout would be done twice
        with VerticalScroll(id="matrix", can_focus=False):
            for name, runs in self._rows.items():
                condition = self._experiment.conditions[name]
                title = f"  {condition.title}: {condition.edition or USER_BUNDLES} bundles, {condition.curriculum} curriculum"
                yield Static(Content.assemble((name, "bold"), title), classes="condition")
                with Horizontal(classes="cells") as cells:
                    self._fit(cells, len(runs), self.app.size.width)
                    yield from (self._cells[run] for run in runs)
        yield self._details

    def on_resize(self, event: events.Resize) -> None:
        """Show more details of the selected run on a tall screen."""
        self.set_class(event.size.height >= _TALL, "tall")
        for cells, runs in zip(self.query(".cells"), self._rows.values(), strict=True):
            self._fit(cells, len(runs), event.size.width)

    @staticmethod
    def _fit(cells: Widget, count: int, width: int) -> None:
        """Let the ``count`` cells of a condition go on in further rows where they do not fit beside each other."""
        columns = max(1, width // _CELL_WIDTH)
        if count > columns:
            cells.styles.layout = "grid"
            cells.styles.grid_size_columns = columns
            cells.styles.height = _CELL_HEIGHT * -(-count // columns)
        elif str(cells.styles.layout) != "<horizontal>":
            cells.styles.layout = "horizontal"
            cells.styles.height = _CELL_HEIGHT

    def watch_snapshot(self) -> None:
        self.tick()

    def tick(self) -> None:
        """Update the times; a cell whose text stays the same is not drawn again."""
        if self.snapshot is None:
            return
        now = time.monotonic()
        for run, cell in self._cells.items():
            view = self.snapshot.runs[run]
            cell.show(view, self.snapshot.sync_states[run], self.clock.seconds(view, now))
        self._show_details()

    def watch_selected(self, old: RunId | None, new: RunId | None) -> None:
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
        stage_seconds = self.clock.seconds(self.snapshot.runs[self.selected], time.monotonic())
        different = self._differences.get(self.selected.condition, ())
        text = details_text(self.snapshot, self.selected, stage_seconds, time.monotonic(), different)
        self._details.set_text(text)

    def action_move(self, right: int, down: int) -> None:
        """Move the cursor by one; it stops at the edges."""
        if self.selected is None:
            return
        names = list(self._rows)
        row = min(max(0, names.index(self.selected.condition) + down), len(names) - 1)
        column = self._rows[self.selected.condition].index(self.selected) + right
        runs = self._rows[names[row]]
        self.post_message(RunSelected(runs[min(max(0, column), len(runs) - 1)]))

    def action_launch(self) -> None:
        if self.selected is not None:
            self.post_message(LaunchRequested((self.selected,)))

    def action_launch_condition(self) -> None:
        if self.selected is not None:
            self.post_message(LaunchRequested(tuple(self._rows[self.selected.condition])))

    def action_launch_all(self) -> None:
        self.post_message(LaunchRequested(tuple(self._cells)))

    def action_restart(self) -> None:
        if self.selected is not None:
            self.post_message(LaunchRequested((self.selected,), restart=True))

    def action_restore(self) -> None:
        if self.selected is not None:
            self.post_message(RestoreRequested(self.selected))

    def action_abort_all(self) -> None:
        self.post_message(AbortRequested(tuple(self._cells)))
