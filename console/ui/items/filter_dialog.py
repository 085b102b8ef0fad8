"""Dialog of view 5: every facet with its value; what is chosen filters the table behind it at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from console.ui.actions import bindings

_LABEL_WIDTH = 17


class Facet(NamedTuple):
    """A field of the filter: its label, its values as the filter has them, and how each is shown."""

    field: str
    label: str
    values: Sequence[str]
    texts: Sequence[str]


class FilterDialog(ModalScreen[None], inherit_bindings=False):
    """Dialog that chooses which items are shown: by kind, tier, reason and other facets, a line each.

    Args:
        chosen: the value of each facet now.
        on_change: called with the facet's field and its new value.
    """

    BINDINGS = bindings("filters")

    def __init__(self, facets: Sequence[Facet], chosen: dict[str, str], on_change: Callable[[str, str], None]) -> None:
        super().__init__()
        self._facets = facets
        self._chosen = dict(chosen)
        self._on_change = on_change
        self._at = 0

    def compose(self) -> ComposeResult:
        with Vertical(id="filters"):
            yield Static(Content.styled("Only items of", "bold"))
            yield Static("", id="filter-lines", markup=False)
            yield Static("Up, Down choose   Left, Right change   Del any   Enter, Esc close", markup=False)

    def on_mount(self) -> None:
        self._show()

    def _show(self) -> None:
        lines = []
        for at, facet in enumerate(self._facets):
            value = self._chosen[facet.field]
            text = facet.texts[facet.values.index(value)] if value in facet.values else value
            place = f"{facet.values.index(value) + 1}/{len(facet.values)}" if value in facet.values else ""
            style = "bold reverse" if at == self._at else "" if value == facet.values[0] else "bold"
            lines.append(
                Content.assemble(
                    ("> " if at == self._at else "  ", "bold $text-accent"),
                    (f"{facet.label:<{_LABEL_WIDTH}}", "$foreground-muted"),
                    (f"< {text} >" if at == self._at else f"  {text}  ", style),
                    (f"  {place}", "$foreground-muted"),
                )
            )
        self.query_one("#filter-lines", Static).update(Content("\n").join(lines))

    def action_move(self, by: int) -> None:
        self._at = (self._at + by) % len(self._facets)
        self._show()

    def action_change(self, by: int) -> None:
        """The next value of the selected facet, the first after the last."""
        facet = self._facets[self._at]
        value = self._chosen[facet.field]
        at = facet.values.index(value) if value in facet.values else 0
        self._set(facet, facet.values[(at + by) % len(facet.values)])

    def _set(self, facet: Facet, value: str) -> None:
        if value != self._chosen[facet.field]:
            self._chosen[facet.field] = value
            self._on_change(facet.field, value)
        self._show()

    def action_clear(self) -> None:
        for facet in self._facets:
            self._set(facet, facet.values[0])

    def action_close(self) -> None:
        self.dismiss(None)

    def on_click(self, event: events.Click) -> None:
        """Select the facet under the pointer, and change it if it was selected; outside the dialog, close it."""
        widget = event.widget
        if widget is not None and widget.id == "filter-lines":
            at = event.get_content_offset(widget)
            if at is None or at.y >= len(self._facets):
                return
            was, self._at = self._at, at.y
            if was == at.y:
                self.action_change(1)
            self._show()
        elif widget is self:
            self.dismiss(None)
