"""View 3, Live: curves of all runs, and the log of the selected run."""

from __future__ import annotations

import time
from functools import partial

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.dom import DOMNode

from console.format import duration, run_label
from console.runs.run_view import fraction_done, training_seconds_left
from console.ui.actions import Scope, bindings
from console.ui.live.chart import MIN_WIDTH, ChartOptions, ChartPanel
from console.ui.live.curves import (
    DevelopmentScore,
    colours,
    development_curves,
    development_scores,
    letters,
    loss_curves,
    mean_pool_level,
)
from console.ui.live.log_panel import LogPanel
from console.ui.messages import RunSelected
from console.ui.pane import Pane, UpdatingText
from console.ui.runs.run_text import mark_text, stage_text
from engine.contract.settings import RunId

_LAYOUTS = ("both", "loss", "development", "none")
_TWO_CHARTS = 2 * (MIN_WIDTH + 1)  # columns that hold both side by side
_TICKS_PER_DRAWING = 2  # a tick is a quarter of a second, so charts follow at 2 Hz


class LivePane(Pane, inherit_bindings=False):
    """Charts on top, one status line of the selected run, its log below."""

    SCOPE = "live"
    BINDINGS = bindings("live")

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, can_focus=False)
        self._smooth = True
        self._log_scale = False
        self._layout = "both"
        self._score = DevelopmentScore()
        self._ticks = 0
        self._shown_log: tuple[RunId, str] | None = None

    def compose(self) -> ComposeResult:
        with Horizontal(id="charts"):
            yield ChartPanel("No training step yet: the curves begin when a run trains.", id="loss")
            yield ChartPanel("No measurement yet: the first comes before the first step.", id="development")
        yield UpdatingText(id="live-status")
        yield LogPanel(id="log")

    @property
    def log_panel(self) -> LogPanel:
        """The widget that shows the log of the selected run."""
        return self.query_one(LogPanel)

    def scope_owners(self) -> tuple[tuple[DOMNode, Scope], ...]:
        """The view itself and its log."""
        return ((self, "live"), (self.log_panel, "log"))

    def focus_content(self) -> None:
        """Focus the log: it has the scroll keys."""
        self.log_panel.focus_log()

    def watch_snapshot(self) -> None:
        """Show the log of the run's present launch; the charts follow on the next tick."""
        self._show_log()
        self._show_status()

    def watch_selected(self) -> None:
        """Show the run's log, and its curve on top of the others."""
        self._show_log()
        self._show_status()
        self._request_drawings()

    def tick(self) -> None:
        """Show new log lines at every tick, new curves at every other."""
        self._ticks += 1
        self.log_panel.poll()
        self._show_status()
        if self._ticks % _TICKS_PER_DRAWING == 0:
            self._request_drawings()

    def on_resize(self) -> None:
        self._show_status()
        self._update_layout()

    def _show_log(self) -> None:
        if self.session is None or self.snapshot is None or self.selected is None:
            return
        state = self.snapshot.runs[self.selected].state
        shown_log = (self.selected, state.key if state else "")
        if shown_log != self._shown_log:
            self._shown_log = shown_log
            self.log_panel.show(self.session.log(self.selected))

    def _request_drawings(self) -> None:
        """Bring the visible charts up to date."""
        if self.snapshot is None:
            return
        views, selected = self.snapshot.runs, self.selected
        loss, development = self.query_one("#loss", ChartPanel), self.query_one("#development", ChartPanel)
        colour = not self.app.no_color
        blocks = colour and not self.glyphs.is_ascii
        legend = self._legend(blocks)
        modes = ", ".join(name for name, on in (("smooth", self._smooth), ("log", self._log_scale)) if on)
        loss.title = Content.assemble(("Loss", "bold"), f" {modes} ", legend)
        score = self._score
        development.title = self._development_title(development.size.width)
        options = ChartOptions(log_scale=self._log_scale, blocks=blocks, colour=colour)
        if loss.display:
            key = (selected, self._smooth, [view.losses for view in views.values()])
            loss.request(key, partial(loss_curves, views, selected, smoothed=self._smooth), options)
        if development.display:
            whole = ChartOptions(blocks=blocks, colour=colour, whole_x=True)
            drawn = (selected, score, [view.measurements for view in views.values()])
            development.request(drawn, partial(development_curves, views, selected, score), whole)

    def _development_title(self, width: int) -> Content:
        """The score, what mean pooling has, and the epoch of the best measurement, as much as ``width`` columns hold."""
        views, selected, score = self.snapshot.runs if self.snapshot else {}, self.selected, self._score
        level = mean_pool_level(views, selected, score)
        best = views[selected].best_measurement if selected in views else None
        pooling, epoch = (f"{level:.1f}" if level is not None else ""), (f"{best.epoch:.1f}" if best else "")
        reference = f"  - mean pooling {pooling}" if pooling else ""
        short = f" - pooling {pooling}" if pooling else ""
        texts = [
            reference + (f"  best at epoch {epoch}" if epoch else ""),
            short + (f" best at {epoch}" if epoch else ""),
            reference,
            short,
        ]
        titles = [Content.assemble((score.label, "bold"), text) for text in texts]
        return next((title for title in titles if title.cell_length <= width), titles[-1])

    def _legend(self, blocks: bool) -> Content:
        """Each condition in its colour, with its letter where curves are drawn in letters; the selected run last."""
        names = dict.fromkeys(run.condition for run in self.snapshot.runs) if self.snapshot else {}
        parts = []
        for name, colour in colours(names).items():
            letter = letters(names)[name]
            sign = "■" if blocks else (f"{letter}=" if letter.lower() != name.lower() else "")
            parts.append(Content.styled(f"{sign}{name}", "rgb({},{},{})".format(*colour)))
        if self.selected is not None:
            sign = "■" if blocks else f"{letters(names)[self.selected.condition].upper()}="
            parts.append(Content.styled(f"{sign}{self.selected.label}", "bold"))
        return Content(" ").join(parts)

    def _show_status(self) -> None:
        """Update the status line: state and progress of the selected run, length of its log."""
        if self.snapshot is None or self.selected is None:
            return
        view, log = self.snapshot.runs[self.selected], self.log_panel
        done, left = fraction_done(view), training_seconds_left(view)
        details = []
        if view.state_name == "running":
            in_stage = self.clock.seconds(view, time.monotonic())
            details = [stage_text(view)]
            details += [f"for {duration(in_stage)}"] if in_stage is not None else []
            details += [f"{100 * done:.0f}%"] if done is not None else []
            details += [f"ETA {duration(left)}"] if left is not None else []
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
            self.post_message(RunSelected(runs[(runs.index(self.selected) + by) % len(runs)]))

    def action_toggle_smooth(self) -> None:
        self._smooth = not self._smooth
        self._request_drawings()

    def action_toggle_log_scale(self) -> None:
        self._log_scale = not self._log_scale
        self._request_drawings()

    def watch_glyphs(self) -> None:
        """Draw the curves with the new signs."""
        self._request_drawings()

    def action_cycle_scores(self) -> None:
        """Show the next score on development data: top-1, loss, then those of each development set."""
        scores = development_scores(self.snapshot.runs) if self.snapshot is not None else [self._score]
        at = scores.index(self._score) if self._score in scores else -1
        self._score = scores[(at + 1) % len(scores)]
        self._request_drawings()

    def action_cycle_charts(self) -> None:
        """Go on to the next layout: both charts if there is room, loss alone, development alone, no chart."""
        layouts = _LAYOUTS if self.size.width >= _TWO_CHARTS else _LAYOUTS[1:]
        self._layout = layouts[(layouts.index(self._visible_charts) + 1) % len(layouts)]
        self._update_layout()

    @property
    def _visible_charts(self) -> str:
        return "loss" if self._layout == "both" and self.size.width < _TWO_CHARTS else self._layout

    def _update_layout(self) -> None:
        visible = self._visible_charts
        self.query_one("#loss").display = visible in ("both", "loss")
        self.query_one("#development").display = visible in ("both", "development")
        self.query_one("#charts").display = visible != "none"
        self.call_after_refresh(self._request_drawings)
