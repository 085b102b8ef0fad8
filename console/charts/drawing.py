"""A chart as styled text: title, axes, lines with their names and last values at their ends, references and marks."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from rich.color import Color
from rich.style import Style
from rich.text import Span, Text

from console.charts.chart import Chart
from console.charts.curves import Floats, Line, lines_of
from console.charts.frame import Frame, frame
from console.charts.limits import (
    Limits,
    Tick,
    end_of_axis,
    log_ticks,
    number_ticks,
    outward,
    spread_apart,
    time_ticks,
)
from console.charts.metrics import x_text
from console.charts.palette import DASHES
from console.charts.raster import NO_STYLE, Raster, spread_rows
from console.format import run_label
from console.glyphs import GlyphName

MIN_WIDTH, MIN_HEIGHT = 20, 6
_LABELS_FROM = 34  # columns from which there is room for names at the lines' ends
_LABEL_WIDTH = 22  # columns of a label where there is room
_NEAR = 0.5  # a reference that is further away than this part of the values' span does not stretch the axis
_SIGNS = {
    "braille": {"level": "┄", "vertical": "│", "warning": "▲", "bad": "✕", "above": "↑", "below": "↓", "selected": "▸"},
    "ascii": {"level": "-", "vertical": "|", "warning": "^", "bad": "!", "above": "^", "below": "v", "selected": ">"},
}


class Drawing(Struct, frozen=True):
    """A drawn chart and where its canvas lies in the text.

    Attributes:
        x_limits, y_limits: of the canvas; y as base-10 logarithms on a logarithmic scale; None if nothing was drawn.
        left, columns: first column of the canvas, and how many there are.
    """

    text: Text
    x_limits: Limits | None = None
    y_limits: Limits | None = None
    left: int = 0
    columns: int = 0


def draw(chart: Chart, width: int, height: int, glyphs: GlyphName = "braille") -> Text:
    """``chart`` in ``width`` x ``height`` cells, its title in the first line."""
    return drawing_of(chart, width, height, glyphs).text


def drawing_of(chart: Chart, width: int, height: int, glyphs: GlyphName) -> Drawing:
    """``chart`` as text of at most ``height`` lines of at most ``width`` cells; a sentence instead where it cannot be drawn."""
    if width < 1 or height < 1:
        return Drawing(Text(""))
    title = _title(chart, width, glyphs)
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return Drawing(_with_sentence(title, "no room for a chart", width, height))
    lines = lines_of(chart, 2 * width)
    if not any(len(line.xs) for line in lines):
        bad = any(line.bad for line in lines)
        sentence = "no finite value to draw" if bad else _why_empty(chart)
        return Drawing(_with_sentence(title, sentence, width, height))
    limits = (x_limits(chart, lines), y_limits(chart, lines))
    labels = _labels(chart, lines, glyphs, width) if width >= _LABELS_FROM else []
    gutter = _stable(max((len(text) + 1 for text, _ in labels), default=0))
    plot = frame(
        width - gutter, height - 1, limits, _ticks(chart, limits, width - gutter, height), ascii_only=glyphs == "ascii"
    )
    if plot.columns < 4 or plot.rows < 2:
        return Drawing(_with_sentence(title, "no room for a chart", width, height))
    canvas = _Canvas(chart, limits, plot, glyphs)
    canvas.draw(lines)
    placed = _placed(labels, limits[1], plot.rows, log_scale=chart.options.log_scale)
    text = _assembled(title, plot, canvas, placed, chart.x_title, width)
    return Drawing(text, *limits, plot.left, plot.columns)


def _stable(gutter: int) -> int:
    """``gutter`` with room for a character more or less in a value, which would move the whole canvas."""
    return gutter + -gutter % 3


def _with_sentence(title: Text, sentence: str, width: int, height: int) -> Text:
    lines = textwrap.wrap(sentence, width)[: height - 1]
    return Text("\n").join([title, *(Text(line, style="italic") for line in lines)])


def _why_empty(chart: Chart) -> str:
    if chart.metric.of_host:
        return "No sample of the host yet."
    if not chart.metric.per_step:
        return "No measurement yet: the first comes before the first step."
    if chart.options.x == "epoch":
        return "No epochs yet: they are known from the first measurement after a step on."
    return "No training step yet: the curves begin when a run trains."


def _title(chart: Chart, width: int, glyphs: GlyphName) -> Text:
    title = Text(no_wrap=True)
    title.append(chart.title, Style(bold=True))
    details = list(chart.details)
    if chart.note:
        details.append(chart.note)
    if any(curve.warnings for curve in chart.curves):
        details.append(f"{_signs(glyphs)['warning']} warning")
    if chart.options.crosshair is not None:
        details.append(f"at {x_text(chart.options.x, chart.options.crosshair)}")
    if details:
        title.append("  " + _spelled(glyphs, ", ".join(details)))
    title.truncate(width, overflow="crop" if glyphs == "ascii" else "ellipsis")
    return title


def _spelled(glyphs: GlyphName, text: str) -> str:
    return text.replace("±", "+-") if glyphs == "ascii" else text


def x_limits(chart: Chart, lines: Sequence[Line]) -> Limits:
    """The part of x that was chosen, or all of it, with room for what is still to come up to the next round number."""
    if chart.options.x_range is not None:
        return spread_apart(*chart.options.x_range)
    last = max((float(line.xs.max()) for line in lines if len(line.xs)), default=0.0)
    last = max([last, *(x for line in lines for x in line.bad)])
    first = min((float(line.xs.min()) for line in lines if len(line.xs)), default=0.0)
    ends = [curve.end for curve in chart.curves if curve.end is not None]
    return spread_apart(min(0.0, first), end_of_axis(last, max(ends) if ends else None))


def y_limits(chart: Chart, lines: Sequence[Line]) -> Limits:
    """The limits that were chosen, or round ones around the values and the references that are near them."""
    options = chart.options
    if options.y_mode == "fixed" and options.y_range is not None:
        low, high = options.y_range
        if options.log_scale:
            low, high = math.log10(max(low, 1e-300)), math.log10(max(high, 1e-300))
        return spread_apart(low, high)
    robust = options.y_mode == "robust"
    values = np.concatenate([line.ys for line in lines if not (robust and line.raw)])
    edges = [line.band[1:].ravel() for line in lines if line.band is not None]
    if robust:
        low, high = (float(value) for value in np.percentile(values, (2, 98)))
    else:
        values = np.concatenate([values, *edges])
        low, high = float(values.min()), float(values.max())
    span = high - low or abs(high) or 1.0
    for value in _reference_levels(chart):
        if low - _NEAR * span <= value <= high + _NEAR * span:
            low, high = min(low, value), max(high, value)
    rounded = outward(low, high)
    if chart.metric.unit.startswith("%") and low >= 0 and high <= 100 and not options.log_scale:
        rounded = max(0.0, rounded[0]), min(100.0, rounded[1])
    return spread_apart(*rounded)


def _reference_levels(chart: Chart) -> list[float]:
    if not chart.options.log_scale:
        return [reference.value for reference in chart.references]
    return [math.log10(reference.value) for reference in chart.references if reference.value > 0]


def _ticks(
    chart: Chart, limits: tuple[Limits, Limits], width: int, height: int
) -> tuple[tuple[Tick, ...], tuple[Tick, ...]]:
    x, y = limits
    wanted = max(2, width // 10)
    x_ticks = time_ticks(x, wanted) if chart.options.x == "elapsed" else number_ticks(x, wanted, whole=_whole(chart, x))
    y_ticks = (log_ticks if chart.options.log_scale else number_ticks)(y, max(2, height // 4))
    return tuple(x_ticks), tuple(y_ticks)


def _whole(chart: Chart, limits: Limits) -> bool:
    """Whether ticks of x are whole: steps always are, epochs where more than one is shown."""
    return limits[1] - limits[0] >= 2 and (chart.options.x == "step" or limits[1] - limits[0] >= 3)


def _labels(chart: Chart, lines: Sequence[Line], glyphs: GlyphName, width: int) -> list[tuple[str, Line]]:
    """Name, value and spread at the end of each line, as much of it as a third of the width holds."""
    room = max(width // 3, min(_LABEL_WIDTH, width // 2 - 8)) - 1
    labels = []
    for line in lines:
        if not line.name or not (len(line.xs) or line.bad):
            continue
        sign = _signs(glyphs)["selected"] if line.selected else ""
        value = chart.metric.value_text(line.value)
        name = f"{sign}{line.name}"
        short = sign + (run_label(line.run, room - len(sign) - len(value) - 1) if line.run else line.name)
        spread, count = _spelled(glyphs, line.spread_text), line.spread_text.rpartition(" ")[2]
        texts = [f"{name} {value} {spread}".rstrip(), f"{name} {value} {count}".rstrip(), f"{short} {value}"]
        labels.append((next((text for text in texts if len(text) <= room), texts[-1][:room]), line))
    return labels


def _placed(
    labels: Sequence[tuple[str, Line]], limits: Limits, rows: int, *, log_scale: bool
) -> dict[int, tuple[str, Line]]:
    """A row for each label near the value that it names; where there are too few rows, means and the selected run go first."""
    kept = list(labels)
    if len(kept) > rows:
        order = sorted(range(len(kept)), key=lambda at: (not kept[at][1].selected, not kept[at][1].mean, at))
        kept = [kept[at] for at in sorted(order[:rows])]
    low, high = limits
    wanted = []
    for _, line in kept:
        value = line.value if line.value is not None else math.inf
        y = math.log10(value) if log_scale and value > 0 else value
        share = (high - y) / (high - low)
        wanted.append(round(min(1.0, max(0.0, share)) * (rows - 1)))
    return dict(zip(spread_rows(wanted, rows), kept, strict=True))


def _signs(glyphs: GlyphName) -> dict[str, str]:
    return _SIGNS["ascii" if glyphs == "ascii" else "braille"]


class _Canvas:
    """The canvas of one drawing, and the styles of its cells."""

    def __init__(self, chart: Chart, limits: tuple[Limits, Limits], plot: Frame, glyphs: GlyphName) -> None:
        self._chart = chart
        self._x, self._y = limits
        self._glyphs = glyphs
        self._signs = _signs(glyphs)
        self.raster = Raster(plot.columns, plot.rows, glyphs)
        self.styles: list[Style] = []

    def draw(self, lines: Sequence[Line]) -> None:
        for line in lines:
            if line.band is not None:
                xs, lows, highs = line.band
                self.raster.band(self._in_x(xs), self._in_y(lows), self._in_y(highs), self._style(line, dim=True))
        plain = self._new_style(Style(dim=True))
        names = self._references(plain)
        for line in lines:
            below_mean = self._chart.options.mode == "both" and not line.mean
            style = self._style(line, dim=line.raw or below_mean, bold=line.selected or line.mean)
            dash = DASHES[0] if line.raw else DASHES[line.dash]
            letter = line.letter.upper() if line.selected else line.letter
            self.raster.line(self._in_x(line.xs), self._in_y(line.ys), style, dash=dash, letter=letter)
            for x in line.bad:
                self.raster.sign(self._one_x(x), 0, self._signs["bad"], style)
        if self._chart.options.crosshair is not None:
            self.raster.vertical(self._one_x(self._chart.options.crosshair), plain, self._signs["vertical"])
        for column, row, text in names:
            self.raster.text(column, row, text, plain)
        self._warnings()

    def _references(self, style: int) -> list[tuple[int, int, str]]:
        """Draw the levels; where their names go, those of levels outside of the canvas at its edge.

        Names take at most half of the rows: those of levels inside of the canvas come first.
        """
        named: list[tuple[bool, int, str]] = []
        for reference, level in zip(self._chart.references, _reference_levels(self._chart), strict=False):
            y = (level - self._y[0]) / (self._y[1] - self._y[0])
            inside = 0 <= y <= 1
            if inside:
                self.raster.level(y, style, self._signs["level"])
            arrow = "" if inside else self._signs["above" if y > 1 else "below"]
            row = min(self.raster.rows - 2, self.raster.row_of(min(1.0, max(0.0, y))))  # above the warnings
            named.append((not inside, row, f"{self._chart.metric.reference_text(reference)}{arrow}"))
        kept = sorted(named, key=lambda one: one[0])[: self.raster.rows // 2]
        rows = spread_rows([row for _, row, _ in kept], self.raster.rows - 1)
        return [(1, row, name) for row, (_, _, name) in zip(rows, kept, strict=True)]

    def _warnings(self) -> None:
        for curve in self._chart.curves:
            if curve.warnings:
                style = self._new_style(self.coloured(curve.style.colour))
                for x in curve.warnings:
                    self.raster.sign(self._one_x(x), self.raster.rows - 1, self._signs["warning"], style)

    def _style(self, line: Line, *, dim: bool = False, bold: bool = False) -> int:
        return self._new_style(self.coloured(line.colour) + Style(dim=dim or None, bold=bold or None))

    def coloured(self, colour: tuple[int, int, int]) -> Style:
        return Style(color=Color.from_rgb(*colour)) if self._chart.options.colour else Style()

    def _new_style(self, style: Style) -> int:
        style = style if self._chart.options.colour else Style()
        if style not in self.styles:
            self.styles.append(style)
        return self.styles.index(style)

    def _one_x(self, x: float) -> float:
        return (x - self._x[0]) / (self._x[1] - self._x[0])

    def _in_x(self, xs: Floats) -> Floats:
        return (xs - self._x[0]) / (self._x[1] - self._x[0])

    def _in_y(self, ys: Floats) -> Floats:
        return (ys - self._y[0]) / (self._y[1] - self._y[0])


def _assembled(
    title: Text, plot: Frame, canvas: _Canvas, labels: dict[int, tuple[str, Line]], x_title: str, width: int
) -> Text:
    """The lines of the frame with the cells of the canvas in it and the labels behind."""
    rows, cell_styles = canvas.raster.cells()
    parts, spans, at = [], list[Span](), 0
    for number_of_line, line in enumerate(plot.lines):
        row = line
        if number_of_line < plot.rows:
            row = line[: plot.left] + rows[number_of_line]
            spans += _spans(cell_styles[number_of_line].tolist(), canvas.styles, at + plot.left)
            if number_of_line in labels:
                text, drawn = labels[number_of_line]
                bold = drawn.selected or drawn.mean
                style = canvas.coloured(drawn.colour) + Style(bold=bold or None)
                row += " "
                spans.append(Span(at + len(row), at + len(row) + len(text), style))
                row += text
        elif number_of_line == len(plot.lines) - 1:
            row = _with_axis_title(row, x_title, width)
        parts.append(row.rstrip())
        at += len(parts[-1]) + 1
    return Text("\n").join([title, Text("\n".join(parts), spans=spans, no_wrap=True)])


def _with_axis_title(row: str, title: str, width: int) -> str:
    """The line of the x ticks with the title of the axis at its right end, over ticks if there is no other room."""
    row = row.rstrip()
    if len(row) + 1 + len(title) <= width:
        return f"{row} {title}"
    return row[: width - len(title) - 1] + " " + title


def _spans(cells: Sequence[int], styles: Sequence[Style], offset: int) -> list[Span]:
    """Spans of equal style in a row of cells."""
    spans, start = [], 0
    for end in range(1, len(cells) + 1):
        if end == len(cells) or cells[end] != cells[start]:
            if cells[start] != NO_STYLE:
                spans.append(Span(offset + start, offset + end, styles[cells[start]]))
            start = end
    return spans
