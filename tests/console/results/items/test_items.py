"""Items over runs: counted by condition, filtered, ordered, compared; checked against plain counting."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from msgspec import structs

from console.results.aggregate import aggregate
from console.results.experiment_report import report_of
from console.results.items.changes import change_text, item_changes, items_sections
from console.results.items.filter import ANY_RUN, DIFFERENCE, FACETS, ItemFilter, facet_values, select, sort_rows
from console.results.items.items import ConditionOutcome, ItemTable, changed, item_records, pairs_to_compare
from console.results.load import load
from console.results.report.layout import page_lines
from console.results.report.page import page
from engine.contract.derived import Derivation
from engine.contract.experiment import Experiment
from engine.contract.experiment_reader import read_experiment
from engine.contract.items import ItemRow
from engine.contract.run_folder import RunFolder
from engine.contract.settings import RunId
from engine.contract.toml_file import find_config
from tests.console.results.capsules import items_in, row, write_capsule

RUN = RunId("A", 42)
ROWS = [row("r0", 1, margin=0.2), row("r1", 2, margin=-0.1, tier="tier2_robust"), row("c0", 1, kind="coherence")]
SEEDS = (42, 123, 456)
RUNS = [RunId(condition, seed) for condition in "ABC" for seed in SEEDS]


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return read_experiment(find_config("scaling.toml"))


def random_rows(chance: random.Random) -> list[ItemRow]:
    """Forty retrieval and twenty coherence items, ranked at random."""
    rows = []
    for number in range(60):
        rank = chance.choice((1, 1, 2, 4))
        margin = chance.uniform(0.01, 0.4) * (1 if rank == 1 else -1)
        kind, tier = ("retrieval", f"tier{number % 3}") if number < 40 else ("coherence", "")
        one = row(f"i{number:02d}", rank, kind=kind, tier=tier, margin=margin)
        reason = "style_mismatch" if rank == 4 else ""
        rows.append(one._replace(lemma=f"lemma{number % 7}", reason=reason, chosen=f"wrong {rank}"))
    return rows


@pytest.fixture(scope="module")
def runs_and_rows(
    experiment: Experiment, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[RunId, list[ItemRow]]]:
    folder, chance = tmp_path_factory.mktemp("runs"), random.Random(5)
    rows = {run: random_rows(chance) for run in RUNS}
    for run, of in rows.items():
        write_capsule(folder, experiment, run, of)
    return folder, rows


def ids(table: ItemTable, rows: np.ndarray) -> list[str]:
    return [table.frame["item_id"][int(at)] for at in rows]


def test_seeds_right_and_mean_margin_are_those_of_plain_counting(
    runs_and_rows: tuple[Path, dict[RunId, list[ItemRow]]],
) -> None:
    folder, rows = runs_and_rows
    table = items_in(folder, RUNS)
    assert table.conditions == ("A", "B", "C") and len(table.frame) == 60
    for at, one in enumerate(table.frame.iter_rows(named=True)):
        same = {run: next(item for item in of if item.item_id == one["item_id"]) for run, of in rows.items()}
        assert one["failed"] == sum(item.rank > 1 for item in same.values()) and one["runs"] == 9
        assert one["margin"] == pytest.approx(sum(item.margin for item in same.values()) / 9)
        for column, condition in enumerate("ABC"):
            of = [item for run, item in same.items() if run.condition == condition]
            assert table.right[at, column] == sum(item.rank == 1 for item in of) and table.seeds[at, column] == 3
            assert table.margins[at, column] == pytest.approx(sum(item.margin for item in of) / 3)
    failed = table.frame["failed"].to_list()
    assert failed == sorted(failed, reverse=True)


def test_what_a_condition_fixed_and_broke_is_that_of_plain_counting(
    runs_and_rows: tuple[Path, dict[RunId, list[ItemRow]]],
) -> None:
    folder, rows = runs_and_rows
    table = items_in(folder, RUNS)

    def majority(condition: str, item: int) -> bool:
        return sum(rows[RunId(condition, seed)][item].rank == 1 for seed in SEEDS) >= 2

    def mean_is_right(condition: str, item: int) -> bool:
        return sum(rows[RunId(condition, seed)][item].margin for seed in SEEDS) > 0

    changes = {(one.ours, one.theirs, one.kind): one for one in item_changes(table)}
    assert [pair for *pair, kind in changes if kind == "retrieval"] == [["B", "A"], ["C", "B"], ["C", "A"]]
    for (ours, theirs, kind), one in changes.items():
        items = range(40) if kind == "retrieval" else range(40, 60)
        counts = [
            sum(is_right(better, item) and not is_right(worse, item) for item in items)
            for is_right in (majority, mean_is_right)
            for better, worse in ((ours, theirs), (theirs, ours))
        ]
        assert [one.fixed, one.broken, one.fixed_by_margin, one.broken_by_margin] == counts and sum(counts) > 4
        assert one.items == len(items)
    fixed = ItemFilter(kind="retrieval", change="fixed", ours="B", theirs="A")
    assert len(select(table, fixed)) == changes["B", "A", "retrieval"].fixed
    (section,) = items_sections(tuple(changes.values()))
    assert len(section.rows) == 6 and items_sections(()) == ()
    of = changes["C", "B", "coherence"]
    assert change_text(of).startswith(
        f"C fixed {of.fixed} of 20 coherence steps that B failed and broke {of.broken} (by"
    )


def test_half_of_the_seeds_are_no_majority_and_a_missing_condition_changes_nothing(
    experiment: Experiment, tmp_path: Path
) -> None:
    coherent = row("c0", 1, kind="coherence")
    ranks = {RunId("A", 42): 2, RunId("A", 123): 2, RunId("B", 42): 1, RunId("B", 123): 2}
    for run, rank in ranks.items():
        write_capsule(tmp_path, experiment, run, [row("r0", rank, margin=0.3 if rank == 1 else -0.1), coherent])
    table = items_in(tmp_path, [*ranks, RunId("C", 42)])
    assert table.conditions == ("A", "B", "C") and table.seeds[:, 2].tolist() == [0, 0]
    assert np.isnan(table.margins[:, 2]).all()
    assert not changed(table, "B", "A", "fixed").any() and not changed(table, "A", "B", "broken").any()
    assert changed(table, "B", "A", "fixed", "margin").tolist() == [True, False]
    assert not changed(table, "C", "A", "fixed").any() and not changed(table, "C", "A", "broken", "margin").any()
    assert ids(table, select(table, ItemFilter(wrong_in="B"))) == ["r0"]  # half right is not right by majority
    assert len(select(table, ItemFilter(wrong_in="C"))) == 0
    assert [(one.ours, one.theirs) for one in item_changes(table)] == [("B", "A")] * 2


def test_a_mean_margin_of_exactly_0_is_wrong(experiment: Experiment, tmp_path: Path) -> None:
    for condition, margin in (("A", 0.0), ("B", 0.125)):
        rows = [row("r0", 1 if margin else 2, margin=margin), row("c0", 1, kind="coherence", margin=0.5)]
        write_capsule(tmp_path, experiment, RunId(condition, 42), rows)
    table = items_in(tmp_path, [RunId("A", 42), RunId("B", 42)])
    assert ids(table, np.flatnonzero(changed(table, "B", "A", "fixed", "margin"))) == ["r0"]


def test_a_filter_finds_words_in_lemma_query_and_reason_and_leaves_words_out(
    runs_and_rows: tuple[Path, dict[RunId, list[ItemRow]]],
) -> None:
    table = items_in(runs_and_rows[0], RUNS)
    assert len(select(table, ItemFilter())) == 60
    assert set(ids(table, select(table, ItemFilter(text="Q I0")))) == {f"i0{digit}" for digit in range(10)}
    lemma = ids(table, select(table, ItemFilter(text="LEMMA3 !i03")))
    assert "i03" not in lemma and "i10" in lemma
    mismatched = select(table, ItemFilter(text="style !"))
    assert ids(table, mismatched) == ids(table, select(table, ItemFilter(reason="style_mismatch")))
    assert 0 < len(mismatched) < 60
    assert len(select(table, ItemFilter(text=".*"))) == 0  # a text, not a pattern
    assert len(select(table, ItemFilter(kind="coherence", lemma="lemma3"))) == 3
    assert len(select(table, ItemFilter(wrong_in=ANY_RUN))) == int((table.frame["failed"] > 0).sum())
    assert facet_values(table, "tier") == ("tier0", "tier1", "tier2") and len(FACETS) == 5


def test_items_can_be_ordered_by_every_column(runs_and_rows: tuple[Path, dict[RunId, list[ItemRow]]]) -> None:
    table = items_in(runs_and_rows[0], RUNS)
    everything = select(table, ItemFilter())
    for descending in (False, True):
        margins = [
            table.frame["margin"][int(at)] for at in sort_rows(table, everything, "margin", descending=descending)
        ]
        assert margins == sorted(margins, reverse=descending)
        tiers = [table.frame["tier"][int(at)] for at in sort_rows(table, everything, "tier", descending=descending)]
        assert tiers == [*sorted(filter(None, tiers), reverse=descending), *[""] * 20]  # without a tier is last
        by_b = sort_rows(table, everything, 1, descending=descending)
        scores = [(int(table.right[at, 1]), float(table.margins[at, 1])) for at in by_b]
        assert scores == sorted(scores, reverse=descending)
    difference = sort_rows(table, everything, DIFFERENCE, pair=("B", "A"))
    values = (table.margins[:, 1] - table.margins[:, 0])[difference]
    assert values.tolist() == sorted(values)
    assert ids(table, sort_rows(table, everything[:5], "item")) == sorted(ids(table, everything[:5]))


def test_items_of_different_evaluations_are_never_counted_together(experiment: Experiment, tmp_path: Path) -> None:
    runs = [RunId("A", seed) for seed in SEEDS]
    for run, evaluation in zip(runs, ("one", "one", "two"), strict=True):
        write_capsule(tmp_path, experiment, run, ROWS, evaluation=evaluation)
    table = items_in(tmp_path, runs)
    failed = table.frame.filter(pl.col("failed") > 0)
    assert failed.select("item_id", "failed", "runs").rows() == [("r1", 2, 2), ("r1", 1, 1)]
    assert table.seeds[:, 0].sum() == 9


def test_items_that_contradict_their_metrics_and_no_runs_give_no_items(experiment: Experiment, tmp_path: Path) -> None:
    write_capsule(tmp_path, experiment, RUN, ROWS, top1=1.0)
    table = items_in(tmp_path, [RUN])
    assert len(table.frame) == 0 and table.right.shape == (0, 1) and item_changes(table) == ()
    nothing = items_in(tmp_path, [])
    assert len(select(nothing, ItemFilter(text="a", kind="retrieval"))) == 0 and facet_values(nothing, "tier") == ()


def test_an_additional_column_does_no_harm(experiment: Experiment, tmp_path: Path) -> None:
    other = RunId("B", 42)
    for run in (RUN, other):
        write_capsule(tmp_path, experiment, run, ROWS)
    path = RunFolder(tmp_path / str(RUN)).items
    pl.read_parquet(path).with_columns(extra=pl.lit(1)).write_parquet(path)
    table = items_in(tmp_path, [RUN, other])
    assert table.frame.filter(pl.col("failed") > 0).select("item_id", "failed", "runs").rows() == [("r1", 2, 2)]


def test_hostile_texts_are_safe_and_the_files_id_stays_as_it_is(experiment: Experiment, tmp_path: Path) -> None:
    hostile = row("r0\x1b[2J", 2)._replace(lemma="ba\x9b31mnk", query="a\x1b]0;title\x07\nb", reason="\u202eabc")
    write_capsule(tmp_path, experiment, RUN, [hostile, ROWS[2]])
    one = items_in(tmp_path, [RUN]).frame.row(0, named=True)
    assert (one["item_id"], one["item"], one["lemma"], one["query"], one["reason"]) == (
        "r0\x1b[2J",
        "r0",
        "bank",
        "a b",
        "abc",
    )


def test_pairs_are_those_of_the_plan_then_with_the_parent_and_with_the_control(experiment: Experiment) -> None:
    assert pairs_to_compare(experiment, "ABC") == (("B", "A"), ("C", "B"), ("C", "A"))
    assert pairs_to_compare(experiment, "AC") == (("C", "A"),)
    assert pairs_to_compare(experiment, "B") == pairs_to_compare(experiment, "") == ()
    derivation = Derivation("C", "exposures", "2026-01-02T03:04:05Z", ("full",))
    derived = structs.replace(experiment.conditions["C"], derived=derivation)
    more = structs.replace(experiment, conditions=experiment.conditions | {"C.2": derived})
    assert pairs_to_compare(more, ("A", "B", "C", "C.2")) == (
        ("B", "A"),
        ("C", "B"),
        ("C.2", "C"),
        ("C", "A"),
        ("C.2", "A"),
    )


def test_records_have_every_condition_that_was_evaluated(experiment: Experiment, tmp_path: Path) -> None:
    write_capsule(tmp_path, experiment, RUN, ROWS)
    table = items_in(tmp_path, [RUN, RunId("B", 42)])
    first, *_ = item_records(table, select(table, ItemFilter(kind="retrieval")))
    assert (first.item_id, first.failed, first.runs, first.chosen) == ("r1", 1, 1, "wrong")
    assert first.conditions == {"A": ConditionOutcome(0, 1, -0.1)}


def test_the_page_of_results_has_what_was_fixed_and_broken(
    experiment: Experiment, runs_and_rows: tuple[Path, dict[RunId, list[ItemRow]]]
) -> None:
    folder, _ = runs_and_rows
    loaded = load(folder, RUNS)
    results = aggregate(experiment, "full", loaded)
    report = report_of(experiment, loaded, results, folder)
    (section,) = (one for one in page(results, report) if one.key == "item-changes")
    lines = [" ".join("".join(part.text for part in line).split()) for line in page_lines((section,))]
    one = report.item_changes[0]
    assert f"B over A retrieval 40 {one.fixed} {one.broken} {one.fixed_by_margin} {one.broken_by_margin}" in lines
