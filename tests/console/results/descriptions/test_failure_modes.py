"""What fails most is counted right, named for its size and rate together, and never hides how few items it is of."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from console.results.analysis.condition_scores import ConditionScores
from console.results.descriptions.failure_modes import failure_modes, gap_p
from console.results.descriptions.margins import margin_distributions
from console.results.descriptions.records import ConditionFailures, FailureGroup
from console.results.load import load
from console.results.report.failure_sections import failure_sections
from console.results.report.layout import page_lines
from console.results.statistics.estimates import SeedScores
from engine.contract.experiment import Experiment
from engine.contract.experiment_reader import read_experiment
from engine.contract.items import ItemRow
from engine.contract.settings import RunId
from engine.contract.toml_file import find_config
from tests.console.results.capsules import row, write_capsule

SEEDS = (42, 123)
STEP = row("c0", 1, kind="coherence", tier="")


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return read_experiment(find_config("scaling.toml"))


def items(
    count: int, name: str, rank_of: Callable[[int], int], lemmas: int = 0, **columns: object
) -> Iterator[ItemRow]:
    """Retrieval items of ``lemmas`` lemmas in turn, by default each of its own."""
    for number in range(count):
        lemma = f"{name} lemma {number % (lemmas or count)}"
        yield row(f"{name} {number:03}", rank_of(number))._replace(lemma=lemma, **columns)  # type: ignore[arg-type]


def failures_of(
    folder: Path, experiment: Experiment, rows: Sequence[ItemRow], *more: Sequence[ItemRow]
) -> ConditionFailures:
    """Of condition A, whose seeds have ``rows`` and ``more``."""
    runs = [RunId("A", seed) for seed, _ in zip((42, 123, 456), (rows, *more), strict=False)]
    for run, of_seed in zip(runs, (rows, *more), strict=True):
        write_capsule(folder, experiment, run, [*of_seed, STEP])
    (found,) = failure_modes(load(folder, runs), runs)
    return found


def group(failures: ConditionFailures, facet: str, value: str) -> FailureGroup:
    return next(one for one in failures.kinds[0].groups if (one.facet, one.value) == (facet, value))


def text(failures: Sequence[ConditionFailures]) -> str:
    return "\n".join("".join(part.text for part in line) for line in page_lines(failure_sections(failures)))


def test_groups_are_those_of_plain_counting(experiment: Experiment, tmp_path: Path) -> None:
    chance = random.Random(7)
    values = {
        "tier": ("tier", ["tier1_easy", "tier2_robust", "tier3_adversarial"]),
        "pos": ("part of speech", ["noun", "verb"]),
        "item_class": ("item class", ["equal_overlap", "wrong_overlaps_more"]),
    }
    rows = [
        row(f"r{number:03}", 1, pool=chance.choice((1, 2)))._replace(
            lemma=f"lemma {chance.randrange(15)}",
            senses=chance.randrange(2, 5),
            **{column: chance.choice(of) for column, (_, of) in values.items()},  # type: ignore[arg-type]
        )
        for number in range(90)
    ]
    by_seed = [[one._replace(rank=chance.choice((1, 2, 5))) for one in rows] for _ in SEEDS]
    found = failures_of(tmp_path, experiment, *by_seed)
    assert (found.seeds, found.kinds[0].overall.items) == (SEEDS, 90)
    checked = 0
    for column, facet in [*((column, facet) for column, (facet, _) in values.items()), ("senses", "senses")]:
        for value in {getattr(one, column) for one in rows}:
            one = group(found, facet, str(value))
            rates = [[item.rank == 1 for item in seed if getattr(item, column) == value] for seed in by_seed]
            others = [[item.rank == 1 for item in seed if getattr(item, column) != value] for seed in by_seed]
            mean, other_mean = (statistics.fmean(map(statistics.fmean, part)) for part in (rates, others))
            members = [item for item in rows if getattr(item, column) == value]
            assert (one.items, one.lemmas) == (len(members), len({item.lemma for item in members}))
            assert one.accuracy.mean == pytest.approx(mean, abs=1e-12)
            assert one.failed == pytest.approx(len(members) * (1 - mean), abs=1e-9)
            assert one.excess == pytest.approx(len(members) * (other_mean - mean), abs=1e-9)
            assert one.mean_pool == pytest.approx(statistics.fmean(item.mean_pool_rank == 1 for item in members))
            assert one.chance == pytest.approx(0.2)  # one right candidate of five
            assert one.accuracy.low is not None and one.accuracy.low < mean < (one.accuracy.high or 0)
            checked += 1
    assert checked == 10


def test_intervals_of_all_items_are_those_that_decide(experiment: Experiment, tmp_path: Path) -> None:
    generator = random.Random(3)
    runs = [RunId("A", seed) for seed in SEEDS]
    for run in runs:
        rows = [
            one._replace(rank=generator.choice((1, 2)), margin=generator.gauss(0, 0.1))
            for one in items(40, "any", lambda _: 1, lemmas=15)
        ]
        write_capsule(tmp_path, experiment, run, [*rows, STEP])
    loaded = load(tmp_path, runs)
    deciding = ConditionScores(loaded, {"A": runs})
    (found,), margins = failure_modes(loaded, runs), margin_distributions(loaded, runs)
    assert found.kinds[0].overall.accuracy == deciding.interval("A", "retrieval_top1", 0.05)
    assert margins[0].mean == deciding.interval("A", "margin", 0.05)


def test_what_fails_most_is_not_the_tiniest_group(experiment: Experiment, tmp_path: Path) -> None:
    rows = [
        *items(120, "noun", lambda number: 1 if number % 5 else 2),
        *items(80, "verb", lambda number: 1 if number % 4 == 0 else 2, pos="verb"),
        *items(20, "adverb", lambda _: 2, pos="adv"),
        *items(4, "adjective", lambda _: 2, pos="adj"),
    ]
    found = failures_of(tmp_path, experiment, rows, rows)
    named = {one.value for one in found.kinds[0].groups if one.is_named}
    assert named == {"verb", "adv"}
    worst = found.kinds[0].worst
    assert worst is not None and worst.value == "verb"
    assert worst.excess == pytest.approx(60 - 80 * (24 + 24) / 144)
    assert "108 of 224 retrieval items fail, most in part of speech verb (60 of 80, 33 more than" in found.summary


def test_a_difference_within_noise_is_not_named(experiment: Experiment, tmp_path: Path) -> None:
    rows = [
        *items(30, "noun", lambda number: 1 + (number < 15)),
        *items(30, "verb", lambda number: 1 + (number < 17), pos="verb"),
    ]
    found = failures_of(tmp_path, experiment, rows, rows)
    assert found.kinds[0].worst is None
    assert "32 of 60 retrieval items fail, in no group of them more than in the others beyond noise" in found.summary
    assert "none of 1 coherence steps fails" in found.summary


def test_eight_failed_items_of_a_tier_are_an_upper_bound_and_no_zero(experiment: Experiment, tmp_path: Path) -> None:
    rows = [
        *items(40, "easy", lambda number: 1 + number % 2),
        *items(8, "hard", lambda _: 3, tier="tier3_adversarial"),
    ]
    found = failures_of(tmp_path, experiment, rows, rows)
    accuracy = group(found, "tier", "tier3_adversarial").accuracy
    assert (accuracy.mean, accuracy.low, accuracy.method) == (0.0, 0.0, "exact")
    assert accuracy.high == pytest.approx(1 - 0.025 ** (1 / 8))
    assert found.tiers.startswith("Tiers: tier3_adversarial (0 of 8 items right, at most 37%; 8 lemmas) fails most")
    assert "tier1_easy" not in found.tiers  # 50% of 40 is told apart
    line = next(line for line in text([found]).splitlines() if "tier3_adversarial  " in line)
    assert "8" in line.split() and "0.0 [0, 37]" in line and "±" not in line


def test_tiers_with_few_items_are_not_told_apart(experiment: Experiment, tmp_path: Path) -> None:
    rows = [
        *items(40, "easy", lambda number: 1 + number % 2),
        *items(8, "robust", lambda number: 1 + (number > 1), tier="tier2_robust", mean_pool_rank=2),
        *items(30, "hard", lambda _: 3, tier="tier3_adversarial", mean_pool_rank=2),
    ]
    tiers = failures_of(tmp_path, experiment, rows, rows).tiers
    assert "tier3_adversarial (0 of 30 items right, at most 12%; 30 lemmas) fails most, not told apart from" in tiers
    assert "from tier2_robust (2 of 8 items right" in tiers and "tier1_easy" not in tiers
    assert tiers.endswith("frozen mean pooling, by which tiers are made, has none of them right.")


def test_one_lemma_has_no_interval_however_many_items(experiment: Experiment, tmp_path: Path) -> None:
    rows = [*items(20, "many", lambda number: 1 + number % 2), *items(9, "one", lambda _: 2, lemmas=1, pos="verb")]
    found = failures_of(tmp_path, experiment, rows, rows)
    accuracy = group(found, "part of speech", "verb").accuracy
    assert (accuracy.lemmas, accuracy.low, accuracy.high) == (1, None, None)
    assert not group(found, "part of speech", "verb").is_named
    first = found.kinds[0].worst_lemmas[0]
    assert (first.value, first.items, first.failed) == ("one lemma 0", 9, 9.0)
    assert "one lemma 0 0.0 of 9" in text([found])


@pytest.mark.parametrize("lemmas_inside", [4, 16])
def test_the_test_of_a_group_holds_its_level_with_clustered_lemmas(lemmas_inside: int) -> None:
    generator = np.random.default_rng(3)
    lemmas = np.repeat(np.arange(40), 5)
    where = lemmas < lemmas_inside
    ps = []
    for _ in range(400):
        rate = np.clip(0.5 + 0.35 * generator.standard_normal(40), 0, 1)[lemmas]
        ps.append(gap_p(SeedScores((1, 2, 3), (generator.random((3, 200)) < rate).astype(float), lemmas), where))
    rejected = np.mean([p is not None and p < 0.05 for p in ps])
    assert 0.02 < rejected < 0.085  # as if independent, it would be far above


def test_the_test_of_a_group_is_the_clustered_difference_of_two_means() -> None:
    generator = np.random.default_rng(5)
    lemmas = np.repeat(np.arange(30), 4)
    where = generator.random(120) < 0.4
    values = (generator.random((1, 120)) < 0.5).astype(float)
    inside, outside = values[0, where], values[0, ~where]
    share = np.zeros(30)
    for at, lemma in enumerate(lemmas):
        mean, count = (inside.mean(), len(inside)) if where[at] else (outside.mean(), -len(outside))
        share[lemma] += (values[0, at] - mean) / count
    t = abs(inside.mean() - outside.mean()) / np.sqrt(30 / 29 * (share**2).sum())
    from scipy.stats import t as student  # type: ignore[import-untyped] # slow to import

    fewer = min(len({*lemmas[where]}), len({*lemmas[~where]}))
    assert fewer < 30
    assert gap_p(SeedScores((1,), values, lemmas), where) == pytest.approx(2 * student.sf(t, fewer - 1))


def test_killers_by_reason_code(experiment: Experiment, tmp_path: Path) -> None:
    rows = [
        *items(6, "within", lambda number: 1 + (number > 1), killer="within_lemma_collision"),
        *items(3, "style", lambda _: 2, killer="style_mismatch"),
        *items(20, "other", lambda _: 1),
    ]
    better = [one._replace(rank=1) if one.killer == "style_mismatch" else one for one in rows]
    found = failures_of(tmp_path, experiment, rows, better)
    assert [(one.value, one.items, round(one.accuracy.mean, 6)) for one in found.killers] == [
        ("all killers", 9, round((2 / 9 + 5 / 9) / 2, 6)),
        ("within_lemma_collision", 6, round(2 / 6, 6)),
        ("style_mismatch", 3, 0.5),
    ]
    assert "within_lemma_collision" in text([found])


def test_older_runs_say_that_the_reasons_of_killers_are_not_known(experiment: Experiment, tmp_path: Path) -> None:
    write_capsule(tmp_path, experiment, RunId("A", 42), [*items(5, "any", lambda _: 1), STEP])
    path = tmp_path / "A_seed42" / "items.parquet"
    pl.read_parquet(path).drop("killer").write_parquet(path)
    (found,) = failure_modes(load(tmp_path, [RunId("A", 42)]), [RunId("A", 42)])
    assert found.killers == ()
    assert "None known: this evaluation has no frozen killer set, or older runs" in text([found])


def test_reasons_of_own_failures_are_means_over_seeds(experiment: Experiment, tmp_path: Path) -> None:
    def with_reasons(count: int) -> list[ItemRow]:
        rows = items(6, "any", lambda number: 5 if number < count else 1)
        return [one._replace(reason="" if one.rank == 1 else "cross_pos_collision") for one in rows]

    found = failures_of(tmp_path, experiment, with_reasons(3), with_reasons(0), with_reasons(6))
    (reason,) = found.reasons
    assert (reason.reason, reason.mean, reason.n) == ("cross_pos_collision", 3.0, 3)
    assert reason.sd == pytest.approx(statistics.stdev([3, 0, 6]))


def test_conditions_are_side_by_side_only_on_the_same_items(experiment: Experiment, tmp_path: Path) -> None:
    runs = [RunId(condition, 42) for condition in "ABC"]
    for run, count in zip(runs, (12, 12, 9), strict=True):
        rows = [*items(count, "any", lambda number: 1 + number % 2), *items(3, "verb", lambda _: 1, pos="verb")]
        write_capsule(tmp_path, experiment, run, [*rows, STEP], evaluation=f"of {count}")
    found = failure_modes(load(tmp_path, runs), runs)
    assert [(one.condition, one.seeds, one.kinds[0].overall.items) for one in found] == [
        ("A", (42,), 15),
        ("B", (42,), 15),
        ("C", (42,), 12),
    ]
    headers = [
        line.split() for line in text(found).splitlines() if line.split()[:1] == ["items"] and "noise" not in line
    ]
    assert headers[0][:3] == ["items", "A", "B"] and headers[1][:2] == ["items", "C"]


def test_seeds_scored_on_other_items_are_left_out(experiment: Experiment, tmp_path: Path) -> None:
    runs = [RunId("A", seed) for seed in (42, 123, 456)]
    for run, shift in zip(runs, (0, 1, 2), strict=True):
        rows = [*items(20, "any", lambda number, shift=shift: 1 + (number + shift) % 3), STEP]  # type: ignore[misc]
        rows = rows[1:] if run.seed == 123 else [*rows, rows[0], rows[5]]  # missing, or there twice
        write_capsule(tmp_path, experiment, run, rows, evaluation="other" if run.seed == 456 else "e")
    (found,) = failure_modes(load(tmp_path, runs), runs)
    assert (found.evaluation, found.seeds, found.kinds[0].overall.items) == ("e", (42, 123), 18)
    assert msgspec.json.encode(found)  # no number of another library


def test_two_seeds_with_equal_items_are_one(experiment: Experiment, tmp_path: Path) -> None:
    rows = [*items(12, "any", lambda number: 1 + number % 2), *items(12, "verb", lambda _: 1, pos="verb")]
    other = [one._replace(rank=2, margin=-0.1) if one.pos == "verb" else one for one in rows]
    assert failures_of(tmp_path, experiment, rows, rows, other).seeds == (42, 456)


def test_nothing_that_a_run_says_reaches_the_terminal_unfiltered(experiment: Experiment, tmp_path: Path) -> None:
    hostile = "\x1b]0;owned\x07x\u202e"
    rows = [
        *items(6, "a", lambda number: 1 + number % 2, killer=hostile, reason=hostile),
        *items(
            6,
            "b",
            lambda _: 2,
            tier=hostile,
            pos=hostile,
            item_class=hostile,
            source=hostile,
            cue_strength=float("inf"),
        ),
    ]
    rows = [one._replace(lemma=f"{hostile}{at % 3}") for at, one in enumerate(rows)]
    shown = text([failures_of(tmp_path, experiment, rows, rows)])
    assert "\x1b" not in shown and "\u202e" not in shown and "owned" not in shown


def test_no_tiers_and_no_cues_are_said(experiment: Experiment, tmp_path: Path) -> None:
    rows = [
        *items(8, "any", lambda number: 1 + number % 2, tier=""),
        *items(4, "verb", lambda _: 1, tier="", pos="verb"),
    ]
    found = failures_of(tmp_path, experiment, rows)
    assert found.tiers == "" and found.kinds[0].unknown == ("tier", "cue strength")
    assert "tier: no item says it" in text([found])
    assert failure_sections([]) == ()
