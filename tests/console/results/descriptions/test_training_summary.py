"""Training over seeds: losses, epochs to the threshold with those that did not reach it, warnings, times."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from console.results.descriptions.load_training import load_training
from console.results.descriptions.records import TrainingSummary
from console.results.descriptions.training_summary import training_summary
from console.results.report.layout import page_lines
from console.results.report.training_sections import training_sections
from engine.contract.analysis_settings import Timeline
from engine.contract.events import Warning
from engine.contract.settings import RunId
from tests.console.results.recordings import Bodies, measurement, stage, step, write_events

SEEDS = (42, 123, 456)
LOSSES = {42: 1.0, 123: 1.5, 456: 3.0}
SCORES = {42: (0.4, 0.55, 0.7), 123: (0.4, 0.65, 0.5), 456: (0.4, 0.45, 0.5)}


def flat(summary: TrainingSummary) -> str:
    """The text without its line breaks."""
    return " ".join(text(summary).split())


def events_of(seed: int) -> Bodies:
    """Loss of seed 42: 20 at the first step down to 1 at the last; a measurement at steps 0, 10 and 20."""
    first, middle, last = (
        measurement(number, score, entropy=0.9 + seed / 10_000)
        for number, score in zip((0, 10, 20), SCORES[seed], strict=True)
    )
    losses = [step(number, LOSSES[seed] + 20 - number) for number in range(1, 21)]
    warning = Warning("loss_spike", "a spike", 5, 9.0)
    begin: Bodies = [stage("data"), (59.0, stage("train")), first]
    return [
        *begin,
        *losses[:10],
        middle,
        *losses[10:],
        last,
        *([warning] if seed == 456 else []),
        stage("evaluate"),
        stage("seal"),
    ]


def summary_of(folder: Path, threshold: float | None = 0.6, seeds: tuple[int, ...] = SEEDS) -> TrainingSummary:
    for seed in seeds:
        write_events(folder, RunId("A", seed), events_of(seed))
    runs = [RunId("A", seed) for seed in SEEDS]
    return training_summary(load_training(folder, runs), runs, threshold, Timeline(), 4.0)


def text(summary: TrainingSummary) -> str:
    return "\n".join("".join(part.text for part in line) for line in page_lines(training_sections(summary)))


def test_the_loss_at_the_end_is_that_of_the_last_tenth_with_its_variance_over_seeds(tmp_path: Path) -> None:
    (condition,) = summary_of(tmp_path).conditions
    ends = [statistics.fmean((loss + 1, loss)) for loss in LOSSES.values()]  # steps 19 and 20
    assert len(condition.training_loss) == 10
    end = condition.training_loss[-1]
    assert (end.epoch, end.n) == (2.0, 3)
    assert end.mean == pytest.approx(statistics.fmean(ends))
    assert end.variance == pytest.approx(statistics.variance(ends))
    start = condition.training_loss[0]
    assert start.epoch == pytest.approx(0.2) and start.mean == pytest.approx(statistics.fmean(LOSSES.values()) + 18.5)


def test_measurements_are_means_over_seeds(tmp_path: Path) -> None:
    (condition,) = summary_of(tmp_path).conditions
    middle = condition.development_score[1]
    scores = [scores[1] for scores in SCORES.values()]
    assert (middle.epoch, middle.n) == (1.0, 3)
    assert middle.mean == pytest.approx(statistics.fmean(scores))
    assert middle.sd == pytest.approx(statistics.stdev(scores))
    assert condition.development_loss[1].mean == pytest.approx(2 - statistics.fmean(scores))
    entropies = [0.9 + seed / 10_000 for seed in SEEDS]
    assert condition.entropy[2].mean == pytest.approx(statistics.fmean(entropies))
    assert condition.entropy[2].sd == pytest.approx(statistics.stdev(entropies))


def test_a_seed_that_does_not_reach_the_threshold_stays_and_counts_as_last(tmp_path: Path) -> None:
    summary = summary_of(tmp_path)
    (condition,) = summary.conditions
    assert [(one.seed, one.epoch, one.step) for one in condition.convergence] == [
        (42, 2.0, 20),
        (123, 1.0, 10),
        (456, None, None),
    ]
    assert (condition.reached, condition.median_epoch) == (2, 2.0)  # of 1, 2 and never
    shown = flat(summary)
    assert "2 of 3" in shown and "456: not reached in 2.00 (20)" in shown and "first reached 60" in shown


def test_without_a_majority_there_is_no_median(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, 0.68)
    (condition,) = summary.conditions
    assert (condition.reached, condition.median_epoch, len(condition.convergence)) == (1, None, 3)
    assert "1 of 3   not reached" in text(summary)


def test_without_a_threshold_it_is_the_score_of_frozen_pooling(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, None)
    assert [one.epoch for one in summary.conditions[0].convergence] == [1.0, 1.0, 2.0]
    assert "first reached that of frozen mean pooling" in flat(summary)


def test_a_seed_without_events_is_missing_from_every_n(tmp_path: Path) -> None:
    (condition,) = summary_of(tmp_path, seeds=(42, 123)).conditions
    assert condition.seeds == (42, 123)
    assert {one.n for one in (*condition.training_loss, *condition.entropy)} == {2}


def test_one_seed_has_no_deviation(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, seeds=(123,))
    assert summary.conditions[0].training_loss[-1].sd is None
    assert "A (1 seed)" in text(summary) and "2.000 ±" not in text(summary)


def test_a_point_that_a_seed_lacks_says_its_n(tmp_path: Path) -> None:
    write_events(tmp_path, RunId("A", 456), events_of(456)[:-6])  # aborted before the last steps
    shown = text(summary_of(tmp_path, seeds=(42, 123)))
    assert "A (3 seeds)" in shown and " (2)" in shown


def test_times_stand_beside_the_plan(tmp_path: Path) -> None:
    summary = summary_of(tmp_path)
    assert [(one.seed, one.stages["data"], one.stages["evaluate"]) for one in summary.times] == [
        (seed, 59.0, 1.0) for seed in SEEDS
    ]
    train = {42: 24.0, 123: 24.0, 456: 25.0}
    totals = [60.0 + train[seed] for seed in SEEDS]
    assert [one.total for one in summary.times] == totals
    planned = {one.part: (one.planned, one.measured) for one in summary.timeline}
    assert planned == {
        "set-up": (1800.0, None),
        "a run": (2400.0, pytest.approx(statistics.fmean(totals))),
        "in all": (25_200.0, sum(totals)),
        "analysis": (3600.0, 4.0),
    }
    shown = text(summary)
    assert "  42: 1:24, 123: 1:24, 456: 1:25" in shown
    assert "set-up    30:00    not recorded" in shown and "mean; 1:24 to 1:25" in shown


def test_warnings_are_counted_by_kind(tmp_path: Path) -> None:
    summary = summary_of(tmp_path)
    assert summary.conditions[0].warnings == {"loss_spike": 1}
    assert "loss_spike" in text(summary)
    assert "None in any run." in text(summary_of(tmp_path / "calm", seeds=(42,)))


def test_early_warnings_say_how_many_hard_pairs_have_a_negative_gap(tmp_path: Path) -> None:
    for seed, share in ((42, 0.3), (123, 0.5), (456, 7.0)):
        early = Warning("early_warning", "hard pairs", 10, share)
        write_events(tmp_path, RunId("A", seed), [*events_of(seed)[:-2], early])
    runs = [RunId("A", seed) for seed in SEEDS]
    summary = training_summary(load_training(tmp_path, runs), runs, 0.6, Timeline())
    (point,) = summary.conditions[0].negative_gaps
    assert (point.epoch, point.mean, point.n) == (1.0, 0.4, 2)  # 7.0 is no share
    assert "hard pairs with a negative gap: 40% at epoch 1.0" in text(summary)


def test_names_and_problems_are_safe_to_show(tmp_path: Path) -> None:
    summary_of(tmp_path)
    (tmp_path / "A_seed42" / "events.jsonl").write_bytes(b"\x1b[31m\n")
    summary = summary_of(tmp_path, seeds=(123,))
    assert summary.score_name == "top-1" and summary.problems == ("A/42: events.jsonl: 1 line cannot be read",)
    assert "\x1b" not in text(summary) and "! A/42: events.jsonl" in text(summary)


def test_nothing_recorded_leaves_the_plan(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, seeds=())
    assert summary.times == () and [one.measured for one in summary.timeline] == [None, None, None, 4.0]
    assert text(summary).splitlines()[0] == "Time against the plan (h:mm:ss)"
