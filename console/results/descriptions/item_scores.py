"""Items of one condition as arrays: what each item is, and how each seed did on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from console.results.descriptions.records import Kind
from console.results.load import LoadedRuns
from console.results.seed_scores import scores_of
from console.results.statistics.estimates import Floats, Integers, SeedScores
from engine.contract.settings import RunId

KINDS: tuple[Kind, ...] = ("retrieval", "coherence")


class ItemScores(NamedTuple):
    """N items of one kind that all S seeds of a condition were scored on.

    Attributes:
        condition, evaluation: the evaluation is that of most seeds; seeds scored under others are left out.
        items: (N rows) columns of ``ItemRow`` that do not depend on the model, sorted by ``item_id``.
        lemmas: (N,) number of each item's lemma, from 0.
        right, margins: (S, N); right is 1.0 or 0.0.
        mean_pool_right, mean_pool_margins: (N,) of frozen mean pooling, that of the first seed.
        chance: (N,) that a guess is right.
        reasons: (S rows of N) reason codes of each seed's own killers, "" elsewhere.
    """

    condition: str
    evaluation: str
    kind: Kind
    seeds: tuple[int, ...]
    items: pl.DataFrame
    lemmas: Integers
    right: Floats
    margins: Floats
    mean_pool_right: Floats
    mean_pool_margins: Floats
    chance: Floats
    reasons: tuple[tuple[str, ...], ...]

    def of_right(self, where: np.ndarray | None = None) -> SeedScores:
        """Scores, right or wrong, of the items at which ``where`` (N,) holds; by default of all."""
        return self._scores(self.right, where)

    def of_margins(self, where: np.ndarray | None = None) -> SeedScores:
        return self._scores(self.margins, where)

    def _scores(self, values: Floats, where: np.ndarray | None) -> SeedScores:
        if where is None:
            return SeedScores(self.seeds, values, self.lemmas)
        return SeedScores(self.seeds, values[:, where], self.lemmas[where])


def item_scores(loaded: LoadedRuns, runs: Iterable[RunId], kind: Kind) -> Iterator[ItemScores]:
    """The scores of each condition of ``runs``, evaluated runs, in their order; conditions without such items are left out.

    Of a condition's runs whose items are all equal only the first is used: they are one observation.
    """
    conditions: dict[str, list[int]] = {}
    seen: set[tuple[str, str]] = set()
    for run in runs:
        observation = (run.condition, scores_of(loaded, run).outcome)
        if observation not in seen:
            seen.add(observation)
            conditions.setdefault(run.condition, []).append(run.seed)
    of_kind = loaded.items.filter(pl.col("kind") == kind).partition_by("condition", as_dict=True)
    for condition, seeds in conditions.items():
        frame = of_kind.get((condition,))
        if (
            frame is not None
            and (found := _of_condition(loaded, frame.filter(pl.col("seed").is_in(seeds)), kind)) is not None
        ):
            yield found


def with_same_items(scores: Iterable[ItemScores]) -> list[list[ItemScores]]:
    """Conditions grouped by their items: those of a group can be drawn alike and stand side by side."""
    groups: dict[tuple[object, ...], list[ItemScores]] = {}
    for one in scores:
        key = (one.evaluation, one.lemmas.tobytes(), *one.items["item_id"].to_list())
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def _of_condition(loaded: LoadedRuns, frame: pl.DataFrame, kind: Kind) -> ItemScores | None:
    if frame.is_empty():
        return None
    evaluation = (
        frame.group_by("evaluation")
        .agg(pl.col("seed").n_unique())
        .sort(["seed", "evaluation"], descending=[True, False])
    )["evaluation"][0]
    frame = frame.filter(pl.col("evaluation") == evaluation)
    seeds = tuple(frame["seed"].unique(maintain_order=True).to_list())
    # An item that is missing from a seed, or there twice, tells nothing about the others.
    frame = frame.filter(
        (pl.len().over("item_id") == len(seeds)) & (pl.col("seed").n_unique().over("item_id") == len(seeds))
    )
    if frame.is_empty():
        return None
    order = {seed: place for place, seed in enumerate(seeds)}
    frame = frame.with_columns(place=pl.col("seed").replace_strict(order)).sort("place", "item_id")
    count = frame.height // len(seeds)
    shape = (len(seeds), count)
    first = frame.head(count)
    reasons = frame["reason"].to_list()
    return ItemScores(
        frame["condition"][0],
        evaluation,
        kind,
        seeds,
        first.drop("condition", "seed", "evaluation", "place"),
        np.unique(first["lemma"].to_numpy().astype(str), return_inverse=True)[1],
        (frame["rank"] == 1).to_numpy().astype(np.float64).reshape(shape),
        frame["margin"].to_numpy().reshape(shape),
        (first["mean_pool_rank"] == 1).to_numpy().astype(np.float64),
        first["mean_pool_margin"].to_numpy(),
        _chance(loaded, RunId(frame["condition"][0], seeds[0]), first, kind),
        tuple(tuple(reasons[start : start + count]) for start in range(0, len(reasons), count)),
    )


def _chance(loaded: LoadedRuns, run: RunId, items: pl.DataFrame, kind: Kind) -> Floats:
    scores = scores_of(loaded, run)
    known = scores.items.select("kind", "item_id").with_columns(chance=pl.Series(scores.chance_top1))
    found: Floats = (
        items.select("item_id")
        .join(known.filter(pl.col("kind") == kind), on="item_id", how="left", maintain_order="left")["chance"]
        .to_numpy()
    )
    return found
