"""The matrix of runs as short text: a row per condition, a cell per seed, mean and spread over finished seeds. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Literal

from msgspec import Struct

from console.runs.failures import short_failure
from console.runs.run_view import RunView, fraction_done, queue_order
from engine.contract.experiment import Experiment
from engine.contract.settings import RunId, differences

OrderKey = Literal["plan", "top1", "coherence", "warnings"] | int
"""What rows are ordered by: the plan's order, a mean, the number of warnings, or the top-1 of one seed."""

_STAGES = {
    "data": "data",
    "encode": "enc",
    "warm_start": "warm",
    "train": "train",
    "evaluate": "eval",
    "seal": "seal",
    "": "start",
}


class MeanSpread(Struct, frozen=True):
    """Mean of ``count`` seeds and their standard deviation (n - 1), None of a single one."""

    mean: float
    deviation: float | None
    count: int

    def __str__(self) -> str:
        """In percent: ``42.9 ± 0.5``."""
        return f"{100 * self.mean:.1f}" + ("" if self.deviation is None else f" ± {100 * self.deviation:.1f}")


class MatrixRow(Struct, frozen=True):
    """A condition: means over its finished seeds, and how many warnings its runs have."""

    condition: str
    top1: MeanSpread | None
    coherence: MeanSpread | None
    warnings: int
    exposures: float | None


def matrix_row(condition: str, views: Sequence[RunView]) -> MatrixRow:
    """The row of ``condition``, whose runs are ``views``."""
    scores = [view.evaluation for view in views if view.state_name == "finished" and view.evaluation is not None]
    exposures = [view.measurements[-1].tier3_exposures or 0.0 for view in views if view.measurements]
    return MatrixRow(
        condition,
        _mean_spread(one.top1 for one in scores),
        _mean_spread(one.coherence for one in scores),
        sum(len(view.warnings) for view in views),
        max(exposures, default=0.0) or None,
    )


def _mean_spread(values: Iterable[float]) -> MeanSpread | None:
    found = [value for value in values if math.isfinite(value)]
    if not found:
        return None
    return MeanSpread(fmean(found), stdev(found) if len(found) > 1 else None, len(found))


def ordered(
    rows: Sequence[MatrixRow], key: OrderKey, descending: bool, views: Mapping[RunId, RunView]
) -> list[MatrixRow]:
    """``rows``, given in the plan's order, by ``key``; those without a value come last either way."""
    values = {row.condition: _order_value(row, key, views) for row in rows}
    if key == "plan":
        return list(reversed(rows)) if descending else list(rows)
    known = [row for row in rows if values[row.condition] is not None]
    unknown = [row for row in rows if values[row.condition] is None]
    return sorted(known, key=lambda row: values[row.condition] or 0.0, reverse=descending) + unknown


def _order_value(row: MatrixRow, key: OrderKey, views: Mapping[RunId, RunView]) -> float | None:
    match key:
        case "top1":
            return row.top1.mean if row.top1 else None
        case "coherence":
            return row.coherence.mean if row.coherence else None
        case "warnings":
            return float(row.warnings)
        case int(seed):
            view = views.get(RunId(row.condition, seed))
            return view.evaluation.top1 if view is not None and view.evaluation is not None else None
        case _:
            return None


def queue_places(views: Iterable[RunView]) -> dict[RunId, int]:
    """Place in the host's queue of each queued run, from 1, in that order."""
    return {view.run: place for place, view in enumerate(queue_order(views), 1)}


def short_text(view: RunView, place: int | None) -> str:
    """A run beside the sign of its state, in at most 5 ASCII characters; ``place`` is its place in the queue."""
    if view.aborting:
        return "abort"
    match view.state_name:
        case "running":
            fraction = fraction_done(view) if view.stage == "train" else None
            return _STAGES.get(view.stage, "start") if fraction is None else f"{100 * fraction:.0f}%"
        case "queued":
            return ordinal(place) if place is not None and place < 1000 else ""
        case "finished":
            top1 = view.evaluation.top1 if view.evaluation is not None else math.nan
            return f"{100 * top1:.1f}" if math.isfinite(top1) else "-"
        case "failed":
            return short_failure(view)
        case "lost":
            return "lost"
        case _:
            return ""


def ordinal(number: int) -> str:
    """``1st``, ``2nd``, ``3rd``, ``4th``, ``11th``."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def derived_text(experiment: Experiment, condition: str, profile: str | None) -> str:
    """``from B: tier2 1.5, tier3 2.0`` for a derived condition, "" for another one."""
    derivation = experiment.conditions[condition].derived
    if derivation is None:
        return ""
    own, parent = (
        {one.setting: one for one in differences(experiment, name, profile)} for name in (condition, derivation.parent)
    )
    changes = []
    for setting in dict.fromkeys((*own, *parent)):
        value = own[setting].value if setting in own else parent[setting].base
        before = parent[setting].value if setting in parent else own[setting].base
        if value != before:
            name = setting.rpartition(".")[2]
            changes.append(f"{name.partition('_')[0] if name.startswith('tier') else name} {value}")
    return f"from {derivation.parent}: {', '.join(changes) or 'no setting differs'}"
