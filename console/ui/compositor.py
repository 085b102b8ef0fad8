"""Textual's compositor, which lays out widgets, with a mend: every widget that a layout resizes gets its Resize event."""

from __future__ import annotations

from textual._compositor import Compositor, CompositorMap, ReflowResult
from textual.geometry import Size
from textual.widget import Widget


class ConsoleCompositor(Compositor):
    """Compositor that finds new and resized widgets by the layout before.

    Textual finds them by its newest map of all widgets. It makes this map again when a region is asked for, as drawing
    does: a widget that was mounted or resized since the last layout is then known at the next one, and gets no Resize.
    """

    def __init__(self) -> None:
        super().__init__()
        self._laid_out: CompositorMap = {}

    def reflow(self, parent: Widget, size: Size) -> ReflowResult:
        """Lay out ``parent`` and what it contains; the result has the widgets that are hidden, new and resized."""
        self._full_map = self._laid_out
        result = super().reflow(parent, size)
        self._laid_out = self._full_map
        return result
