"""Every number of results and gates, computed again from the items by plain Python, to the last digit."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from console.results.aggregate import aggregate
from console.results.analysis.analyze import analyze
from console.results.analysis.records import MEAN_POOL, Analysis, Comparison
from console.results.load import LoadedRuns, load, read_verified
from console.results.records import ConditionResult, ModelScores, Results
from engine.contract.experiment import Experiment, Gates, folder_name
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId, run_ids
from tests.console.conftest import FinishedExperiment
from tests.console.results.capsules import row, write_capsule
from tests.console.results.statistics.plain_interval import (
    monte_carlo_error,
    plain_crossed_bootstrap,
    plain_moments,
)

DRAWS = 200
Rows = list[dict[str, Any]]


def is_of(one: Mapping[str, Any], metric: str) -> bool:
    """Whether an item is one of ``metric``, which may be a tier."""
    if metric == "coherence_accuracy" or one["kind"] == "coherence":
        return metric == "coherence_accuracy" and one["kind"] == "coherence"
    if metric == "killers":
        return bool(one["killer"])
    return metric in ("retrieval_top1", "retrieval_top3", "margin") or bool(one["tier"] == metric)


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def value(one: Mapping[str, Any], metric: str, prefix: str = "") -> float:
    if metric == "margin":
        return float(one[f"{prefix}margin"])
    return float(one[f"{prefix}rank"] <= (3 if metric == "retrieval_top3" else 1))


def score(rows: Rows, metric: str, prefix: str = "") -> float:
    return mean([value(one, metric, prefix) for one in rows if is_of(one, metric)])


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def chance(one: Mapping[str, Any], top: int) -> float:
    """By drawing without replacement, one candidate after another."""
    candidates, wrong, missed = one["candidates"], one["candidates"] - sum(one["right"]), 1.0
    for drawn in range(min(top, candidates)):
        missed *= (wrong - drawn) / (candidates - drawn)
    return 1 - missed


def check_model(found: ModelScores, rows: Rows, prefix: str) -> None:
    assert found.top1 == score(rows, "retrieval_top1", prefix)
    assert found.top3 == score(rows, "retrieval_top3", prefix)
    assert found.coherence == score(rows, "coherence_accuracy", prefix)
    margins = [value(one, "margin", prefix) for one in rows if one["kind"] == "retrieval"]
    assert found.margins.mean == mean(margins)
    assert found.margins.p5 == pytest.approx(percentile(margins, 0.05), rel=1e-14, abs=1e-16)
    assert found.margins.p95 == pytest.approx(percentile(margins, 0.95), rel=1e-14, abs=1e-16)
    tiers = {one["tier"] for one in rows if one["kind"] == "retrieval"} - {""}
    assert set(found.tiers) == tiers
    for tier in tiers:
        of_tier = [one for one in rows if one["kind"] == "retrieval" and one["tier"] == tier]
        assert found.tiers[tier].items == len(of_tier) and found.tiers[tier].top1 == score(rows, tier, prefix)


def check_condition(found: ConditionResult, runs: Sequence[Rows], gates: Gates) -> None:
    def check(spread: Any, values: Sequence[float]) -> None:
        assert spread.mean == statistics.fmean(values)
        assert spread.sd == (statistics.stdev(values) if len(values) > 1 else None)

    assert found.evaluated == len(runs)
    names = {"top1": "retrieval_top1", "top3": "retrieval_top3", "coherence": "coherence_accuracy", "margin": "margin"}
    for field, metric in names.items():
        check(getattr(found, field), [score(rows, metric) for rows in runs])
        pooled = [score(rows, metric, "mean_pool_") for rows in runs]
        assert getattr(found, f"mean_pool_{field}") == statistics.fmean(pooled)
    for tier, spread in found.tiers.items():
        check(spread, [score(rows, tier) for rows in runs])
    for gate in found.gates:
        expected = statistics.fmean([score(rows, gate.gate) for rows in runs])
        assert gate.value == expected and gate.passed == (expected >= getattr(gates, gate.gate))


def check_gates(found: Analysis, rows: Mapping[str, Sequence[Rows]]) -> None:
    for gate in found.gates:
        first = rows[gate.condition][0]
        items = [one for one in first if is_of(one, gate.gate)]
        top = 3 if gate.gate == "retrieval_top3" else 1
        assert gate.interval is not None
        assert gate.interval.mean == statistics.fmean([score(one, gate.gate) for one in rows[gate.condition]])
        assert gate.interval.items == len(items) and gate.interval.lemmas == len({one["lemma"] for one in items})
        assert gate.point_passed == (gate.interval.mean >= gate.threshold)
        assert gate.mean_pool == score(first, gate.gate, "mean_pool_")
        assert gate.chance == pytest.approx(mean([chance(one, top) for one in items]), rel=1e-14, abs=1e-16)
        if gate.word_overlap is not None:
            assert gate.word_overlap == mean([float(one["baseline_ranks"][0] <= top) for one in items])
        if gate.gate == "coherence_accuracy":
            assert gate.ceiling == mean([one["best_expected"] for one in items])


def check_comparison(found: Comparison, rows: Mapping[str, Mapping[int, Rows]]) -> None:
    if found.recipe is None:
        return
    ours = {seed: score(one, found.metric) for seed, one in rows[found.ours].items()}
    if found.theirs == MEAN_POOL:
        theirs = {0: score(next(iter(rows[found.ours].values())), found.metric, "mean_pool_")}
    else:
        theirs = {seed: score(one, found.metric) for seed, one in rows[found.theirs].items()}
    if found.metric == "margin":  # its sums over lemmas are rounded
        assert found.recipe.mean == pytest.approx(mean(list(ours.values())) - mean(list(theirs.values())), abs=1e-15)
    else:
        assert found.recipe.mean == statistics.fmean(ours.values()) - statistics.fmean(theirs.values())
    if found.theirs == MEAN_POOL:
        return
    if found.role == "confirmatory" and found.recipe.method in ("bootstrap", "t"):
        check_interval(found, rows, DRAWS)
    pairs = [(one > other) + (one == other) / 2 for one in ours.values() for other in theirs.values()]
    assert found.probability == mean(pairs)
    test = found.paired_t
    assert test is not None
    differences = [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]
    assert list(test.differences) == differences and test.mean == mean(differences)
    if test.t is not None:
        deviation = statistics.stdev(differences)
        assert test.t == pytest.approx(mean(differences) / (deviation / math.sqrt(len(differences))), rel=1e-13)
        assert test.deviation == deviation and test.freedom == len(differences) - 1
    if found.mcnemar is not None:
        check_mcnemar(found, rows)


def check_interval(found: Comparison, rows: Mapping[str, Mapping[int, Rows]], draws: int) -> None:
    """The recipe's interval, up to the Monte Carlo error of its ``draws`` and of the plain bootstrap's."""
    of_items = [
        {one["item_id"]: (value(one, found.metric), one["lemma"]) for one in of_run if is_of(one, found.metric)}
        for name in (found.ours, found.theirs)
        for of_run in rows[name].values()
    ]
    keys = sorted(of_items[0])
    tables = [[one[key][0] for key in keys] for one in of_items]
    ours, theirs = tables[: len(rows[found.ours])], tables[len(rows[found.ours]) :]
    lemmas = [of_items[0][key][1] for key in keys]
    plain = plain_moments(ours, theirs, lemmas)
    interval = found.recipe
    assert interval is not None and interval.low is not None and interval.high is not None
    assert interval.standard_error == pytest.approx(plain.error)
    drawn = plain_crossed_bootstrap(ours, theirs, lemmas, 2_000, 3)
    cuts = statistics.quantiles(drawn, n=40)
    tolerance = 4 * monte_carlo_error(draws, statistics.stdev(drawn))
    low, high = min(cuts[0], plain.mean - plain.half), max(cuts[38], plain.mean + plain.half)
    assert interval.low == pytest.approx(max(-1.0, low), abs=tolerance)
    assert interval.high == pytest.approx(min(1.0, high), abs=tolerance)


def check_mcnemar(found: Comparison, rows: Mapping[str, Mapping[int, Rows]]) -> None:
    assert found.mcnemar is not None

    def majorities(condition: str) -> dict[str, bool]:
        votes: dict[str, list[bool]] = {}
        for of_seed in rows[condition].values():
            for one in of_seed:
                if is_of(one, "killers"):
                    votes.setdefault(one["item_id"], []).append(one["rank"] == 1)
        return {item: 2 * sum(vote) > len(vote) for item, vote in votes.items()}

    ours, theirs = majorities(found.ours), majorities(found.theirs)
    only = [sum(a[item] and not b[item] for item in ours) for a, b in ((ours, theirs), (theirs, ours))]
    tail = sum(math.comb(sum(only), at) for at in range(min(only) + 1)) / 2 ** sum(only)
    assert [found.mcnemar.ours_only, found.mcnemar.theirs_only] == only
    assert found.mcnemar.p == pytest.approx(min(1.0, 2 * tail))


def check_everything(experiment: Experiment, profile: str, folder: Path) -> tuple[Results, Analysis]:
    loaded = load(folder, run_ids(experiment, profile))
    results = aggregate(experiment, profile, loaded)
    analysis = analyze(experiment, loaded, results, draws=DRAWS)
    rows = dict(rows_of(loaded, folder))
    for run in results.runs:
        if run.head is not None and run.mean_pool is not None:
            check_model(run.head, rows[run.condition][run.seed], "")
            check_model(run.mean_pool, rows[run.condition][run.seed], "mean_pool_")
    for condition in results.conditions:
        check_condition(condition, list(rows[condition.condition].values()), experiment.gates)
    check_gates(analysis, {name: list(by_seed.values()) for name, by_seed in rows.items()})
    for comparison in analysis.comparisons:
        check_comparison(comparison, rows)
    return results, analysis


def rows_of(loaded: LoadedRuns, folder: Path) -> Iterator[tuple[str, dict[int, Rows]]]:
    """The items of each run by condition and seed, as they are in its file."""
    for condition in dict.fromkeys(run.condition for run in loaded.runs):
        runs = [run for run, one in loaded.runs.items() if run.condition == condition and one.capsule is not None]
        tables = {run.seed: read_verified(folder / str(run) / "items.parquet", "") for run in runs}
        yield condition, {seed: list(table.iter_rows(named=True)) for seed, table in tables.items()}


def test_every_number_of_a_real_small_experiment_follows_from_its_items(finished: FinishedExperiment) -> None:
    experiment = read_experiment(finished.experiment)
    folder = finished.runs / folder_name(experiment, "tiny")
    results, analysis = check_everything(experiment, "tiny", folder)
    assert all(run.head is not None for run in results.runs)
    assert [one.reading for one in analysis.comparisons if one.role == "confirmatory"] != []
    assert any(
        one.recipe is not None and one.recipe.method != "none"
        for one in analysis.comparisons
        if one.role == "confirmatory"
    )


def test_every_number_of_items_made_by_hand_follows_from_them(scaling: Experiment, tmp_path: Path) -> None:
    for condition, right in (("A", (2, 3, 4)), ("B", (5, 3, 6)), ("C", (1, 7, 7))):
        for seed, count in zip(scaling.seeds, right, strict=True):
            write_capsule(tmp_path, scaling, RunId(condition, seed), made_by_hand(count, seed))
    results, analysis = check_everything(scaling, "full", tmp_path)
    (first, *_) = results.conditions
    assert first.top1 is not None and first.top1.mean == statistics.fmean([0.2, 0.3, 0.4])
    assert sum(one.metric == "killers" and one.mcnemar is not None for one in analysis.comparisons) == 3


@pytest.fixture(scope="module")
def scaling() -> Experiment:
    from tests.console.results.scored_runs import scaling

    return scaling()


def made_by_hand(right: int, seed: int) -> list[Any]:
    """Ten retrieval items of three lemmas, ``right`` of them right, and seven coherence steps."""
    retrieval = [
        row(
            f"r{at}",
            1 if at < right else 2 + at % 3,
            tier=("tier1_easy", "tier2_robust")[at % 2],
            margin=0.1 * at - 0.37,
        )
        for at in range(10)
    ]
    retrieval = [
        one._replace(lemma="abc"[at % 3], killer="style_mismatch" if at % 2 else "", mean_pool_rank=1 + at % 4)
        for at, one in enumerate(retrieval)
    ]
    coherence = [row(f"c{at}:0", 1 + (at + seed) % 2, kind="coherence", tier="") for at in range(7)]
    return [
        *retrieval,
        *(one._replace(lemma="abc"[at % 3], best_expected=1 / (1 + at)) for at, one in enumerate(coherence)),
    ]
