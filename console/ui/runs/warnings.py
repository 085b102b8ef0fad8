"""Dialog with all warnings of all runs, newest first, and what the selected one means."""

from __future__ import annotations

from collections.abc import Callable

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.screen import ModalScreen
from textual.scroll_view import ScrollView
from textual.strip import Strip

from console.format import counted, run_label
from console.runs.snapshot import Snapshot
from console.runs.warnings import RunWarning, all_warnings
from console.ui.actions import bindings
from console.ui.pane import UpdatingText
from engine.contract.settings import RunId

_RUN_WIDTH = 14
_STEP_WIDTH = 9
_TITLE_WIDTH = 26
_TITLES_FROM = 100  # columns: below, the message alone has the room
_UPDATE_S = 0.5


class WarningList(ScrollView, can_focus=False):
    """Lines of warnings with a cursor; only the visible ones are built."""

    COMPONENT_CLASSES = {"warnings--cursor", "warnings--muted", "warnings--run"}  # noqa: RUF012 (Textual's way)

    class Moved(Message):
        """Posted when another warning is selected, or the list of warnings has changed."""

    class Opened(Message):
        """Posted when a warning is double-clicked, which opens its run."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._warnings: tuple[RunWarning, ...] = ()
        self._cursor = 0

    @property
    def warning(self) -> RunWarning | None:
        """The selected warning; None without any."""
        return self._warnings[self._cursor] if self._warnings else None

    def show(self, warnings: tuple[RunWarning, ...]) -> None:
        """Show ``warnings``; the cursor stays on the one it is on, or at the top."""
        if warnings == self._warnings:
            return
        chosen = self.warning if self._cursor else None
        self._warnings = warnings
        self.virtual_size = Size(self.size.width, len(warnings))
        self._cursor = warnings.index(chosen) if chosen in warnings else 0
        self.move(0)

    def move(self, by: int) -> None:
        """Move the cursor; it stops at the ends."""
        self._cursor = max(0, min(self._cursor + by, len(self._warnings) - 1))
        top, height = self.scroll_offset.y, max(1, self.size.height)
        to = min(max(top, self._cursor - height + 1), self._cursor)
        if to != top:
            self.scroll_to(y=to, animate=False, immediate=True)
        self.refresh()
        self.post_message(self.Moved())

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._warnings))
        self.move(0)

    def on_click(self, event: events.Click) -> None:
        """Select a warning, twice open its run."""
        event.stop()
        at = self.scroll_offset.y + event.y
        if at < len(self._warnings):
            self.move(at - self._cursor)
            if event.chain == 2:
                self.post_message(self.Opened())

    def render_line(self, y: int) -> Strip:
        """Draw line ``y`` of the visible part of the list."""
        at, width, base = self.scroll_offset.y + y, self.size.width, self.rich_style
        if at >= len(self._warnings):
            return Strip.blank(width, base)
        one, chosen = self._warnings[at], at == self._cursor
        style = self.get_component_rich_style("warnings--cursor") if chosen else base

        def part(name: str) -> Style:
            return style if chosen else base + self.get_component_rich_style(f"warnings--{name}", partial=True)

        segments = [
            Segment("▸ " if chosen else "  ", style),
            Segment(set_cell_size(run_label(one.run, _RUN_WIDTH - 1), _RUN_WIDTH), part("run")),
            Segment(set_cell_size(f"{one.step:,}" if one.step else "", _STEP_WIDTH), part("muted")),
        ]
        if width >= _TITLES_FROM:
            segments.append(Segment(set_cell_size(one.about.title, _TITLE_WIDTH), style))
        visible = self.scrollable_content_region.width  # less than the width beside a scrollbar
        room = max(0, visible - sum(cell_len(segment.text) for segment in segments))
        text = one.message if cell_len(one.message) <= room else set_cell_size(one.message, max(0, room - 1)) + "…"
        return Strip([*segments, Segment(text, style)]).adjust_cell_length(width, style)


class WarningsDialog(ModalScreen[RunId | None], inherit_bindings=False):
    """All warnings; the result is the run whose live view is wanted, None if none is.

    Args:
        snapshot: gives the newest snapshot, None before there is one.
    """

    BINDINGS = bindings("warnings")

    def __init__(self, snapshot: Callable[[], Snapshot | None]) -> None:
        super().__init__()
        self._snapshot = snapshot
        self._shown: Snapshot | None = None
        self._list = WarningList(id="warning-list")
        self._about = UpdatingText(id="warning-about")

    def compose(self) -> ComposeResult:
        with Vertical(id="warnings") as frame:
            frame.border_title = "Warnings"
            frame.border_subtitle = "Enter live   Esc closes"
            yield self._list
            yield self._about

    def on_mount(self) -> None:
        self._update()
        self.set_interval(_UPDATE_S, self._update)

    def _update(self) -> None:
        snapshot = self._snapshot()
        if snapshot is None or snapshot is self._shown:
            return
        first, self._shown = self._shown is None, snapshot
        warnings = all_warnings(snapshot.runs.values())
        runs = len({one.run for one in warnings})
        title = (
            f"{counted(len(warnings), 'warning')} of {counted(runs, 'run')}, newest first" if warnings else "Warnings"
        )
        self.query_one("#warnings").border_title = title
        self._list.show(warnings)
        if first:
            self._show_about()

    @on(WarningList.Moved)
    def _show_about(self) -> None:
        one = self._list.warning
        if one is None:
            self._about.set_text(Content("No run has a warning."))
            return
        step = f", step {one.step:,}" if one.step else ""
        about = one.about
        self._about.set_text(
            Content.assemble(
                (f"{one.run.label}{step}: {about.title}", "bold"),
                f"\n{one.message}\n{about.meaning}\n",
                ("Given: ", "bold"),
                about.threshold,
            )
        )

    def action_move(self, by: int) -> None:
        """Move the cursor by ``by`` warnings."""
        self._list.move(by)

    def action_page(self, by: int) -> None:
        """Move the cursor by ``by`` pages."""
        self._list.move(by * max(1, self._list.size.height - 1))

    @on(WarningList.Opened)
    def action_open(self) -> None:
        """Go to the live view of the selected warning's run."""
        one = self._list.warning
        self.dismiss(one.run if one is not None else None)

    def action_close(self) -> None:
        self.dismiss(None)
