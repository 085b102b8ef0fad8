"""Charts of the report as SVG, drawn by matplotlib: gates and differences with intervals, loss curves, margins.

Their lines and letters take the colour of the text around them, so that a page may be dark or light.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from console.format import metric_label
from console.results.report.comparison_sections import coverage_text, pair_label
from engine.contract.bad_input import BadInput

if TYPE_CHECKING:
    from console.results.analysis.records import Comparison, GateResult
    from console.results.descriptions.records import MarginDistribution, TrainingSummary

INK = "#010203"
"""Drawn in this colour is what takes that of the text."""
_COLOURS = {"PASS": "#2a9d5c", "FAIL": "#d1495b", "INCONCLUSIVE": "#e08e0b", "MISSING": "#888888"}
_READINGS = {"better": "PASS", "not worse": "PASS", "worse": "FAIL", "undecided": "INCONCLUSIVE"}
_CONDITIONS = ("#3a7ebf", "#e08e0b", "#8a5cc2", "#2a9d5c", "#d1495b", "#20a0a0", "#b06a3b", "#c24f9b")
_STYLES = ("-", "--", "-.", ":")
_FONT = {"svg.fonttype": "none", "svg.hashsalt": "qllm-console", "font.family": "sans-serif", "text.parse_math": False}
_STYLE = dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK)
_WIDTH = 8.0  # inches of 72 points
MOST_SHOWN = 40


def gates_chart(gates: Sequence[GateResult]) -> str:
    """Each gate's mean and interval, its threshold and references; "" without any."""
    known = [one for one in gates if one.interval is not None][:MOST_SHOWN]

    def draw(axes: Any) -> None:
        for row, one in enumerate(known):
            assert one.interval is not None
            _interval(axes, row, one.interval.mean, one.interval.low, one.interval.high, _COLOURS[one.outcome])
            marks = ((one.threshold, "|"), (one.chance, "x"), (one.mean_pool, "d"), (one.ceiling, "^"))
            for value, marker in marks:
                if value is not None:
                    size = 16 if marker == "|" else 6
                    axes.plot(100 * value, row, marker, color=INK, markersize=size, fillstyle="none", clip_on=False)
        names = ("threshold", "|"), ("chance", "x"), ("frozen mean pooling", "d"), ("ceiling", "^")
        for name, marker in names:
            axes.plot([], [], marker, color=INK, fillstyle="none", label=name)
        _rows(axes, [f"{one.condition} {metric_label(one.gate)}" for one in known])
        axes.set_xlim(0, 100)
        coverage = coverage_text(one.interval for one in known)
        axes.set_xlabel(f"percent; bars: {coverage} for new lemmas and new seeds")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.0 + 0.6 / max(1, len(known))), ncols=4, frameon=False)

    return _svg("gates", draw, 1.3 + 0.27 * len(known)) if known else ""


def differences_chart(comparisons: Sequence[Comparison], name: str = "differences") -> str:
    """Differences in points with their intervals; those of margins are left to the tables."""
    chosen = [one for one in comparisons if one.recipe is not None and one.metric != "margin"][:MOST_SHOWN]

    def draw(axes: Any) -> None:
        axes.axvline(0, color=INK, linewidth=0.8)
        for row, one in enumerate(chosen):
            assert one.recipe is not None
            colour = _COLOURS[_READINGS.get(one.reading, "MISSING")]
            _interval(axes, row, one.recipe.mean, one.recipe.low, one.recipe.high, colour)
            if one.margin is not None:
                axes.plot(-100 * one.margin, row, "|", color=INK, markersize=16)
        _rows(axes, [f"{pair_label(one.ours, one.theirs)}  {metric_label(one.metric)}" for one in chosen])
        coverage = coverage_text(one.recipe for one in chosen)
        axes.set_xlabel(
            f"points; bars: {coverage} for new lemmas and new seeds; | the margin that a loss must not reach"
        )

    return _svg(name, draw, 1.0 + 0.27 * len(chosen)) if chosen else ""


def loss_chart(training: TrainingSummary | None) -> str:
    """Training and development loss by condition, mean over seeds with a band of one standard deviation."""
    conditions = [one for one in training.conditions if one.training_loss] if training is not None else []

    def draw(axes: Any) -> None:
        for at, one in enumerate(conditions):
            colour = _CONDITIONS[at % len(_CONDITIONS)]
            for points, style, what in (
                (one.training_loss, "-", "training"),
                (one.development_loss, "--", "development"),
            ):
                if not points:
                    continue
                epochs = [point.epoch for point in points]
                means = [point.mean for point in points]
                spread = [point.sd or 0.0 for point in points]
                label = f"{one.condition} {what} ({points[-1].n} seeds)"
                axes.plot(epochs, means, style, color=colour, label=label, linewidth=1.6)
                low = [mean - sd for mean, sd in zip(means, spread, strict=True)]
                high = [mean + sd for mean, sd in zip(means, spread, strict=True)]
                axes.fill_between(epochs, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.set_xlabel("epochs")
        axes.set_ylabel("loss")
        axes.legend(frameon=False, fontsize="small", ncols=2)

    return _svg("loss", draw, 3.4) if conditions else ""


def margins_chart(margins: Sequence[MarginDistribution], kind: str) -> str:
    """Distribution of the margins of one kind of item by condition, and of frozen mean pooling."""
    chosen = [one for one in margins if one.kind == kind and any(one.counts)][: len(_CONDITIONS)]

    def draw(axes: Any) -> None:
        for at, one in enumerate(chosen):
            style = _STYLES[at % len(_STYLES)]
            shares = [100 * count / sum(one.counts) for count in one.counts]
            axes.stairs(shares, one.edges, color=_CONDITIONS[at], label=one.condition, linewidth=1.5, linestyle=style)
        pooled = chosen[0]
        if total := sum(pooled.mean_pool_counts):
            shares = [100 * count / total for count in pooled.mean_pool_counts]
            axes.stairs(shares, pooled.edges, color=INK, alpha=0.5, label="frozen mean pooling", linestyle=":")
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_xlabel(f"margin of {kind} items in cosine, right above 0")
        axes.set_ylabel("% of items")
        axes.legend(frameon=False, fontsize="small")

    return _svg(f"margins-{kind}", draw, 2.8) if chosen else ""


def _interval(axes: Any, row: int, mean: float, low: float | None, high: float | None, colour: str) -> None:
    if low is not None and high is not None:
        axes.plot([100 * low, 100 * high], [row, row], "-", color=colour, linewidth=3, solid_capstyle="butt")
    axes.plot(100 * mean, row, "o", color=colour, markersize=7)


def _rows(axes: Any, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=INK, alpha=0.15)


def _svg(name: str, draw: Callable[[Any], None], height: float) -> str:
    """What ``draw`` draws on axes, as an ``svg`` element called ``name``; the same every time.

    Raises:
        BadInput: matplotlib is not installed.
    """
    try:
        matplotlib, figures = import_module("matplotlib"), import_module("matplotlib.figure")
    except ImportError as error:
        raise BadInput("charts need matplotlib: pip install 'qllm-console[report]'", field="--html") from error
    stream = io.StringIO()
    with matplotlib.rc_context({**_FONT, **_STYLE, "font.size": 9}):
        figure = figures.Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        axes.patch.set_alpha(0)
        draw(axes)
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    return _own_names(text[text.index("<svg") :].strip().replace(INK, "currentColor"), name)


def _own_names(svg: str, name: str) -> str:
    """``svg`` with ids that no other chart of the page has, and without what belongs to a file of its own."""
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", svg)
    return svg.replace("<svg ", '<svg role="img" ', 1)
