"""View 2: the condition x seed matrix, totals, details and, where there is room, an overview; launch, restart, abort."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from textual import events, on
from textual.app import ComposeResult
from textual.content import Content

from console.runs.snapshot import Snapshot
from console.runs.staleness import staleness
from console.ui.actions import bindings
from console.ui.messages import (
    AbortRequested,
    LaunchRequested,
    NewRunsRequested,
    RestoreRequested,
    RunOpened,
)
from console.ui.pane import Pane, UpdatingText
from console.ui.runs.cards import CONDITION_HEIGHT, RunCards
from console.ui.runs.overview import LEAST_HEIGHT, Overview
from console.ui.runs.run_text import details_text
from engine.contract.experiment import USER_BUNDLES, Experiment
from engine.contract.settings import RunId, Settings, differences, resolve

if TYPE_CHECKING:  # what is not needed for the first paint is imported after it
    from console.runs.estimates import Estimate, RunTimes
    from console.ui.exports import Export
    from console.ui.runs.matrix import RunMatrix

_FRAME = 3  # lines of the screen around the view
_TALL = 26  # lines of the view that hold three rows of cards and more than three lines of details
_DETAILS, _TALL_DETAILS = 3, 9  # lines of details at most, as in console.tcss
_REST = 1 + _TALL_DETAILS + LEAST_HEIGHT  # lines below the matrix on a tall screen: totals, details and an overview
_OVERVIEW = 12  # lines of the overview that a matrix leaves free on a tall screen rather than to show more rows
_MAX_CARDS = 3  # beside each other at 80 columns, and below each other at 24 lines


class RunsPane(Pane, inherit_bindings=False):
    """View 2: all runs as cards or a compact matrix, one of them selected, and its details."""

    SCOPE = "runs"
    BINDINGS = bindings("runs")

    def __init__(self, experiment: Experiment, profile: str, runs: tuple[RunId, ...], *, id: str) -> None:
        super().__init__(id=id)
        self._experiment = experiment
        self._profile = profile
        self._runs = runs
        self._conditions = tuple(dict.fromkeys(run.condition for run in runs))
        self._differences = {name: differences(experiment, name, profile) for name in self._conditions}
        self._body: RunCards | RunMatrix | None = None
        self._total = UpdatingText(id="total")
        self._details = UpdatingText(id="details")  # kept, not queried: updates come while the console closes
        self._totals_of: tuple[object, ...] = ()
        self._is_painted = False  # totals and overview follow the first paint, as they import and compute much
        self._overview = Overview(id="overview")
        self._settings: dict[RunId, Settings] | None = None  # resolved after the first paint
        self._expected: tuple[Snapshot | None, dict[RunId, RunTimes]] = (None, {})
        if runs:  # selected before anything is styled
            self.set_reactive(RunsPane.selected, runs[0])

    def compose(self) -> ComposeResult:
        """The matrix, its totals, and the details below."""
        size = self.app.size
        self._make_body(self._wants_cards(size.height - _FRAME))
        self._fit(size.height - _FRAME)  # else the first layout would be done twice
        if self._body is not None:
            yield self._body
        yield self._total
        yield self._details
        yield self._overview

    def on_mount(self) -> None:
        self.call_after_refresh(self._draw_the_rest)

    def _draw_the_rest(self) -> None:
        self._is_painted = True
        self.tick()

    def _wants_cards(self, height: int) -> bool:
        """Cards while at most three seeds fit beside each other, and all conditions below each other with the rest."""
        seeds = len(self._runs) // max(1, len(self._conditions))
        return seeds <= _MAX_CARDS and len(self._conditions) <= max(_MAX_CARDS, (height - _REST) // CONDITION_HEIGHT)

    def _make_body(self, cards: bool) -> RunCards | RunMatrix:
        if cards:
            self._body = RunCards(self._runs, {name: self._title(name) for name in self._conditions}, id="matrix")
        else:
            from console.runs.matrix import derived_text
            from console.ui.runs.matrix import RunMatrix

            notes = {name: derived_text(self._experiment, name, self._profile) for name in self._conditions}
            self._body = RunMatrix(self._runs, notes, id="matrix")
        if self.selected is not None:
            self._body.select(self.selected)
        return self._body

    def _title(self, name: str) -> str:
        condition = self._experiment.conditions[name]
        return f"{condition.title}: {condition.edition or USER_BUNDLES} bundles, {condition.curriculum} curriculum"

    async def on_resize(self, event: events.Resize) -> None:
        """Show more of the selected run on a tall screen; cards where they fit by now, else the matrix."""
        height = event.size.height
        if self._body is not None and self._wants_cards(height) != isinstance(self._body, RunCards):
            await self._body.remove()
            await self.mount(self._make_body(self._wants_cards(height)), before=self._total)
        self._fit(height)
        self.tick()

    def _fit(self, height: int) -> None:
        """Set what a view of ``height`` lines has room for."""
        tall, cards = height >= _TALL, isinstance(self._body, RunCards)
        self.set_class(tall, "tall")
        self._total.display = tall or not cards
        if self._body is None:
            return
        below = self._total.display + (_TALL_DETAILS if tall else _DETAILS)
        lines = self._body.line_count
        if tall and not cards:
            lines = min(lines, max(_OVERVIEW, height - below - _OVERVIEW))
        self._overview.display = height - lines - below >= LEAST_HEIGHT
        # without an overview the matrix has all that is left, as console.tcss says
        self._body.styles.height = lines if self._overview.display else None
        self._body.styles.max_height = lines if self._overview.display else None

    def command(self) -> tuple[str, ...]:
        """The launch of the selected run."""
        if self.selected is None:
            return ("status",)
        return ("run", "--condition", self.selected.condition, "--seed", str(self.selected.seed))

    def exports(self) -> tuple[Export, ...]:
        """The runs as a table."""
        from console.runs.run_table import run_table
        from console.ui.exports import table_exports

        snapshot = self.snapshot
        return table_exports("the runs", "runs", lambda: run_table(snapshot)) if snapshot is not None else ()

    def watch_snapshot(self) -> None:
        self.tick()

    def tick(self) -> None:
        """Update the times; what stays the same is not drawn again."""
        if self.snapshot is None or self._body is None:
            return
        self._body.show(self.snapshot, self.clock)
        if self._is_painted:
            self._show_totals(self.snapshot)
        self._show_details()

    def _show_totals(self, snapshot: Snapshot) -> None:
        """Show times that are expected; without news once a second, as they are counted in minutes."""
        from console.ui.runs.overview_text import OverviewData, time_left_text, total_text

        now = time.time()
        layout = id(self._body), self._overview.display, self._total.display
        shown = (id(snapshot), self.selected, layout, self.glyphs.name, int(now))
        if shown == self._totals_of:
            return
        self._totals_of = shown
        found = self._estimate(snapshot)
        stale = staleness(snapshot.host, time.monotonic())
        self._total.set_text(total_text(found, None if snapshot.host.link == "replay" else now, stale))
        if isinstance(self._body, RunCards):
            self._body.show_time_left(Content("") if self._total.display else time_left_text(found, stale))
        if self._overview.display and self.selected is not None:
            self._overview.show(OverviewData(snapshot, self.selected, found, now, self.glyphs))

    def _estimate(self, snapshot: Snapshot) -> Estimate:
        """When the runs are expected to end; their times are measured again for a new snapshot only."""
        from console.runs.estimates import MeasuredRuns, estimate

        if self._settings is None:
            self._settings = {run: resolve(self._experiment, self._profile, run) for run in self._runs}
        if self._expected[0] is not snapshot:
            measured = MeasuredRuns(self._settings, snapshot.runs)
            self._expected = snapshot, measured.expected_of_all(self._settings)
        return estimate(snapshot, self._expected[1], snapshot.host_history.host_time(time.monotonic()))

    def watch_selected(self, old: RunId | None, new: RunId | None) -> None:
        if self._body is not None and new in self._runs and old is not None:
            self._body.select(new)
            self.tick()

    def _show_details(self) -> None:
        if self.snapshot is None or self.selected is None:
            return
        stage_seconds = self.clock.seconds(self.snapshot.runs[self.selected], time.monotonic())
        different = self._differences.get(self.selected.condition, ())
        text = details_text(self.snapshot, self.selected, stage_seconds, time.monotonic(), different)
        self._details.set_text(text)

    @on(RunOpened)
    async def _open(self) -> None:
        await self.run_action("app.show_view('live')")

    def action_move(self, right: int, down: int) -> None:
        """Move the cursor by one; it stops at the edges."""
        if self.selected is not None and self._body is not None:
            self.select_run(self._body.neighbour(self.selected, right, down))

    def action_cycle_order(self) -> None:
        if self._body is not None:
            self._body.next_order()

    def action_reverse_order(self) -> None:
        if self._body is not None:
            self._body.reverse_order()

    def action_launch(self) -> None:
        if self.selected is not None:
            self.post_message(LaunchRequested((self.selected,)))

    def action_launch_condition(self) -> None:
        if self.selected is not None:
            condition = self.selected.condition
            self.post_message(LaunchRequested(tuple(run for run in self._runs if run.condition == condition)))

    def action_launch_all(self) -> None:
        self.post_message(LaunchRequested(self._runs))

    def action_new_runs(self) -> None:
        self.post_message(NewRunsRequested(self.selected.condition if self.selected else ""))

    def action_restart(self) -> None:
        if self.selected is not None:
            self.post_message(LaunchRequested((self.selected,), restart=True))

    def action_restore(self) -> None:
        if self.selected is not None:
            self.post_message(RestoreRequested(self.selected))

    def action_abort_all(self) -> None:
        self.post_message(AbortRequested(self._runs))
