"""Compact matrix of runs: a line per condition, eight columns per seed; only the visible lines are built."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from console.runs.matrix import MatrixRow, MeanSpread, OrderKey, matrix_row, ordered, queue_places, short_text
from console.runs.run_view import RunView
from console.runs.snapshot import Snapshot
from console.runs.staleness import staleness
from console.ui.messages import RunOpened, RunSelected
from console.ui.pane import StageClock
from console.ui.runs.run_text import MARKS
from engine.contract.settings import RunId

CELL_WIDTH = 8
_SPREAD_WIDTH = 12
_WARNINGS_WIDTH = 4
_RIGHT_WIDTH = 1 + 2 * _SPREAD_WIDTH + _WARNINGS_WIDTH
_MAX_NAME = 14
_ORDERS: tuple[OrderKey, ...] = ("plan", "top1", "coherence", "warnings")
_TITLES: dict[OrderKey, str] = {"plan": "", "top1": "top-1", "coherence": "coherence", "warnings": "!"}


class RunMatrix(ScrollView, can_focus=False):
    """Rows of conditions under a header with the seeds; the means stay at the right while seeds scroll sideways.

    Args:
        runs: of all conditions, each with the same seeds.
        notes: what a derived condition differs in, by condition; it stands on a line of its own.
    """

    COMPONENT_CLASSES = {  # noqa: RUF012 (Textual's way)
        "matrix--header",
        "matrix--cursor",
        "matrix--none",
        "matrix--queued",
        "matrix--running",
        "matrix--finished",
        "matrix--failed",
        "matrix--aborted",
        "matrix--lost",
        "matrix--warning",
    }

    def __init__(self, runs: Sequence[RunId], notes: dict[str, str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._conditions = tuple(dict.fromkeys(run.condition for run in runs))
        self._seeds = tuple(dict.fromkeys(run.seed for run in runs))
        self._runs = frozenset(runs)
        self._notes = notes
        self._name_width = min(_MAX_NAME, max((len(name) for name in self._conditions), default=1)) + 3
        self._views: dict[RunId, RunView] = {}
        self._places: dict[RunId, int] = {}
        self._rows: dict[str, tuple[tuple[RunView, ...], MatrixRow]] = {}  # with the views that it was made of
        self._order: tuple[OrderKey, bool] = ("plan", False)
        self._lines: list[tuple[MatrixRow, bool]] = []  # a row, and whether the line is that of its note
        self._is_stale = False
        self._selected: RunId | None = None
        self._first = 0
        self._styles: dict[str, Style] = {}

    @property
    def line_count(self) -> int:
        """Lines of the whole matrix with its header."""
        return 1 + len(self._conditions) + sum(bool(self._notes.get(name)) for name in self._conditions)

    @property
    def order(self) -> tuple[OrderKey, bool]:
        """What the rows are ordered by, and whether descending."""
        return self._order

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions in the order shown."""
        return tuple(row.condition for row, is_note in self._lines if not is_note)

    def show(self, snapshot: Snapshot, _clock: StageClock) -> None:
        """Show the runs of ``snapshot``; a row is made again only if one of its views changed."""
        views, is_stale = snapshot.runs, bool(staleness(snapshot.host, time.monotonic()))
        if views is self._views and is_stale == self._is_stale:
            return
        self._views, self._places, self._is_stale = views, queue_places(views.values()), is_stale
        for name in self._conditions:
            of_row = tuple(views[run] for seed in self._seeds if (run := RunId(name, seed)) in views)
            known = self._rows.get(name)
            if known is None or any(new is not old for new, old in zip(of_row, known[0], strict=True)):
                self._rows[name] = of_row, matrix_row(name, of_row)
        self._arrange()

    def select(self, run: RunId) -> None:
        """Move the cursor to ``run`` and keep it visible."""
        self._selected = run
        self._show_cursor()
        self.refresh()

    def neighbour(self, run: RunId, right: int, down: int) -> RunId:
        """The run beside ``run``, in the order shown; at an edge ``run`` itself."""
        names = self.conditions or self._conditions
        row = min(max(0, names.index(run.condition) + down), len(names) - 1)
        column = min(max(0, self._seeds.index(run.seed) + right), len(self._seeds) - 1)
        found = RunId(names[row], self._seeds[column])
        return found if found in self._runs else run

    def next_order(self) -> None:
        """Order by the next column; means and warnings from the highest down."""
        key = self._order[0]
        at = (_ORDERS.index(key) + 1) % len(_ORDERS) if key in _ORDERS else 0
        self.order_by(_ORDERS[at])

    def reverse_order(self) -> None:
        """The other way round."""
        self._order = self._order[0], not self._order[1]
        self._arrange()
        self._show_cursor()

    def order_by(self, key: OrderKey) -> None:
        """Order by ``key``; the other way round if that is the order already."""
        if key == self._order[0]:
            self.reverse_order()
            return
        self._order = key, key != "plan"
        self._arrange()
        self._show_cursor()

    def _arrange(self) -> None:
        rows = [self._rows[name][1] for name in self._conditions if name in self._rows]
        self._lines = []
        for row in ordered(rows, *self._order, self._views):
            if self._notes.get(row.condition):
                self._lines.append((row, True))
            self._lines.append((row, False))
        self.virtual_size = Size(self._width, len(self._lines) + 1)
        self.refresh()

    @property
    def _width(self) -> int:
        return int(self.scrollable_content_region.width)

    @property
    def _columns(self) -> int:
        """Seeds that fit beside each other."""
        room = self._width - self._name_width - _RIGHT_WIDTH
        return min(len(self._seeds), max(1, room // CELL_WIDTH))

    def on_resize(self) -> None:
        self.virtual_size = Size(self._width, len(self._lines) + 1)
        self._show_cursor()

    def _show_cursor(self) -> None:
        if self._selected is None or self._selected.seed not in self._seeds:
            return
        column = self._seeds.index(self._selected.seed)
        most = max(0, len(self._seeds) - self._columns)
        self._first = min(max(self._first, column - self._columns + 1), column, most)
        lines = [i for i, (row, _) in enumerate(self._lines) if row.condition == self._selected.condition]
        if lines:
            height = max(1, self.size.height - 1)
            to = min(max(self.scroll_offset.y, lines[-1] - height + 1), lines[0])
            if to != self.scroll_offset.y:
                self.scroll_to(y=to, animate=False, immediate=True)

    def on_click(self, event: events.Click) -> None:
        """Select the run under the pointer, twice open it; a title orders by its column."""
        event.stop()
        column = self._column_at(event.x)
        if event.y == 0:
            if column is not None:
                self.order_by(column)
            return
        at = self.scroll_offset.y + event.y - 1
        if at >= len(self._lines):
            return
        row, is_note = self._lines[at]
        seed = column if isinstance(column, int) and not is_note else self._selected.seed if self._selected else None
        if seed is None:
            return
        run = RunId(row.condition, seed)
        if run in self._runs:
            self.post_message(RunSelected(run))
            if event.chain == 2 and isinstance(column, int):
                self.post_message(RunOpened())

    def _column_at(self, x: int) -> OrderKey | None:
        if x < self._name_width:
            return "plan"
        seed = (x - self._name_width) // CELL_WIDTH
        if seed < self._columns:
            return self._seeds[self._first + seed]
        right = x - self._name_width - self._columns * CELL_WIDTH - 1
        return ("top1", "coherence", "warnings")[min(2, max(0, right) // _SPREAD_WIDTH)] if right >= 0 else None

    def render_line(self, y: int) -> Strip:
        """The header, or the line ``y`` of the window."""
        width, base = self._width, self.rich_style
        at = self.scroll_offset.y + y - 1
        if y and at >= len(self._lines):
            return Strip.blank(width, base)
        segments = self._header(base) if y == 0 else self._line(*self._lines[at], base)
        return Strip(segments).adjust_cell_length(width, base)

    def _header(self, base: Style) -> list[Segment]:
        style = base + self._style("header")
        key, descending = self._order
        sign = "▾" if descending else "▴"

        def title(text: str, width: int, own: OrderKey) -> Segment:
            text = text + (f" {sign}" if own == key and (own != "plan" or descending) else "")
            return Segment(_fit(text, width), style + Style(underline=own == key and own != "plan"))

        shown = self._seeds[self._first : self._first + self._columns]
        segments = [title("", self._name_width, "plan")]
        segments += [title(f"  {seed}" if len(str(seed)) < 6 else str(seed), CELL_WIDTH, seed) for seed in shown]
        hidden = "›" if self._first + self._columns < len(self._seeds) else " "
        segments[0] = Segment(_fit(segments[0].text, self._name_width - 1) + ("‹" if self._first else " "), style)
        segments.append(Segment(hidden, style))
        segments += [title(_TITLES[own], _SPREAD_WIDTH, own) for own in ("top1", "coherence")]
        segments.append(title(_TITLES["warnings"], _WARNINGS_WIDTH, "warnings"))
        return segments

    def _line(self, row: MatrixRow, is_note: bool, base: Style) -> list[Segment]:
        chosen = self._selected is not None and self._selected.condition == row.condition
        name = "  " if self._notes.get(row.condition) and not is_note else self._name_text(row.condition, chosen)
        segments = [Segment(_fit(name, self._name_width), base + Style(bold=True))]
        if is_note:
            seen = f"  (exposures {row.exposures:.0f})" if row.exposures else ""
            return [*segments, Segment(self._notes[row.condition] + seen, base + self._style("none"))]
        for seed in self._seeds[self._first : self._first + self._columns]:
            segments += self._cell(RunId(row.condition, seed), base)
        segments.append(Segment(" ", base))
        segments += [Segment(_fit(_spread(one), _SPREAD_WIDTH), base) for one in (row.top1, row.coherence)]
        count = f"!{row.warnings}" if row.warnings else ""
        segments.append(Segment(_fit(count, _WARNINGS_WIDTH), base + self._style("warning")))
        return segments

    @staticmethod
    def _name_text(condition: str, chosen: bool) -> str:
        cut = condition if len(condition) <= _MAX_NAME else condition[: _MAX_NAME - 1] + "…"
        return f"{'▸' if chosen else ' '} {cut}"

    def _cell(self, run: RunId, base: Style) -> list[Segment]:
        view = self._views.get(run)
        if view is None:
            return [Segment(" " * CELL_WIDTH, base)]
        name = view.state_name
        style = base + self._style(name)
        text = f"{MARKS[name].sign} {short_text(view, self._places.get(run))}"
        if self._is_stale and view.active:  # as of an earlier time, which the status bar tells
            text += "?"
        warned = "!" if view.warnings or view.rejected else ""
        if run == self._selected:
            return [Segment(_fit(text + warned, CELL_WIDTH - 1), self._style("cursor")), Segment(" ", base)]
        parts = [Segment(text, style)]
        if warned:
            parts.append(Segment(warned, base + self._style("warning")))
        return [*parts, Segment(" " * max(0, CELL_WIDTH - cell_len(text) - len(warned)), base)]

    def _style(self, name: str) -> Style:
        """Kept, as looking it up takes most of the time to draw a line."""
        if name not in self._styles:
            self._styles[name] = self.get_component_rich_style(f"matrix--{name}", partial=name != "cursor")
        return self._styles[name]

    def notify_style_update(self) -> None:
        """Forget the colours of another theme."""
        self._styles.clear()
        super().notify_style_update()


def _fit(text: str, width: int) -> str:
    return set_cell_size(text, width)


def _spread(one: MeanSpread | None) -> str:
    return "" if one is None else str(one)
