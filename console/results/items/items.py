"""Evaluation items over all counted runs: which conditions rank each right, and which changed between two. Reads no file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec import Struct

from console.plain_table import PlainTable
from console.results.load import LoadedRuns
from console.results.statistics.estimates import Floats, Integers
from console.sanitize import sanitize_line
from engine.contract.experiment import Experiment
from engine.contract.settings import RunId

Change = Literal["fixed", "broken"]
Basis = Literal["majority", "margin"]
KEY = ("evaluation", "kind", "item_id")
TEXTS = ("lemma", "tier", "reason", "pos", "item_class", "killer", "query", "answer", "chosen")


class ItemTable(NamedTuple):
    """The N items that counted runs were evaluated on, under C conditions.

    Attributes:
        conditions: C names, in the experiment's order.
        frame: a row per item: ``KEY`` as it is in the files, ``TEXTS`` and ``item`` (its id) safe to show, ``search``
            (lemma, reason and query in lower case), ``runs``, ``failed`` (those that do not rank a right candidate
            first), ``margin`` (mean over runs). Reason and chosen are the most frequent of the failed runs.
        right: (N, C), how many seeds rank a right candidate first.
        seeds: (N, C), of how many.
        margins: (N, C), mean margin over seeds; NaN without any.
        pairs: of conditions to compare, ours and theirs, those of the plan first.
        runs: the fingerprint of the evaluation that each run was scored on.
    """

    conditions: tuple[str, ...]
    frame: pl.DataFrame
    right: Integers
    seeds: Integers
    margins: Floats
    pairs: tuple[tuple[str, str], ...]
    runs: dict[RunId, str]

    def runs_of(self, row: int) -> tuple[RunId, ...]:
        """The runs that were evaluated on the item in ``row``, in the experiment's order."""
        evaluation = self.frame["evaluation"][row]
        return tuple(run for run, of in self.runs.items() if of == evaluation)

    def condition(self, name: str) -> int:
        """Column of condition ``name``; ValueError if there is none."""
        return self.conditions.index(name)


def item_table(loaded: LoadedRuns, runs: Iterable[RunId], experiment: Experiment) -> ItemTable:
    """Count the items of ``runs``. Items of different evaluations are counted apart, even with the same id."""
    wanted = list(runs)
    conditions = tuple(dict.fromkeys(run.condition for run in wanted))
    rows = _rows_of(loaded.items, wanted, conditions)
    items = (
        rows.group_by("id")
        .agg(
            pl.col("place").min(),
            pl.col("killer").max().fill_null(""),
            (pl.col("rank") > 1).sum().cast(pl.Int64).alias("failed"),
            pl.len().cast(pl.Int64).alias("runs"),
            pl.col("margin").mean(),
        )
        .join(_most_frequent(rows, "reason", pl.col("reason") != ""), on="id", how="left")
        .join(_most_frequent(rows, "chosen", pl.col("rank") > 1), on="id", how="left")
    )
    texts = loaded.items.select(*KEY, "lemma", "tier", "pos", "item_class", "query", "answer")[items["place"]]
    items = items.hstack(texts).with_columns(pl.col("reason", "chosen").fill_null(""))
    items = items.sort("failed", "margin", "kind", "item_id", "evaluation", descending=[True, *[False] * 4])
    safe = {name: [sanitize_line(text) for text in items[name]] for name in TEXTS}
    search = ["\n".join(texts).lower() for texts in zip(safe["lemma"], safe["reason"], safe["query"], strict=True)]
    frame = items.drop("place", "id").with_columns(
        *(pl.Series(name, texts, pl.String) for name, texts in safe.items()),
        pl.Series("item", map(sanitize_line, items["item_id"]), pl.String),
        pl.Series("search", search, pl.String),
    )
    counts = _by_condition(rows, items["id"], len(conditions))
    scored_on = dict(rows.group_by("run").agg(pl.col("evaluation").first()).iter_rows())
    evaluations = {run: scored_on[number] for number, run in enumerate(wanted) if number in scored_on}
    return ItemTable(conditions, frame, *counts, pairs_to_compare(experiment, conditions), evaluations)


def _rows_of(items: pl.DataFrame, runs: Sequence[RunId], conditions: Sequence[str]) -> pl.DataFrame:
    """The rows of ``runs``, of their columns only what is counted, with numbers in the place of names.

    ``place`` is the row's number in ``items``, ``run`` and ``column`` those of its run and condition, ``id`` is the
    same for rows of the same item.
    """
    numbers = pl.DataFrame(
        [(run.condition, run.seed, number, conditions.index(run.condition)) for number, run in enumerate(runs)],
        {"condition": pl.String, "seed": pl.Int64, "run": pl.UInt32, "column": pl.UInt32},
        orient="row",
    )
    # millions of rows are grouped several times: by numbers that takes a quarter of the time it takes by three texts
    rows = (
        items.select("condition", "seed", *KEY, "rank", "margin", "reason", "chosen", "killer")
        .with_row_index("place")
        .join(numbers, on=["condition", "seed"])
    )
    ids = rows.select(KEY).unique(maintain_order=True).with_row_index("id")
    return rows.join(ids, on=KEY, maintain_order="left").drop("condition", "seed", "kind", "item_id")


def _most_frequent(rows: pl.DataFrame, column: str, where: pl.Expr) -> pl.DataFrame:
    """By ``id`` the most frequent value of ``column`` where ``where`` holds, the first by the alphabet of several."""
    counts = rows.filter(where).group_by("id", column).len()
    return counts.sort("id", "len", column, descending=[False, True, False]).unique("id", keep="first").drop("len")


def _by_condition(rows: pl.DataFrame, ids: pl.Series, conditions: int) -> tuple[Integers, Integers, Floats]:
    """Seeds that are right, all seeds, and mean margin of the items ``ids``: (items, conditions) each."""
    cells = (
        rows.group_by("id", "column")
        .agg((pl.col("rank") == 1).sum().alias("right"), pl.len().alias("seeds"), pl.col("margin").mean())
        .join(pl.DataFrame({"id": ids}).with_row_index("row"), on="id")
    )
    at = (cells["row"].to_numpy(), cells["column"].to_numpy())
    shape = (len(ids), conditions)
    right, seeds, margins = np.zeros(shape, np.intp), np.zeros(shape, np.intp), np.full(shape, np.nan)
    right[at], seeds[at], margins[at] = cells["right"], cells["seeds"], cells["margin"]
    return right, seeds, margins


def changed(
    table: ItemTable, ours: str, theirs: str, change: Change, basis: Basis = "majority"
) -> npt.NDArray[np.bool_]:
    """Which items ``ours`` ranks right and ``theirs`` wrong (``fixed``), or the reverse (``broken``): (N,).

    Args:
        basis: right is ranked right by more than half of the seeds, or with a mean margin above 0. What exactly half of
            the seeds rank right is neither right nor wrong.
    """
    ours_right, ours_wrong = _verdicts(table, table.condition(ours), basis)
    theirs_right, theirs_wrong = _verdicts(table, table.condition(theirs), basis)
    return ours_right & theirs_wrong if change == "fixed" else ours_wrong & theirs_right


def _verdicts(table: ItemTable, at: int, basis: Basis) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which items a condition ranks right, and which wrong: (N,) each; neither where it has no run."""
    right, seeds, margins = table.right[:, at], table.seeds[:, at], table.margins[:, at]
    if basis == "majority":
        return 2 * right > seeds, 2 * right < seeds
    return margins > 0, margins <= 0  # False for NaN


def pairs_to_compare(experiment: Experiment, conditions: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs among ``conditions``: those of the plan, each derived condition with its parent, each other with the control."""
    parents = {name: one.derived.parent for name, one in experiment.conditions.items() if one.derived}
    planned = experiment.analysis.pairs(tuple(name for name in conditions if name not in parents))
    control = experiment.analysis.control_of(tuple(conditions))
    with_control = ((name, control) for name in conditions if control is not None)
    pairs = dict.fromkeys((*planned, *parents.items(), *with_control))
    return tuple((ours, theirs) for ours, theirs in pairs if ours != theirs and {ours, theirs} <= set(conditions))


class ConditionOutcome(Struct, frozen=True):
    """One item under one condition: how many of its ``seeds`` rank a right candidate first, and the mean margin."""

    right: int
    seeds: int
    margin: float


class ItemRecord(Struct, frozen=True):
    """One item over all runs, for programs; ``item_id`` is as in the files, all other texts are safe to show."""

    evaluation: str
    kind: str
    item_id: str
    lemma: str
    tier: str
    pos: str
    item_class: str
    reason: str
    killer: str
    failed: int
    runs: int
    margin: float
    conditions: dict[str, ConditionOutcome]
    query: str
    answer: str
    chosen: str


def item_records(table: ItemTable, rows: Integers) -> list[ItemRecord]:
    """``rows`` of ``table`` as records, in their order."""
    fields = [name for name in ItemRecord.__struct_fields__ if name != "conditions"]
    values = table.frame.select(fields)[rows].iter_rows(named=True)
    return [ItemRecord(**one, conditions=_outcomes(table, int(row))) for row, one in zip(rows, values, strict=True)]


def _outcomes(table: ItemTable, row: int) -> dict[str, ConditionOutcome]:
    counts = zip(table.conditions, table.right[row], table.seeds[row], table.margins[row], strict=True)
    return {name: ConditionOutcome(int(right), int(seeds), float(mean)) for name, right, seeds, mean in counts if seeds}


_COLUMNS = ("kind", "item", "lemma", "pos", "tier", "item_class", "reason")
_TEXTS = ("query", "answer", "chosen")


def plain_items(table: ItemTable, rows: Integers) -> PlainTable:
    """``rows`` of ``table`` as texts: what each item is, seeds right and mean margin by condition, failures, its texts."""
    names = table.conditions
    by_condition = [title for name in names for title in (f"{name} right", f"{name} seeds", f"{name} margin")]
    header = (*_COLUMNS, *by_condition, "failed", "runs", "margin", *_TEXTS)
    return PlainTable(header, tuple(_plain_row(table, int(row)) for row in rows))


def _plain_row(table: ItemTable, row: int) -> tuple[str, ...]:
    item = table.frame.row(row, named=True)
    outcomes: list[str] = []
    for at in range(len(table.conditions)):
        seeds = int(table.seeds[row, at])
        right, margin = (str(table.right[row, at]), f"{table.margins[row, at]:.4f}") if seeds else ("", "")
        outcomes += [right, str(seeds) if seeds else "", margin]
    counts = (str(item["failed"]), str(item["runs"]), f"{item['margin']:.4f}")
    kinds, texts = ([str(item[name] or "") for name in columns] for columns in (_COLUMNS, _TEXTS))
    return (*kinds, *outcomes, *counts, *texts)
