"""A chart as SVG or PNG, drawn by matplotlib, with every point that its reduction keeps."""

from __future__ import annotations

import io
from importlib import import_module
from typing import TYPE_CHECKING, Any

from console.charts.chart import Chart
from engine.contract.bad_input import BadInput

if TYPE_CHECKING:
    from console.charts.curves import Line

_POINTS = 2000  # of a line
_SIZE = (8.0, 4.5)  # inches of 72 points
_DPI = 200
_DASHES: tuple[Any, ...] = ("-", (0, (4, 2)), (0, (1, 2)), (0, (6, 2)), (0, (2, 1)))
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "qllm-console",
    "font.family": "sans-serif",
    "text.parse_math": False,
}


def chart_svg(chart: Chart) -> str:
    """``chart`` as an SVG document; the same chart gives the same text.

    Raises:
        BadInput: matplotlib is not installed.
    """
    figure = _figure(chart)
    text = io.StringIO()
    with _matplotlib().rc_context(_SETTINGS):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def chart_png(chart: Chart) -> bytes:
    """``chart`` as a PNG of 1600 x 900 pixels.

    Raises:
        BadInput: matplotlib is not installed.
    """
    figure = _figure(chart)
    picture = io.BytesIO()
    with _matplotlib().rc_context(_SETTINGS):
        figure.savefig(picture, format="png", dpi=_DPI)
    return picture.getvalue()


def _matplotlib() -> Any:
    try:
        return import_module("matplotlib")
    except ImportError as error:
        raise BadInput("charts need matplotlib: pip install 'qllm-console[report]'") from error


def _figure(chart: Chart) -> Any:
    """The figure, outside of matplotlib's global state, so that any thread may draw one."""
    from console.charts.curves import lines_of

    with _matplotlib().rc_context(_SETTINGS):
        figure = import_module("matplotlib.figure").Figure(figsize=_SIZE, layout="constrained")
        axes = figure.add_subplot()
        lines = lines_of(chart, _POINTS)
        for line in lines:
            _draw_line(axes, chart, line)
        _limit(axes, chart, lines)
        _draw_references(axes, chart)
        for curve in chart.curves:
            for x in curve.warnings:
                axes.plot(
                    [x],
                    [0],
                    "^",
                    color=_colour(curve.style.colour),
                    transform=axes.get_xaxis_transform(),
                    clip_on=False,
                )
        axes.set_title(
            ", ".join((chart.title, *chart.details, *([chart.note] if chart.note else []))), fontsize="medium"
        )
        axes.set_xlabel("seconds of training" if chart.options.x == "elapsed" else chart.x_title)
        axes.set_ylabel(chart.title)
        axes.spines[["top", "right"]].set_visible(False)
        if any(line.name for line in lines):
            axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _draw_line(axes: Any, chart: Chart, line: Line) -> None:
    colour = _colour(line.colour)

    def values(ys: Any) -> Any:
        return 10.0**ys if chart.options.log_scale else ys

    if line.band is not None:
        xs, lows, highs = line.band
        axes.fill_between(xs, values(lows), values(highs), color=colour, alpha=0.2, linewidth=0)
    faint = line.raw or (chart.options.mode == "both" and not line.mean)
    label = " ".join(part for part in (line.name, line.spread_text) if part)
    axes.plot(
        line.xs,
        values(line.ys),
        color=colour,
        linestyle=_DASHES[0] if line.raw else _DASHES[line.dash],
        linewidth=1.8 if line.mean or (line.selected and not line.raw) else 1.1,
        alpha=0.35 if faint else 1.0,
        label=label or None,
    )
    for x in line.bad:
        axes.plot([x], [1], "x", color=colour, transform=axes.get_xaxis_transform(), clip_on=False)


def _draw_references(axes: Any, chart: Chart) -> None:
    """Levels and their names; those of levels outside of the axes at the edge."""
    low, high = axes.get_ylim()
    for reference in chart.references:
        name, at = chart.metric.reference_text(reference), min(high, max(low, reference.value))
        if at == reference.value:
            axes.axhline(at, color="0.5", linestyle=":", linewidth=1)
        else:
            name += " (above)" if reference.value > high else " (below)"
        axes.annotate(
            name,
            (0, at),
            (4, 2),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            color="0.4",
            fontsize="small",
        )


def _limit(axes: Any, chart: Chart, lines: list[Line]) -> None:
    """The limits that the chart has on the screen."""
    from console.charts.drawing import x_limits, y_limits

    if not any(len(line.xs) for line in lines):
        return
    axes.set_xlim(*x_limits(chart, lines))
    low, high = y_limits(chart, lines)
    if chart.options.log_scale:
        axes.set_yscale("log")
        low, high = 10.0**low, 10.0**high
    axes.set_ylim(low, high)


def _colour(colour: tuple[int, int, int]) -> tuple[float, ...]:
    return tuple(part / 255 for part in colour)
