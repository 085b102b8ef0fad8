"""View 3: the curves of all runs, and the log of the selected one."""

from __future__ import annotations

import time
from functools import partial

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.css.query import NoMatches
from textual.widgets import Input

from console.format import counted, duration, run_name
from console.runs.run_view import fraction_done, training_seconds_left
from console.ui.actions import bindings
from console.ui.live.chart import MIN_WIDTH, ChartOptions
from console.ui.live.chart_panel import ChartPanel
from console.ui.live.curves import colours, letters, loss_series, mean_pool_level, top1_series
from console.ui.live.log_filter import LogFilter
from console.ui.live.log_view import LogView
from console.ui.messages import AbortWanted, RunSelected
from console.ui.pane import Pane, UpdatingText
from console.ui.runs.state_text import STAGES, mark_of
from engine.contract.settings import RunId

_LAYOUTS = ("both", "loss", "top1", "none")
_TWO_CHARTS = 2 * (MIN_WIDTH + 1)  # columns that hold both side by side
_TICKS_A_DRAWING = 2  # a tick is a quarter of a second, so charts follow at 2 Hz


class LogSearch(Input):
    """Where the filter of the log is typed."""

    BINDINGS = bindings("search")


class LivePane(Pane, inherit_bindings=False):
    """Charts above, one line on the selected run, its log below."""

    SCOPE = "live"
    BINDINGS = bindings("live")

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, can_focus=False)
        self._smooth = True
        self._log_scale = False
        self._blocks: bool | None = None
        self._layout = "both"
        self._ticks = 0
        self._drawn: object = None
        self._log_of: tuple[RunId, str] | None = None

    def compose(self) -> ComposeResult:
        """Two charts, a line, the log."""
        with Horizontal(id="charts"):
            yield ChartPanel("No training step yet: the curves begin when a run trains.", id="loss")
            yield ChartPanel("No validation yet: the first comes before the first step.", id="top1")
        yield UpdatingText(id="live-line")
        yield LogView(id="log")

    @property
    def log_view(self) -> LogView:
        """The log."""
        return self.query_one(LogView)

    def take_focus(self) -> None:
        """The log has the keys that scroll."""
        self.log_view.focus(scroll_visible=False)

    def watch_snapshot(self) -> None:
        """Turn to the log of the run's present launch; the charts follow on the tick."""
        self._turn_to_log()
        self._show_line()

    def watch_selected(self) -> None:
        """Another run: its log, and its curve on top."""
        self._turn_to_log()
        self._show_line()
        self._draw()

    def tick(self) -> None:
        """New lines at every tick, new curves at every other."""
        self._ticks += 1
        self.log_view.poll()
        self._show_line()
        if self._ticks % _TICKS_A_DRAWING == 0:
            self._draw()

    def on_resize(self) -> None:
        """Charts and a line of the new size."""
        self._show_line()
        self._lay_out()

    def _turn_to_log(self) -> None:
        if self.session is None or self.snapshot is None or self.selected is None:
            return
        state = self.snapshot.runs[self.selected].state
        log_of = (self.selected, state.key if state else "")
        if log_of != self._log_of:
            self._log_of = log_of
            self.log_view.show(self.session.log(self.selected))

    def _draw(self) -> None:
        """Ask for both charts anew, if what they show changed."""
        snapshot = self.snapshot
        if snapshot is None:
            return
        loss, top1 = self.query_one("#loss", ChartPanel), self.query_one("#top1", ChartPanel)
        colour = not self.app.no_color
        blocks = colour if self._blocks is None else self._blocks
        shown = (snapshot.version, self.selected, self._smooth, self._log_scale, blocks, loss.size, top1.size)
        if shown == self._drawn:
            return
        self._drawn = shown
        legend = self._legend(blocks)
        words = ", ".join(word for word, on in (("smooth", self._smooth), ("log", self._log_scale)) if on)
        loss.title = Content.assemble(("Loss", "bold"), f" {words} ", legend)
        level = mean_pool_level(snapshot.runs, self.selected)
        reference = f"  - mean pooling {level:.1f}" if level is not None else ""
        top1.title = Content.assemble(("Dev top-1 %", "bold"), reference)
        options = ChartOptions(log_scale=self._log_scale, blocks=blocks, colour=colour)
        if loss.display:
            loss.wish(partial(loss_series, snapshot.runs, self.selected, smoothed=self._smooth), options)
        if top1.display:
            whole = ChartOptions(blocks=blocks, colour=colour, whole_x=True)
            top1.wish(partial(top1_series, snapshot.runs, self.selected), whole)

    def _legend(self, blocks: bool) -> Content:
        """The conditions as they are drawn."""
        names = dict.fromkeys(run.condition for run in self.snapshot.runs) if self.snapshot else {}
        parts = []
        for name, colour in colours(names).items():
            letter = letters(names)[name]
            sign = "■" if blocks else (f"{letter}=" if letter.lower() != name.lower() else "")
            parts.append(Content.styled(f"{sign}{name}", "rgb({},{},{})".format(*colour)))
        if self.selected is not None:
            sign = "■" if blocks else f"{letters(names)[self.selected.condition].upper()}="
            parts.append(Content.styled(f"{sign}{self.selected.condition}/{self.selected.seed}", "bold"))
        return Content(" ").join(parts)

    def _show_line(self) -> None:
        """The selected run and its log in one line."""
        if self.snapshot is None or self.selected is None:
            return
        view, log = self.snapshot.runs[self.selected], self.log_view
        mark = mark_of(view)
        done, left = fraction_done(view), training_seconds_left(view)
        words = []
        if view.name == "running":
            in_stage = self.clock.seconds(view, time.time())
            words = [STAGES.get(view.stage, view.stage or "starting")]
            words += [f"for {duration(in_stage)}"] if in_stage is not None else []
            words += [f"{100 * done:.0f}%"] if done is not None else []
            words += [f"ETA {duration(left)}"] if left is not None else []
        elif view.state and view.state.reason:
            words = [view.state.reason]
        state = Content.assemble("  ", (f"{mark.sign} {mark.word}", mark.style), "  " + "  ".join(words))
        shown, total = log.counts
        lines = (f"{shown:,} of " if log.wanted else "") + counted(total, "line")
        tail = Content.assemble(f"log: {lines}, ", ("syncing" if log.following else "held still", "bold"))
        room = max(0, self.size.width - tail.cell_length - 2)
        head = Content.styled(run_name(self.selected, room - state.cell_length), "bold") + state
        head = head.truncate(room, ellipsis=True).pad_right(max(0, room - head.cell_length))
        self.query_one("#live-line", UpdatingText).say(head + Content("  ") + tail)

    def action_select_run(self, by: int) -> None:
        """Turn to another run, round and round."""
        if self.snapshot is not None and self.selected is not None:
            runs = list(self.snapshot.runs)
            self.post_message(RunSelected(runs[(runs.index(self.selected) + by) % len(runs)]))

    def action_abort(self) -> None:
        """Abort the selected run."""
        if self.selected is not None:
            self.post_message(AbortWanted((self.selected,)))

    def action_toggle_smooth(self) -> None:
        """Smooth or raw."""
        self._smooth = not self._smooth
        self._draw()

    def action_toggle_log_scale(self) -> None:
        """Logarithmic or linear."""
        self._log_scale = not self._log_scale
        self._draw()

    def action_toggle_markers(self) -> None:
        """Blocks or letters."""
        self._blocks = not (not self.app.no_color if self._blocks is None else self._blocks)
        self._draw()

    def action_cycle_charts(self) -> None:
        """Both charts where there is room for them, one of them, or all the room for the log."""
        layouts = _LAYOUTS if self.size.width >= _TWO_CHARTS else _LAYOUTS[1:]
        self._layout = layouts[(layouts.index(self._charts_in_sight) + 1) % len(layouts)]
        self._lay_out()

    @property
    def _charts_in_sight(self) -> str:
        return "loss" if self._layout == "both" and self.size.width < _TWO_CHARTS else self._layout

    def _lay_out(self) -> None:
        in_sight = self._charts_in_sight
        self.query_one("#loss").display = in_sight in ("both", "loss")
        self.query_one("#top1").display = in_sight in ("both", "top1")
        self.query_one("#charts").display = in_sight != "none"
        self._drawn = None
        self.call_after_refresh(self._draw)

    def action_toggle_follow(self) -> None:
        """Follow or hold still."""
        self.log_view.follow(not self.log_view.following)
        self._show_line()

    def action_search(self) -> None:
        """Type a filter."""
        try:
            search = self.query_one(LogSearch)
        except NoMatches:
            search = LogSearch(
                placeholder="text to show, !text to leave out; Enter keeps it, Esc shows all", id="search"
            )
            self.mount(search)
        search.display = True
        search.focus()

    def action_clear_search(self) -> None:
        """Show every line."""
        for search in self.query(LogSearch):
            search.value = ""
            search.display = False
        self.log_view.set_filter(LogFilter())
        self.take_focus()
        self._show_line()

    @on(Input.Changed)
    def _filter(self, event: Input.Changed) -> None:
        event.stop()
        self.log_view.set_filter(LogFilter.parse(event.value))
        self._show_line()

    @on(Input.Submitted)
    def _keep_filter(self, event: Input.Submitted) -> None:
        event.stop()
        event.input.display = bool(event.value)
        self.take_focus()
