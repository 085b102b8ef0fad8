"""Metrics of runs that can be drawn over time: which there are, their series and axes, their reference values."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from console.format import duration, number
from console.runs.run_view import ELAPSED, FIRST_TIER, LEARNING_RATE, LOSS, STEP, RunView
from console.runs.series import Series
from engine.contract.events import BaselineScores, Measurement, SetScores
from engine.contract.experiment import TIERS
from engine.contract.settings import RunId

if TYPE_CHECKING:
    from engine.contract.experiment import Gates

XAxis = Literal["step", "epoch", "elapsed"]
X_AXES: tuple[XAxis, ...] = ("step", "epoch", "elapsed")
_SET_SCORES = {"top1": "top-1", "top3": "top-3", "coherence": "coherence"}
_GATED = {"top1": "retrieval_top1", "top3": "retrieval_top3", "coherence": "coherence_accuracy"}


class Reference(Struct, frozen=True):
    """A value to compare a metric with, drawn as a level line.

    Attributes:
        value: in the metric's unit.
        name: ``pooling`` (frozen mean pooling), ``chance`` (ranking at random), ``gate`` (a ship blocker's threshold),
            ``right = wrong``, ``uniform``.
        conditions: those that it is of; empty where it is the same for all.
    """

    value: float
    name: str
    conditions: tuple[str, ...] = ()


class Metric(Struct, frozen=True):
    """A quantity that a run or a host reports over time.

    Attributes:
        name: for programs: ``loss``, ``dev.top1``, ``dev.tier1_easy``, ``set.wordnet.coherence``, ``mix.tier1_easy``.
        label: for people.
        unit: of its values; "" for a plain number.
    """

    name: str
    label: str
    unit: str = ""

    @property
    def title(self) -> str:
        """Label and unit: ``dev top-1 %``."""
        return f"{self.label} {self.unit}".rstrip()

    @property
    def of_host(self) -> bool:
        """Whether it is of a host's GPUs, not of runs."""
        return self.name.startswith("gpu.")

    @property
    def per_step(self) -> bool:
        """Whether it has a value for each training step, rather than for each measurement."""
        return self.name in _STEP_COLUMNS

    def value_text(self, value: float | None) -> str:
        """``value`` in at most 7 characters, percentages with one decimal; ``-`` for None."""
        return f"{value:.1f}" if value is not None and self.unit.startswith("%") else number(value)

    def reference_text(self, reference: Reference) -> str:
        """Name, conditions and value of ``reference``: ``chance 24.1%``."""
        value = self.value_text(reference.value) + ("%" if self.unit == "%" else "")
        return " ".join(part for part in (reference.name, ",".join(reference.conditions), value) if part)


_STEP_COLUMNS = {"loss": LOSS, "learning_rate": LEARNING_RATE} | {
    f"mix.{tier}": FIRST_TIER + at for at, tier in enumerate(TIERS)
}
LOSS_METRIC = Metric("loss", "training loss")
_MEASURED = (
    Metric("dev.top1", "dev top-1", "%"),
    Metric("dev.loss", "dev loss"),
    Metric("dev.margin", "dev margin", "cosine"),
    Metric("dev.attention_entropy", "attention entropy", "of log T"),
    Metric("dev.score", "dev score", "%"),
)
_OF_STEPS = (
    Metric("learning_rate", "learning rate"),
    *(Metric(f"mix.{tier}", tier, "% of batch") for tier in TIERS),
)
HOST_METRICS = (
    Metric("gpu.utilization", "GPU use", "%"),
    Metric("gpu.memory_used", "GPU memory", "GiB"),
    Metric("gpu.temperature", "GPU temperature", "degrees C"),
    Metric("gpu.power", "GPU power", "W"),
)


def metrics_of(views: Mapping[RunId, RunView]) -> tuple[Metric, ...]:
    """Every metric that can be drawn of ``views``: those that every run has, then each tier and development set measured."""
    last = [view.measurements[-1] for view in views.values() if view.measurements]
    tiers = [tier for tier in dict.fromkeys((*TIERS, *(t for one in last for t in one.tiers))) if _has_tier(last, tier)]
    names = dict.fromkeys(scores.name for one in last for scores in one.sets)
    of_sets = [
        Metric(f"set.{name}.{kind}", f"{name} {label}", "%")
        for name in names
        for kind, label in _SET_SCORES.items()
        if any(_of_sets(one.sets, name, kind) is not None for one in last)
    ]
    of_tiers = (Metric(f"dev.{tier}", f"{tier} top-1", "%") for tier in tiers)
    return (LOSS_METRIC, *_MEASURED, *of_tiers, *of_sets, *_OF_STEPS)


def _has_tier(measurements: Iterable[Measurement], tier: str) -> bool:
    return any(tier in one.tiers for one in measurements)


def series_of(view: RunView, metric: Metric, x: XAxis) -> Series:
    """``metric`` of a run over steps, epochs done, or seconds of training; empty where it or x is not known yet."""
    column = _STEP_COLUMNS.get(metric.name)
    if column is not None:
        if x == "elapsed":
            return Series.of(view.steps, ELAPSED, column)
        scale = 1.0 if x == "step" else epochs_per_step(view)
        return Series() if scale is None else Series.of(view.steps, STEP, column, scale)
    points = [
        (at, value)
        for one in view.measurements
        if (value := value_of(one, metric)) is not None and (at := _x_of(view, one, x)) is not None
    ]
    return Series(array("d", (at for at, _ in points)), array("d", (value for _, value in points)))


def value_of(measurement: Measurement, metric: Metric) -> float | None:
    """``metric`` in a measurement, accuracies in percent; None if it was not measured."""
    kind, _, rest = metric.name.partition(".")
    if kind == "set":
        name, _, score = rest.rpartition(".")
        return _of_sets(measurement.sets, name, score)
    if kind != "dev":
        return None
    if rest in ("loss", "margin", "attention_entropy"):
        return float(getattr(measurement, rest))
    return _score_of(measurement, metric)


def _baselines(one: Measurement) -> Iterator[tuple[str, BaselineScores]]:
    """What a head is held against on the same development data, by name."""
    yield "pooling", BaselineScores(one.mean_pool_top1, one.mean_pool_tiers, one.mean_pool_score, one.mean_pool_sets)
    if one.chance is not None:
        yield "chance", one.chance


def _score_of(scores: Measurement | BaselineScores, metric: Metric) -> float | None:
    """``metric`` of one model's scores on development data in percent; None where it is no score or not known."""
    kind, _, rest = metric.name.partition(".")
    if kind == "set":
        name, _, score = rest.rpartition(".")
        return _of_sets(scores.sets, name, score)
    if kind != "dev":
        return None
    value = scores.tiers.get(rest) if rest not in ("top1", "score") else getattr(scores, rest)
    return None if value is None else 100 * float(value)


def _of_sets(sets: Iterable[SetScores], name: str, score: str) -> float | None:
    value = next((getattr(one, score) for one in sets if one.name == name), None)
    return None if value is None else 100 * float(value)


def references_of(views: Mapping[RunId, RunView], metric: Metric, gates: Gates | None = None) -> tuple[Reference, ...]:
    """Reference values of ``metric``: frozen mean pooling, chance, the gate's threshold, the value of an untrained head.

    Mean pooling and chance have the names of conditions where these are measured on different data.
    """
    references = _baseline_references(views, metric)
    score = metric.name.rpartition(".")[2]
    if gates is not None and metric.name.startswith(("set.", "dev.top1")) and score in _GATED:
        threshold = 100 * float(getattr(gates, _GATED[score]))
        references.append(Reference(threshold, "gate"))
    if metric.name == "dev.margin":
        references.append(Reference(0.0, "right = wrong"))
    if metric.name == "dev.attention_entropy":
        references.append(Reference(1.0, "uniform"))
    return tuple(references)


def _baseline_references(views: Mapping[RunId, RunView], metric: Metric) -> list[Reference]:
    found: dict[str, dict[str, tuple[float, list[str]]]] = {"pooling": {}, "chance": {}}
    for run, view in views.items():
        for name, scores in _baselines(view.measurements[-1]) if view.measurements else ():
            value = _score_of(scores, metric)
            if value is not None:  # values that read the same are one line
                found[name].setdefault(metric.value_text(value), (value, []))[1].append(run.condition)
    return [
        Reference(value, name, tuple(dict.fromkeys(conditions)) if len(levels) > 1 else ())
        for name, levels in found.items()
        for value, conditions in levels.values()
    ]


def epochs_per_step(view: RunView) -> float | None:
    """Epochs that one step is, by the last measurement; None before the first one after a step."""
    last = next((one for one in reversed(view.measurements) if one.step and one.epoch), None)
    return round(last.epoch / last.step, 15) if last else None


def x_at_step(view: RunView, step: int, x: XAxis) -> float | None:
    """Where ``step`` of a run lies on the axis ``x``; None if that is not known."""
    if x == "step":
        return float(step)
    if x == "epoch":
        scale = epochs_per_step(view)
        return None if scale is None else step * scale
    rows = view.steps.rows_up_to(STEP, step)
    return view.steps.value(ELAPSED, rows - 1) if rows else (0.0 if step == 0 else None)


def step_at_x(view: RunView, at: float, x: XAxis) -> int | None:
    """The step of a run at ``at`` on the axis ``x``; None if that is not known."""
    if x == "step":
        return round(at)
    if x == "epoch":
        scale = epochs_per_step(view)
        return None if scale is None else round(at / scale)
    rows = view.steps.rows_up_to(ELAPSED, at)
    return int(view.steps.value(STEP, rows - 1)) if rows else None


def x_text(x: XAxis, at: float) -> str:
    """``step 120``, ``epoch 1.50``, ``0:41``."""
    if x == "elapsed":
        return duration(at)
    return f"{x} {at:.0f}" if x == "step" else f"{x} {at:.2f}"


def _x_of(view: RunView, measurement: Measurement, x: XAxis) -> float | None:
    return measurement.epoch if x == "epoch" else x_at_step(view, measurement.step, x)
