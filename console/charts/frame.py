"""Axes with their ticks, drawn by plotext; the only module that knows it.

plotext draws curves cell by cell in Python: nine of them in 100 x 25 cells took 30 to 55 ms, with the interpreter's lock
held, which stalls the keyboard. So it draws the frame, which seldom changes, and ``raster`` draws the curves in it.
"""

from __future__ import annotations

from functools import lru_cache
from threading import Lock

from msgspec import Struct

from console.charts.limits import Limits, Tick
from console.glyphs import to_ascii

_drawing = Lock()  # plotext keeps its figure in global state


class Frame(Struct, frozen=True):
    """Lines of text with axes and ticks around an empty canvas of ``columns`` x ``rows`` from column ``left`` of line 0 on."""

    lines: tuple[str, ...]
    left: int
    columns: int
    rows: int


@lru_cache(maxsize=64)
def frame(
    width: int,
    height: int,
    limits: tuple[Limits, Limits],
    ticks: tuple[tuple[Tick, ...], tuple[Tick, ...]],
    *,
    ascii_only: bool,
) -> Frame:
    """The frame of a chart in ``width`` x ``height`` cells, its ticks left and below; of x, then y."""
    import plotext  # type: ignore[import-untyped]

    (x_limits, y_limits), (x_ticks, y_ticks) = limits, ticks
    with _drawing:
        plotext.clear_figure()
        plotext.limit_size(False, False)  # it would cut to the process's terminal, not to the widget
        plotext.plot_size(width, height)
        plotext.xaxes(True, False)
        plotext.yaxes(True, False)
        plotext.scatter([], [])
        plotext.xlim(*x_limits)
        plotext.ylim(*y_limits)
        plotext.xticks([at for at, _ in x_ticks], [label for _, label in x_ticks])
        plotext.yticks([at for at, _ in y_ticks], [label for _, label in y_ticks])
        text = plotext.uncolorize(plotext.build())
    lines = tuple(line.ljust(width) for line in text.rstrip("\n").split("\n"))
    left = max(len(label) for _, label in y_ticks) + 1
    if ascii_only:
        lines = tuple(map(to_ascii, lines))
    return Frame(lines, left, width - left, height - 2)
