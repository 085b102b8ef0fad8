"""Recomputes every score of ``metrics.json`` from the rows of ``items.parquet``: plain Python, apart from the engine's code."""

from __future__ import annotations

import math
from typing import Any

from engine.contract.metrics import Metrics

Row = dict[str, Any]


def plain_metrics(rows: list[Row], stated: Metrics) -> dict[str, Any]:
    """The scores in ``metrics.json``, as plain objects; of ``stated`` only the names of the baselines are used."""
    ranks = {"head": [row["rank"] for row in rows], "mean_pool": [row["mean_pool_rank"] for row in rows]}
    margins = {"head": [row["margin"] for row in rows], "mean_pool": [row["mean_pool_margin"] for row in rows]}
    names = [name for name in stated.baselines if name != "random"]
    for at, name in enumerate(names):
        ranks[f"baseline {name}"] = [row["baseline_ranks"][at] for row in rows]
        margins[f"baseline {name}"] = [row["baseline_margins"][at] for row in rows]
    right = {name: [(float(rank == 1), float(rank <= 3)) for rank in of] for name, of in ranks.items()}
    guesses = [(guess(row, 1), guess(row, 3)) for row in rows]
    ours, pooled = metric_items(rows, right["head"]), metric_items(rows, right["mean_pool"])
    steps = [row for row in rows if row["kind"] == "coherence"]
    return {
        "head": scores(rows, right["head"], margins["head"]),
        "mean_pool": scores(rows, right["mean_pool"], margins["mean_pool"]),
        "baselines": {
            "random": scores(rows, guesses, None),
            **{name: scores(rows, right[f"baseline {name}"], margins[f"baseline {name}"]) for name in names},
        },
        "gains": {
            name: estimate([(a - b, lemma) for (a, lemma), (b, _) in zip(ours[name], pooled[name], strict=True)])
            for name in ours
        },
        "coherence_ceiling": math.fsum(row["best_expected"] for row in steps) / len(steps),
        "judged": sum(row["item_class"] == "informative" for row in steps) / len(steps),
    }


def guess(row: Row, top: int) -> float:
    wrong, count = row["right"].count(False), len(row["right"])
    return 1.0 - math.comb(wrong, min(top, count)) / math.comb(count, min(top, count))


def metric_items(rows: list[Row], right: list[tuple[float, float]]) -> dict[str, list[tuple[float, str]]]:
    """Value and lemma of every item that a score is the mean of."""
    of: dict[str, list[tuple[float, str]]] = {
        "retrieval_top1": [], "retrieval_top3": [], "coherence_accuracy": [], "transition_accuracy": [],
        "final_state_accuracy": [],
    }  # fmt: skip
    previous: tuple[Row, float] | None = None
    for row, (first, third) in zip(rows, right, strict=True):
        lemma = row["lemma"]
        if row["kind"] == "retrieval":
            of["retrieval_top1"].append((first, lemma))
            of["retrieval_top3"].append((third, lemma))
            continue
        of["coherence_accuracy"].append((first, lemma))
        item = row["item_id"].rpartition(":")[0]
        if previous and previous[0]["item_id"].rpartition(":")[0] == item and previous[0]["right"] != row["right"]:
            of["transition_accuracy"].append((previous[1] * first, lemma))
        if row["step"] == row["steps"]:
            of["final_state_accuracy"].append((first, lemma))
        previous = (row, first)
    return of


def scores(rows: list[Row], right: list[tuple[float, float]], margins: list[float] | None) -> dict[str, Any]:
    of = metric_items(rows, right)
    plain = margins is None
    intervals = {name: estimate(items, plain) for name, items in of.items()}
    first = [one for one, _ in right]
    tiers = sorted({row["tier"] for row in rows} - {""})
    made: dict[str, Any] = {name: intervals[name]["mean"] for name in of}
    made["intervals"] = intervals
    made["tiers"] = {}
    for tier in tiers:
        chosen = [one for one, row in zip(first, rows, strict=True) if row["tier"] == tier]
        made["tiers"][tier] = {"items": len(chosen), "top1": math.fsum(chosen) / len(chosen)}
    made["classes"] = {
        name: estimate(
            [(one, row["lemma"]) for one, row in zip(first, rows, strict=True) if row["item_class"] == name], plain
        )
        for name in {row["item_class"] for row in rows}
    }
    made["margins"] = None
    if margins is not None:
        retrieval = sorted(one for one, row in zip(margins, rows, strict=True) if row["kind"] == "retrieval")
        made["margins"] = {
            "mean": math.fsum(retrieval) / len(retrieval),
            "p5": quantile(retrieval, 0.05),
            "p95": quantile(retrieval, 0.95),
        }
    return made


def quantile(ordered: list[float], share: float) -> float:
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def estimate(items: list[tuple[float, str]], exact: bool = False) -> dict[str, Any]:
    """Mean with the interval of the ratio estimator, clustered by lemma."""
    groups: dict[str, list[float]] = {}
    for value, lemma in items:
        groups.setdefault(lemma, []).append(value)
    mean, clusters = math.fsum(value for value, _ in items) / len(items), len(groups)
    made = {"mean": mean, "items": len(items), "lemmas": clusters}
    if exact or clusters < 2:
        return {**made, "standard_error": None, "low": None, "high": None}
    rests = [math.fsum(group) - mean * len(group) for group in groups.values()]
    error = math.sqrt(clusters / (clusters - 1) * math.fsum(rest * rest for rest in rests)) / len(items)
    half = student(clusters - 1) * error
    return {**made, "standard_error": error, "low": mean - half, "high": mean + half}


def student(freedom: int) -> float:
    """The 97.5% quantile of Student's t, as the square root of n times the tangent of an angle found by halving."""
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        angle = (low + high) / 2
        cosine, total, term = math.cos(angle), 0.0, 1.0
        if freedom % 2:
            term = cosine
        number = 1 + freedom % 2
        while number < freedom:
            total += term
            number += 2
            term *= (number - 2) / (number - 1) * cosine * cosine
        series = math.sin(angle) * total
        probability = 2 / math.pi * (angle + series) if freedom % 2 else series
        low, high = (angle, high) if probability < 0.95 else (low, angle)
    return math.tan((low + high) / 2) * math.sqrt(freedom)
