"""A chart as a value: everything that a drawing of it needs, whether as text or as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from console.charts.metrics import Metric, Reference, XAxis, references_of, series_of, x_at_step
from console.charts.palette import Style, styles
from console.runs.run_view import RunView
from console.runs.series import Series
from engine.contract.settings import RunId

if TYPE_CHECKING:
    from engine.contract.experiment import Gates

Mode = Literal["runs", "mean", "both"]
YMode = Literal["automatic", "robust", "fixed"]
Spread = Literal["sd", "range"]
MODES: tuple[Mode, ...] = ("runs", "mean", "both")
Y_MODES: tuple[YMode, ...] = ("automatic", "robust", "fixed")
_X_TITLES: dict[XAxis, str] = {"step": "step", "epoch": "epoch", "elapsed": "h:mm:ss"}
SMOOTHINGS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99)


class ChartOptions(Struct, frozen=True):
    """How a chart shows its metric: axes, smoothing, runs or means, the values read at a crosshair.

    Attributes:
        mode: each run, the mean of each condition with its band over seeds, or both.
        spread: the band is one standard deviation to each side, or from the lowest to the highest seed.
        smoothing: weight of the moving average in [0, 1); 0 for none.
        x_range: the part of the x axis that is shown; None for all of it.
        y_mode: all values; all but the outer two percent on each side; or ``y_range``.
        crosshair: the x at which values are read.
        colour: whether colours are drawn.
    """

    x: XAxis = "step"
    mode: Mode = "runs"
    spread: Spread = "sd"
    smoothing: float = 0.0
    log_scale: bool = False
    x_range: tuple[float, float] | None = None
    y_mode: YMode = "automatic"
    y_range: tuple[float, float] | None = None
    crosshair: float | None = None
    colour: bool = True


class RunCurve(Struct, frozen=True):
    """The curve of one run in a chart.

    Attributes:
        end: where its x axis ends once it has finished; None if that is not known.
        warnings: the x of its guardrails' warnings.
        failed: the run ended without success.
    """

    run: RunId
    series: Series
    style: Style
    end: float | None = None
    warnings: tuple[float, ...] = ()
    failed: bool = False


class Chart(Struct, frozen=True):
    """One metric of several runs, and how it is shown; ``note`` is added to the title."""

    metric: Metric
    curves: tuple[RunCurve, ...]
    options: ChartOptions = ChartOptions()
    references: tuple[Reference, ...] = ()
    selected: RunId | None = None
    note: str = ""

    @property
    def x_title(self) -> str:
        """The name and unit of the x axis."""
        return _X_TITLES[self.options.x]

    @property
    def title(self) -> str:
        """Metric and unit."""
        return self.metric.title

    @property
    def details(self) -> tuple[str, ...]:
        """What the title adds where values are not shown as measured: mean, smoothing, logarithm, limits."""
        options = self.options
        band = {"sd": "±sd", "range": "min-max"}[options.spread]
        parts = (
            (options.mode == "mean", f"mean {band}"),
            (options.mode == "both", f"runs, mean {band}"),
            (options.smoothing > 0, f"smooth {options.smoothing:.2f}"),
            (options.log_scale, "log"),
            (options.y_mode != "automatic", f"{options.y_mode} y"),
            (options.x_range is not None, "zoomed"),
        )
        return tuple(text for shown, text in parts if shown)


def chart_of(
    views: Mapping[RunId, RunView],
    metric: Metric,
    options: ChartOptions,
    *,
    selected: RunId | None = None,
    gates: Gates | None = None,
) -> Chart:
    """The chart of ``metric`` of all runs of ``views``."""
    style_of = styles(views)
    curves = tuple(_curve(view, metric, options.x, style_of[run]) for run, view in views.items())
    note = ""
    if selected is not None and selected in views and not metric.per_step:
        best = views[selected].best_measurement
        note = f"{selected.label} best at epoch {best.epoch:.1f}" if best is not None and best.step else ""
    return Chart(metric, curves, options, references_of(views, metric, gates), selected, note)


def _curve(view: RunView, metric: Metric, x: XAxis, style: Style) -> RunCurve:
    end = x_at_step(view, view.total_steps, x) if view.total_steps and x != "elapsed" else None
    marks = (x_at_step(view, warning.step, x) for warning in view.warnings if warning.step)
    return RunCurve(
        view.run,
        series_of(view, metric, x),
        style,
        end=end,
        warnings=tuple(mark for mark in marks if mark is not None),
        failed=view.state_name in ("failed", "lost"),
    )
