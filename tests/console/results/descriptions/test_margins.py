"""Margins: mean, quantiles and histogram are those of plain arithmetic, and no bin holds both signs."""

from __future__ import annotations

import random
import statistics
from pathlib import Path

import msgspec
import numpy as np
import pytest

from console.results.descriptions.margins import bin_edges, margin_distributions
from console.results.load import load
from console.results.report.failure_sections import margin_sections
from console.results.report.layout import page_lines
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId
from engine.contract.toml_file import find_config
from tests.console.results.capsules import row, write_capsule

RUNS = [RunId(condition, seed) for condition in "AB" for seed in (42, 123)]


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def test_distributions_are_those_of_plain_arithmetic(tmp_path: Path) -> None:
    experiment = read_experiment(find_config("scaling.toml"))
    chance = random.Random(1)
    margins = {run: [round(chance.gauss(0.02, 0.1), 3) for _ in range(60)] for run in RUNS}
    margins[RUNS[0]][:3] = [0.0, 1.9, -1.9]  # a tie, and two beyond the axis
    for run, values in margins.items():
        rows = [row(f"r{at:02}", 1, margin=value)._replace(lemma=f"l{at % 20}") for at, value in enumerate(values)]
        write_capsule(tmp_path, experiment, run, [*rows, row("c0", 1, kind="coherence", margin=0.3)])
    found = margin_distributions(load(tmp_path, RUNS), RUNS)
    assert [(one.condition, one.kind, one.items, one.lemmas) for one in found] == [
        ("A", "retrieval", 60, 20),
        ("B", "retrieval", 60, 20),
        ("A", "coherence", 1, 1),
        ("B", "coherence", 1, 1),
    ]
    for one in found[:2]:
        seeds = [margins[run] for run in RUNS if run.condition == one.condition]
        assert one.mean.mean == pytest.approx(statistics.fmean(map(statistics.fmean, seeds)))
        assert one.mean.low is not None and one.mean.low < one.mean.mean
        for share, of in ((0.05, one.p5), (0.95, one.p95)):
            values = [quantile(seed, share) for seed in seeds]
            assert of.n == 2 and of.mean == pytest.approx(statistics.fmean(values))
            assert of.sd == pytest.approx(statistics.stdev(values))
        assert sum(one.counts) == pytest.approx(60) and sum(one.mean_pool_counts) == 60
        half = len(one.counts) // 2
        assert sum(one.counts[half:]) == pytest.approx(
            statistics.fmean(sum(value > 0 for value in seed) for seed in seeds)
        )
        assert one.edges[half] == 0.0 and one.edges == found[0].edges
    assert found[0].counts[0] >= 0.5 and found[0].counts[-1] >= 0.5  # those beyond the axis, of one seed of two
    assert found[2].mean.low is None  # a single lemma
    assert msgspec.json.encode(found)  # no number of another library


@pytest.mark.parametrize("reach", [1e-9, 0.003, 0.17, 1.0, 2.0])
def test_the_axis_is_even_around_zero_and_holds_nearly_all(reach: float) -> None:
    edges = bin_edges(np.linspace(-reach, reach, 1001))
    assert len(edges) == 21 and edges[10] == 0.0 and edges[0] == -edges[-1]
    assert 0.98 * reach <= edges[-1] <= max(3e-6, 1.6 * reach)


def test_a_histogram_has_a_bar_for_each_bin_that_holds_an_item(tmp_path: Path) -> None:
    experiment = read_experiment(find_config("scaling.toml"))
    values = [-0.1] * 5 + [0.05] * 10 + [0.1] * 5
    rows = [row(f"r{at:02}", 1, margin=value)._replace(lemma=f"l{at}") for at, value in enumerate(values)]
    write_capsule(tmp_path, experiment, RUNS[0], [*rows, row("c0", 1, kind="coherence")])
    (section, _) = margin_sections(margin_distributions(load(tmp_path, RUNS[:1]), RUNS[:1]))
    lines = ["".join(part.text for part in line) for line in page_lines([section])]
    drawn = next(line for line in lines if line.startswith("A "))[-21:]
    assert drawn.replace("·", "") == "▅|█▅"
    assert (drawn[0], drawn[10], drawn[-1]) == ("▅", "|", "▅")
    assert margin_sections(()) == ()
