"""Textual's compositor, which lays out widgets, with a mend: every widget that a layout resizes gets its Resize event."""

from __future__ import annotations

from textual._compositor import Compositor, ReflowResult
from textual.geometry import Size
from textual.widget import Widget


class ConsoleCompositor(Compositor):
    """Compositor that finds resized widgets by the size that they have.

    Textual finds them by the newest map of all widgets, which is made again when a region is asked for, as drawing does: a
    widget that was mounted or resized since the last layout is known there before its layout, and would get no Resize.
    """

    def reflow(self, parent: Widget, size: Size) -> ReflowResult:
        """Lay out ``parent`` and what it contains; the result has the widgets that are hidden, new and resized."""
        result = super().reflow(parent, size)
        resized = {widget for widget, at in self.layers if widget.outer_size != at.region.size}
        return result._replace(resized=result.resized | resized)
