"""Cards of runs: a row per condition, a card of three lines per seed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import zip_longest

from rich.segment import Segment
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from console.runs.run_view import RunView
from console.runs.snapshot import Snapshot, SyncState
from console.runs.staleness import FRESH, Staleness, staleness
from console.ui.messages import RunOpened, RunSelected
from console.ui.pane import StageClock
from console.ui.runs.run_text import card_lines
from engine.contract.settings import RunId

_CARD_WIDTH = 22  # as in console.tcss
_CARD_HEIGHT = 5
CONDITION_HEIGHT = 1 + _CARD_HEIGHT


class RunCard(Widget):
    """One run; of its text, lines that stay the same are not drawn again, and neither is its frame."""

    def __init__(self, run: RunId) -> None:
        super().__init__(id=f"cell-{run.condition.replace('.', '-dot-')}-{run.seed}")  # an id may not have a dot
        self.run = run
        self.border_title = Content(run.label)
        self._shown: tuple[RunView, SyncState, float | None] = (RunView(run), SyncState(), None)
        self._stale = FRESH
        self._lines: list[Content] = []
        self._warnings = 0

    def show(self, view: RunView, sync: SyncState, stage_seconds: float | None, stale: Staleness) -> None:
        """Show the state of ``view``, which is as of ``stale``."""
        known_view, known_sync, known_seconds = self._shown
        same = view is known_view and sync is known_sync and stage_seconds == known_seconds
        if same and (stale.kind, stale.short) == (self._stale.kind, self._stale.short):
            return
        self._stale = stale
        self._shown = (view, sync, stage_seconds)
        if len(view.warnings) != self._warnings:  # a title draws the whole card, even if it stays the same
            self._warnings = count = len(view.warnings)
            self.border_subtitle = Content.styled(f"! {count}", "$text-warning") if count else Content("")
        self.on_resize()

    def on_resize(self) -> None:
        """Fit the text to the width."""
        before, self._lines = self._lines, card_lines(*self._shown, self.size.width, self._stale)
        pairs = zip_longest(before, self._lines, fillvalue=Content(""))
        changed = [y for y, (old, new) in enumerate(pairs) if not new.is_same(old)]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.post_message(RunSelected(self.run))
        if event.chain == 2:
            self.post_message(RunOpened())

    def render(self) -> Content:
        return Content("\n").join(self._lines)

    def render_line(self, y: int) -> Strip:
        """Line ``y`` of the text, alone: Textual would render them all for one that has changed."""
        if self.text_selection is not None:
            return super().render_line(y)
        line = self._lines[y] if y < len(self._lines) else Content("")
        parts = line.render(self.visual_style, end="", parse_style=self.app.stylesheet.parse_style)
        return Strip([Segment(text, style.rich_style) for text, style in parts]).apply_offsets(0, y)


class RunCards(VerticalScroll, can_focus=False):
    """The cards of all runs with a cursor.

    Args:
        runs: in the plan's order.
        titles: what stands beside the name of each condition.
    """

    def __init__(self, runs: Sequence[RunId], titles: Mapping[str, str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._titles = titles
        self._rows: dict[str, list[RunId]] = {}
        for run in runs:
            self._rows.setdefault(run.condition, []).append(run)
        self._cards = {run: RunCard(run) for run in runs}
        self._headings = {name: Static(self._heading(name), classes="condition") for name in self._rows}
        self._time_left = Content("")
        self._selected: RunId | None = None

    @property
    def line_count(self) -> int:
        """Lines of all cards with their titles, where a condition's cards fit beside each other."""
        return len(self._rows) * CONDITION_HEIGHT

    def compose(self) -> ComposeResult:
        """Per condition a title and a row of cards."""
        for name, runs in self._rows.items():
            yield self._headings[name]
            with Horizontal(classes="cells") as cells:
                self._fit_row(cells, len(runs), self.app.size.width)
                yield from (self._cards[run] for run in runs)

    def on_resize(self, event: events.Resize) -> None:
        """Let cards that do not fit beside each other go on in further rows."""
        for cells, runs in zip(self.query(".cells"), self._rows.values(), strict=True):
            self._fit_row(cells, len(runs), event.size.width)
        self._draw_time_left(event.size.width)

    @staticmethod
    def _fit_row(cells: Widget, count: int, width: int) -> None:
        columns = max(1, width // _CARD_WIDTH)
        if count > columns:
            cells.styles.layout = "grid"
            cells.styles.grid_size_columns = columns
            cells.styles.height = _CARD_HEIGHT * -(-count // columns)
        elif str(cells.styles.layout) != "<horizontal>":
            cells.styles.layout = "horizontal"
            cells.styles.height = _CARD_HEIGHT

    def show(self, snapshot: Snapshot, clock: StageClock) -> None:
        """Show the runs of ``snapshot``; a card whose text stays the same is not drawn again."""
        now = time.monotonic()
        stale = staleness(snapshot.host, now)
        for run, card in self._cards.items():
            view = snapshot.runs[run]
            card.show(view, snapshot.sync_states[run], None if stale else clock.seconds(view, now), stale)

    def show_time_left(self, text: Content) -> None:
        """Show ``text`` at the right of the first line, if it has room there."""
        if not text.is_same(self._time_left):
            self._time_left = text
            self._draw_time_left(self.size.width)

    def _draw_time_left(self, width: int) -> None:
        name = next(iter(self._rows), None)
        if name is not None:
            heading, text = self._heading(name), self._time_left
            room = width - heading.cell_length - text.cell_length - 2  # with the padding at both sides
            self._headings[name].update(heading.pad_right(room) + text if room > 1 else heading, layout=False)

    def _heading(self, name: str) -> Content:
        return Content.assemble((name, "bold"), f"  {self._titles[name]}")

    def select(self, run: RunId) -> None:
        """Move the cursor to ``run`` and keep it visible."""
        if self._selected is not None:
            self._cards[self._selected].remove_class("selected")
        first = self._selected is None
        self._selected = run
        self._cards[run].add_class("selected")
        if not first:
            self._cards[run].scroll_visible(animate=False)

    def neighbour(self, run: RunId, right: int, down: int) -> RunId:
        """The run beside ``run``; at an edge ``run`` itself."""
        names = list(self._rows)
        row = min(max(0, names.index(run.condition) + down), len(names) - 1)
        column = self._rows[run.condition].index(run) + right
        runs = self._rows[names[row]]
        return runs[min(max(0, column), len(runs) - 1)]

    def next_order(self) -> None:
        """Cards stand in the plan's order."""

    def reverse_order(self) -> None:
        """Cards stand in the plan's order."""
