"""View 3, Live: charts of all runs, and the log of the selected run."""

from __future__ import annotations

import time

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.dom import DOMNode

from console.charts.chart import Chart
from console.charts.export import chart_png, chart_svg
from console.format import duration, run_label
from console.plain_table import PlainTable, table_csv
from console.runs.run_view import fraction_done, training_seconds_left
from console.runs.staleness import staleness
from console.ui.actions import Scope, bindings
from console.ui.exports import Export
from console.ui.live.charts import ChartCommands
from console.ui.live.log_panel import LogPanel
from console.ui.live.log_view import LogView
from console.ui.messages import StepChosen
from console.ui.pane import UpdatingText
from console.ui.runs.run_text import eta_text, mark_text, stage_text
from engine.contract.settings import RunId


class LivePane(ChartCommands, inherit_bindings=False):
    """Charts on top, one status line of the selected run, its log below."""

    SCOPE = "live"
    BINDINGS = bindings("live")

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._shown_log: tuple[RunId, str] | None = None

    def compose(self) -> ComposeResult:
        yield from self.compose_charts()
        yield UpdatingText(id="live-status")
        yield LogPanel(id="log")

    @property
    def log_panel(self) -> LogPanel:
        """The widget that shows the log of the selected run."""
        return self.query_one(LogPanel)

    def scope_owners(self) -> tuple[tuple[DOMNode, Scope], ...]:
        """The view itself, the selected chart and the log."""
        return ((self, "live"), (self.panel, "chart"), (self.log_panel, "log"))

    def command(self) -> tuple[str, ...]:
        """The log of the selected run, followed."""
        return ("logs", self.selected.label, "--follow") if self.selected is not None else ("status",)

    def exports(self) -> tuple[Export, ...]:
        """The selected chart."""
        chart = self.chart()
        return _chart_exports(chart) if chart is not None else ()

    @property
    def log_widget(self) -> LogPanel:
        """The widget below the charts."""
        return self.log_panel

    def focus_content(self) -> None:
        """Focus the log, which has the scroll keys, or the selected chart where there is no log."""
        if self.log_panel.display:
            self.log_panel.focus_log()
        else:
            self.screen.set_focus(self.panel, scroll_visible=False)

    def watch_snapshot(self) -> None:
        """Show the log of the run's present launch; the charts follow on the next tick."""
        self._show_log()
        self._show_status()

    def watch_selected(self) -> None:
        """Show the run's log, and its curve on top of the others."""
        self._show_log()
        self._show_status()
        self.request_drawings()

    def tick(self) -> None:
        """Show new log lines, and new values of charts that have not just been drawn."""
        self.log_panel.poll()
        self._show_status()
        self.request_drawings()

    def on_resize(self) -> None:
        self._show_status()
        self.update_layout()

    def show_step(self, step: int) -> None:
        """Select the line of the log that names ``step``."""
        self.log_panel.go_to_step(step)

    @on(StepChosen)
    def _choose_step(self, message: StepChosen) -> None:
        message.stop()
        self.choose_step(message.step)

    @on(LogView.Moved)
    def _note_move(self, message: LogView.Moved) -> None:
        message.stop()
        self._show_status()

    def _show_log(self) -> None:
        if self.session is None or self.snapshot is None or self.selected is None:
            return
        state = self.snapshot.runs[self.selected].state
        shown_log = (self.selected, state.key if state else "")
        if shown_log != self._shown_log:
            self._shown_log = shown_log
            self.log_panel.show(self.session.log(self.selected))

    def _show_status(self) -> None:
        """Update the status line: state and progress of the selected run, length of its log."""
        if self.snapshot is None or self.selected is None:
            return
        view, log = self.snapshot.runs[self.selected], self.log_panel
        done, left = fraction_done(view), training_seconds_left(view)
        details, now = [], time.monotonic()
        stale = staleness(self.snapshot.host, now)
        if view.state_name == "running":
            in_stage = None if stale else self.clock.seconds(view, now)
            details = [] if stale else [stage_text(view)]  # as of when this is needs the room
            details += [f"for {duration(in_stage)}"] if in_stage is not None else []
            details += [f"{100 * done:.0f}%"] if done is not None else []
            details += [eta_text(left, stale)] if left is not None else [stale.note] if stale else []
        elif view.state and view.state.reason:
            details = [view.state.reason]
        state = Content("  ") + mark_text(view) + ("  " + "  ".join(details))
        tail = Content.styled(log.status_text(), "bold")
        room = max(0, self.size.width - tail.cell_length - 2)
        head = Content.styled(run_label(self.selected, room - state.cell_length), "bold") + state
        head = head.truncate(room, ellipsis=True).pad_right(max(0, room - head.cell_length))
        self.query_one("#live-status", UpdatingText).set_text(head + Content("  ") + tail)

    def action_select_run(self, by: int) -> None:
        """Select the run ``by`` places further on, first after last."""
        if self.snapshot is not None and self.selected is not None:
            runs = list(self.snapshot.runs)
            self.select_run(runs[(runs.index(self.selected) + by) % len(runs)])


def _chart_exports(chart: Chart) -> tuple[Export, ...]:
    """``chart`` as SVG and PNG, and the points that it is drawn from as CSV."""
    name = chart.metric.name.replace(".", "-")
    return (
        Export(f"the chart as SVG: {chart.title}", f"{name}.svg", lambda: chart_svg(chart).encode()),
        Export(f"the chart as PNG: {chart.title}", f"{name}.png", lambda: chart_png(chart)),
        Export("its points as CSV", f"{name}.csv", lambda: table_csv(_points_table(chart)).encode()),
    )


def _points_table(chart: Chart) -> PlainTable:
    """Every point of every run of ``chart``, as it was measured, without smoothing."""
    header = ("run", chart.x_title, chart.title)
    rows = (
        (curve.run.label, repr(x), repr(y))
        for curve in chart.curves
        for x, y in zip(*curve.series.points(), strict=True)
    )
    return PlainTable(header, tuple(rows))
