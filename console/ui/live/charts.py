"""Charts of view 3: how many are visible, what each shows, and the actions on them."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from msgspec import ValidationError, convert, to_builtins
from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.widget import Widget

from console.charts.chart import MODES, Y_MODES, Chart, ChartOptions, chart_of
from console.charts.host_chart import host_chart, host_metrics
from console.charts.metrics import LOSS_METRIC, X_AXES, Metric, XAxis, metrics_of, step_at_x, x_at_step
from console.ui.live.chart_panel import ChartPanel, PanelState
from console.ui.live.values import values_table
from console.ui.pane import Pane, UpdatingText
from console.ui.saved_screen import SavedCharts

_COLUMNS_OF_TWO, _COLUMNS_OF_SIX, _ROWS_OF_SIX = 100, 160, 44
_FIRST_METRICS = ("loss", "dev.top1", "dev.loss", "dev.margin", "dev.attention_entropy", "learning_rate")
_FIRST_SMOOTHING = 0.9  # of the loss, which is noisy
_LAYOUTS = ("charts and log", "charts", "log")
_ZOOM, _PAN = 2.0, 0.25  # factor; share of what is shown
_SMALLEST_PART = 1e-6  # of the axis: further zooming shows nothing new
_VALUES_LEAST = 5  # lines of the values at the crosshair
_LOG_LEAST = 6  # rows of the log that the values at the crosshair leave


def _state_of(metric: Metric) -> PanelState:
    return PanelState(metric, smoothing=_FIRST_SMOOTHING if metric == LOSS_METRIC else 0.0)


class ChartCommands(Pane):
    """The charts of a view and their actions; the view itself adds the log.

    What is chosen for all charts is kept here (x axis and its part, runs or means, crosshair), the rest by each chart.
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, can_focus=False)
        self._options = ChartOptions()
        self._layout = 0
        self._full_screen = False
        self._chosen = 0
        self._values_key: object = None
        known = {metric.name: metric for metric in metrics_of({})}
        self._panels = [
            ChartPanel(_state_of(known.get(name, LOSS_METRIC)), id=f"chart-{at}")
            for at, name in enumerate(_FIRST_METRICS)
        ]

    def saved_charts(self) -> SavedCharts:
        """What is chosen for all charts, and the metric of each."""
        options, metrics = self._options, tuple(panel.state.metric.name for panel in self._panels)
        return SavedCharts(options.mode, options.spread, options.x, self._layout, metrics)

    def restore_charts(self, saved: SavedCharts) -> None:
        """Choose for the charts what was kept, as far as it still has a meaning."""
        chosen = {"mode": saved.mode, "spread": saved.spread, "x": saved.x}
        with suppress(ValidationError):
            self._options = convert(to_builtins(self._options) | chosen, ChartOptions)
        self._layout = saved.layout % len(_LAYOUTS)
        known = {metric.name: metric for metric in metrics_of({})}
        for panel, name in zip(self._panels, saved.metrics, strict=False):
            if name in known and name != panel.state.metric.name:
                panel.state = _state_of(known[name])

    def compose_charts(self) -> ComposeResult:
        """The charts, and the values at the crosshair below them."""
        with Container(id="charts"):
            yield from self._panels
        yield UpdatingText(id="values")

    @property
    def log_widget(self) -> Widget:
        """The widget below the charts."""
        raise NotImplementedError

    @property
    def panel(self) -> ChartPanel:
        """The chart that keys act on."""
        return self._panels[self._chosen]

    @property
    def visible_panels(self) -> list[ChartPanel]:
        """The charts on the screen."""
        return [panel for panel in self._panels if panel.display] if self.query_one("#charts").display else []

    def chart(self) -> Chart | None:
        """The selected chart as it is drawn; None before its first drawing."""
        return self.panel.chart

    def request_drawings(self) -> None:
        """Bring the visible charts up to date."""
        if self.snapshot is None:
            return
        glyphs = "ascii" if self.app.no_color else self.glyphs.name  # letters tell apart what colours cannot
        views, gates = self.snapshot.runs, self.session.experiment.gates if self.session else None
        data = [  # with the last ones: a resumed run replaces as many as it takes again
            (len(view.steps), view.last_step, view.measurements[-1:], len(view.warnings), view.state_name)
            for view in views.values()
        ]
        for panel in self.visible_panels:
            options = self._options_of(panel)
            metric, history = panel.state.metric, self.snapshot.host_history
            if metric.of_host:
                newest = history.samples[-1:]
                panel.request((metric, options), newest, partial(host_chart, history, metric, options), glyphs)
                continue
            make = partial(chart_of, views, metric, options, selected=self.selected, gates=gates)
            panel.request((metric, options, self.selected), data, make, glyphs)
        self._show_values(data)

    def watch_glyphs(self) -> None:
        """Draw the charts with the new signs."""
        self.request_drawings()

    def _options_of(self, panel: ChartPanel) -> ChartOptions:
        state = panel.state
        return replace(
            self._options,
            smoothing=state.smoothing,
            log_scale=state.log_scale,
            y_mode=state.y_mode,
            y_range=state.y_range,
            colour=not self.app.no_color,
        )

    def _change(self, **changes: object) -> None:
        """Choose something for all charts."""
        self._options = replace(self._options, **changes)
        self.request_drawings()

    def _change_panel(self, state: PanelState) -> None:
        """Choose something for the selected chart."""
        self.panel.state = state
        self.request_drawings()

    def _choose(self, panel: ChartPanel) -> None:
        self._chosen = self._panels.index(panel)
        for one in self._panels:
            one.chosen = one is panel and len(self.visible_panels) > 1

    def action_select_chart(self, by: int) -> None:
        """Focus the chart ``by`` places further on; behind the last one is the log."""
        panels, focused = self.visible_panels, self.screen.focused
        at = next((place for place, panel in enumerate(panels) if panel is focused), len(panels))
        at = (at + by) % (len(panels) + self.log_widget.display)
        if at < len(panels):
            self._choose(panels[at])
            self.screen.set_focus(panels[at], scroll_visible=False)  # at once, as the next key goes by it
        else:
            self.focus_content()

    def action_cycle_metric(self, by: int) -> None:
        """Show the next or previous metric in the selected chart."""
        snapshot = self.snapshot
        metrics = (*metrics_of(snapshot.runs), *host_metrics(snapshot.host_history)) if snapshot else metrics_of({})
        names = [metric.name for metric in metrics]
        name = self.panel.state.metric.name
        at = names.index(name) if name in names else -1
        self._change_panel(_state_of(metrics[(at + by) % len(metrics)]))

    def action_cycle_mode(self) -> None:
        """Runs, the mean of each condition with its band, or both."""
        self._change(mode=MODES[(MODES.index(self._options.mode) + 1) % len(MODES)])

    def action_cycle_spread(self) -> None:
        """The band is the standard deviation, or from the lowest to the highest seed."""
        self._change(spread="range" if self._options.spread == "sd" else "sd")

    def action_cycle_x(self) -> None:
        """Steps, epochs, or seconds of training; the part that is shown and the crosshair stay where they are in the run."""
        axis = X_AXES[(X_AXES.index(self._options.x) + 1) % len(X_AXES)]
        part = self._options.x_range
        ends = [self._on_axis(x, axis) for x in part] if part else []
        low, high = ends if len(ends) == 2 else (None, None)
        kept = (low, high) if low is not None and high is not None and low < high else None
        crosshair = self._options.crosshair
        self._change(x=axis, x_range=kept, crosshair=None if crosshair is None else self._on_axis(crosshair, axis))

    def _on_axis(self, x: float, axis: XAxis) -> float | None:
        """``x`` of the present axis on another one, by the selected run."""
        step = self._step_at(x)
        return None if step is None else self._x_at(step, axis)

    def _step_at(self, x: float) -> int | None:
        if self.snapshot is None or self.selected is None:
            return None
        return step_at_x(self.snapshot.runs[self.selected], x, self._options.x)

    def _x_at(self, step: int, axis: XAxis | None = None) -> float | None:
        if self.snapshot is None or self.selected is None:
            return None
        return x_at_step(self.snapshot.runs[self.selected], step, axis or self._options.x)

    def action_cycle_y(self) -> None:
        """The y axis of the selected chart: all values, without outliers, or as it is now."""
        state, drawn = self.panel.state, self.panel.drawn
        mode = Y_MODES[(Y_MODES.index(state.y_mode) + 1) % len(Y_MODES)]
        limits = drawn.y_limits if mode == "fixed" else None
        if mode == "fixed" and limits is None:
            mode = "automatic"
        if limits is not None and state.log_scale:
            limits = (10.0 ** limits[0], 10.0 ** limits[1])
        self._change_panel(replace(state, y_mode=mode, y_range=limits))

    def action_toggle_log_scale(self) -> None:
        self._change_panel(replace(self.panel.state, log_scale=not self.panel.state.log_scale))

    def action_smooth(self, by: int) -> None:
        """Smooth the selected chart more or less."""
        self._change_panel(self.panel.state.smoother(by))

    def action_zoom(self, by: int) -> None:
        """Show half as much of the x axis, around the crosshair or the middle, or twice as much."""
        if self.panel.drawn.x_limits is None:
            return
        low, high = self._options.x_range or self.panel.drawn.x_limits
        crosshair = self._options.crosshair
        middle = crosshair if crosshair is not None and low <= crosshair <= high else (low + high) / 2
        factor = _ZOOM**-by
        self._show_part(middle - (middle - low) * factor, middle + (high - middle) * factor)

    def action_pan(self, by: int) -> None:
        """Move along the x axis."""
        if self._options.x_range is not None:
            low, high = self._options.x_range
            self._show_part(low + by * _PAN * (high - low), high + by * _PAN * (high - low))

    def _show_part(self, low: float, high: float) -> None:
        """Show a part of the x axis, within the whole of it; the whole where the part is no smaller."""
        whole = self._whole_x()
        if whole is None or high - low < _SMALLEST_PART * (whole[1] - whole[0]):
            return
        if high - low >= whole[1] - whole[0]:
            self._change(x_range=None)
            return
        shift = max(0.0, whole[0] - low) - max(0.0, high - whole[1])
        self._change(x_range=(low + shift, high + shift))

    def _whole_x(self) -> tuple[float, float] | None:
        """Limits of the x axis without zoom."""
        if self._options.x_range is None:
            return self.panel.drawn.x_limits
        chart = self.panel.chart
        ends = [curve.end or max(curve.series.points()[0], default=0.0) for curve in chart.curves] if chart else []
        return (0.0, max(ends)) if ends and max(ends) > 0 else None

    def action_reset(self) -> None:
        """All of x, automatic y, no crosshair."""
        self.panel.state = replace(self.panel.state, y_mode="automatic", y_range=None)
        self._change(x_range=None, crosshair=None)

    @on(ChartPanel.CrosshairToggled)
    def _toggle_crosshair(self, message: ChartPanel.CrosshairToggled) -> None:
        message.stop()
        self.toggle_crosshair()

    def toggle_crosshair(self) -> None:
        """Read values at a crosshair, first at the newest step of the selected run; or no more."""
        if self._options.crosshair is not None:
            self._change(crosshair=None)
            return
        views = self.snapshot.runs if self.snapshot is not None else {}
        chosen = [views[self.selected]] if self.selected is not None and self.selected in views else []
        view = next((view for view in (*chosen, *views.values()) if view.last_step), None)
        last = x_at_step(view, view.last_step[0], self._options.x) if view and view.last_step else None
        if last is not None:
            low, high = self._options.x_range or (0.0, last)
            self._put_crosshair(min(high, max(low, last)))

    def _put_crosshair(self, x: float) -> None:
        """Put the crosshair at ``x``, and the log at the step there."""
        self._change(crosshair=float(round(x)) if self._options.x == "step" else x)
        step = self._step_at(x)
        if step is not None:
            self.show_step(step)

    def show_step(self, step: int) -> None:
        """Show what the view has of ``step`` beside the charts."""

    def choose_step(self, step: int | None) -> None:
        """Put the crosshair at a step of the selected run; without one, or where it is already, toggle it."""
        x = None if step is None else self._x_at(step)
        if x is None or x == self._options.crosshair:
            self.toggle_crosshair()
        else:
            self._change(crosshair=x)

    @on(ChartPanel.CrosshairMoved)
    def _move_crosshair(self, message: ChartPanel.CrosshairMoved) -> None:
        message.stop()
        limits, x = message.panel.drawn.x_limits, self._options.crosshair
        if limits is None or x is None:
            return
        low, high = limits
        column = (high - low) / max(1, message.panel.drawn.columns - 1)
        least = 1.0 if self._options.x == "step" else 0.0
        self._put_crosshair(min(high, max(low, x + message.columns * max(least, column))))

    @on(ChartPanel.Clicked)
    def _click_chart(self, message: ChartPanel.Clicked) -> None:
        """Select the chart; on the selected one, put the crosshair there."""
        message.stop()
        if message.panel is self.panel and message.x is not None:
            self._put_crosshair(message.x)
        self._choose(message.panel)

    @on(ChartPanel.Scrolled)
    def _scroll_chart(self, message: ChartPanel.Scrolled) -> None:
        """Zoom by the wheel."""
        message.stop()
        self._choose(message.panel)
        self.action_zoom(message.by)

    @on(ChartPanel.Left)
    def _leave(self, message: ChartPanel.Left) -> None:
        message.stop()
        if self._full_screen:
            self.action_toggle_full_screen()
        else:
            self._change(crosshair=None)

    def _show_values(self, data: object) -> None:
        """Show the values of all visible charts at the crosshair, as many lines as leave room for the log.

        Args:
            data: equal while the runs have the same values.
        """
        values, crosshair = self.query_one("#values", UpdatingText), self._options.crosshair
        values.display = crosshair is not None and bool(self.visible_panels)
        metrics = [panel.state.metric for panel in self.visible_panels if not panel.state.metric.of_host]
        key = (data, metrics, self._options, self.selected, self.size)
        if not values.display or self.snapshot is None or key == self._values_key:
            return
        self._values_key = key
        rows = max(_VALUES_LEAST, self.size.height - self.query_one("#charts").size.height - 1 - _LOG_LEAST)
        options = replace(self._options, colour=not self.app.no_color)
        values.set_text(values_table(self.snapshot.runs, metrics, options, self.selected, self.size.width, rows))

    def action_cycle_layout(self) -> None:
        """Charts and log, charts alone, or the log alone."""
        self._layout = (self._layout + 1) % len(_LAYOUTS)
        self._full_screen = False
        self.update_layout()

    def action_toggle_full_screen(self) -> None:
        """The selected chart alone, or all of them again."""
        self._full_screen = not self._full_screen
        if self._full_screen and _LAYOUTS[self._layout] == "log":
            self._layout = 0
        self.update_layout()

    def update_layout(self) -> None:
        """Show as many charts as there is room for, the log or not; keep the focus on something visible."""
        layout = _LAYOUTS[self._layout]
        width, height = self.size
        columns, rows = (2, 1) if width >= _COLUMNS_OF_TWO else (1, 1)
        if width >= _COLUMNS_OF_SIX and height >= _ROWS_OF_SIX:
            columns, rows = 3, 2
        if self._full_screen:
            columns, rows = 1, 1
        first = self._chosen if columns * rows == 1 else 0
        charts = self.query_one("#charts")
        charts.styles.grid_size_columns, charts.styles.grid_size_rows = columns, rows
        for at, panel in enumerate(self._panels):
            panel.display = first <= at < first + columns * rows
            panel.charts = columns * rows
        charts.display = layout != "log"
        with_log = layout != "charts" and not self._full_screen
        charts.styles.height = "55%" if with_log else "1fr"
        self.log_widget.display = with_log
        if not self.panel.display:
            self._chosen = first
        self._choose(self.panel)
        focused = self.screen.focused
        in_log = focused is not None and self.log_widget in focused.ancestors
        if not (with_log if in_log else layout != "log" and focused is self.panel):
            self.focus_content()
        self.call_after_refresh(self.request_drawings)
