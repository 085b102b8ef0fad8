"""The scores of one evaluated run item by item, as arrays in an order that all runs of one evaluation share."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from console.results.records import ModelScores
from console.results.statistics.estimates import Floats, Integers
from console.sanitize import sanitize_line
from engine.contract.items import KILLER_DIGITS, KILLER_MARGIN, KILLER_RANK, chance_in_top
from engine.contract.metrics import Margins, Metrics, TierScore

HEAD, MEAN_POOL, WORD_OVERLAP, RANDOM = "head", "mean_pool", "word_overlap", "random"
TOP1, TOP3, COHERENCE, MARGIN, KILLERS = "retrieval_top1", "retrieval_top3", "coherence_accuracy", "margin", "killers"
_RETRIEVAL = (TOP1, TOP3, MARGIN, KILLERS)
_KEY = ("kind", "item_id", "lemma", "tier")
_OF_ITEMS = (*_KEY, "candidates", "right", "best_expected", "killer")


class RankedItems(NamedTuple):
    """Ranks of the best right candidate, from 1, and margins of all N items: (N,) of one model, or (N, models)."""

    ranks: Integers
    margins: Floats


class RunScores(NamedTuple):
    """What a run's items say of its head and of the baselines.

    Attributes:
        items: kind, item_id, lemma and tier of each of N items, sorted by these.
        lemmas: (N,), number of each item's lemma, from 0, in the alphabet's order of the run's lemmas.
        positions: of the items of each metric: those of ``metrics.json``, ``margin``, each tier, and ``killers`` where the
            frozen killers can be told from the items.
        models: ranks and margins of the head, of mean pooling, and of word overlap where it was saved.
        chance_top1, chance_top3, ceiling: (N,), chance that a guess is right, and that of the best reader.
        evaluation: SHA-256 of ``items``; runs with another one have other items.
        outcome: SHA-256 of the head's ranks and margins; runs with the same one are one observation.
        content: SHA-256 of everything above.
    """

    items: pl.DataFrame
    lemmas: Integers
    positions: dict[str, Integers]
    models: dict[str, RankedItems]
    chance_top1: Floats
    chance_top3: Floats
    ceiling: Floats
    evaluation: str
    outcome: str
    content: str

    def values(self, model: str, metric: str) -> Floats | None:
        """``metric`` of ``model`` on each of the metric's items, or of guessing; None where it has no such score."""
        at = self.positions.get(metric)
        if at is None:
            return None
        if model == RANDOM:
            chance = {MARGIN: None, TOP3: self.chance_top3}.get(metric, self.chance_top1)
            return None if chance is None else chance[at]
        if model not in self.models:
            return None
        ranks, margins = self.models[model]
        if metric == MARGIN:
            return margins[at]
        return (ranks[at] <= (3 if metric == TOP3 else 1)).astype(np.float64)

    def summary(self, model: str) -> ModelScores:
        """The means of a model that has ranks and margins, and its distribution of margins."""
        margins = self.models[model].margins[self.positions[MARGIN]]
        p5, p95 = np.quantile(margins, (0.05, 0.95)).tolist()
        tiers = {name: at for name, at in self.positions.items() if name not in (*_RETRIEVAL, COHERENCE)}
        return ModelScores(
            top1=self._mean(model, TOP1),
            top3=self._mean(model, TOP3),
            coherence=self._mean(model, COHERENCE),
            margins=Margins(self._mean(model, MARGIN), p5, p95),
            tiers={name: TierScore(len(at), self._mean(model, name)) for name, at in tiers.items()},
        )

    def _mean(self, model: str, metric: str) -> float:
        """Rounded once, so that anybody gets the same digits from the same items."""
        values = self.values(model, metric)
        return math.nan if values is None or not len(values) else math.fsum(values.tolist()) / len(values)


class _Items(NamedTuple):
    """What the items of one evaluation say, whichever model ranked them; ``order`` (N,) sorts a run's table."""

    order: Integers
    key: pl.DataFrame
    lemmas: Integers
    positions: dict[str, Integers]
    chance_top1: Floats
    chance_top3: Floats
    ceiling: Floats
    evaluation: str


_last: list[tuple[pl.DataFrame, _Items]] = []
"""The items that were examined last, if any: those of nearly every other run of the experiment, too."""


def run_scores(items: pl.DataFrame, metrics: Metrics) -> RunScores:
    """The scores in ``items``, the table of a run with the lists that baselines and guessing need; of ``metrics``."""
    table = items.select(_OF_ITEMS)
    known = _last[0] if _last else None
    if known is None or not known[0].equals(table):
        known = (table, _examined(table))
        _last[:] = [known]
    shared = known[1]
    baselines = [name for name in metrics.baselines if name != RANDOM]
    models = {
        HEAD: RankedItems(items["rank"].to_numpy()[shared.order], items["margin"].to_numpy()[shared.order]),
        MEAN_POOL: RankedItems(*(items[f"mean_pool_{name}"].to_numpy()[shared.order] for name in ("rank", "margin"))),
    }
    ranked = _baselines(items, len(baselines), shared.order)
    if ranked is not None and WORD_OVERLAP in baselines:
        at = baselines.index(WORD_OVERLAP)
        models[WORD_OVERLAP] = RankedItems(ranked.ranks[:, at], ranked.margins[:, at])
    positions = dict(shared.positions)
    if KILLERS not in positions:
        killers = _inferred_killers(metrics, ranked, models, positions[TOP1])
        positions |= {} if killers is None else {KILLERS: killers}
    outcome = _digest(*models[HEAD])
    arrays = [array for model in list(models.values())[1:] for array in model]
    arrays += [shared.chance_top1, shared.chance_top3, shared.ceiling]
    content = _digest([shared.evaluation, outcome], *arrays, positions.get(KILLERS, np.zeros(0)))
    chances = (shared.chance_top1, shared.chance_top3)
    return RunScores(
        shared.key, shared.lemmas, positions, models, *chances, shared.ceiling, shared.evaluation, outcome, content
    )


def _examined(table: pl.DataFrame) -> _Items:
    """The items of ``table``, in the order of their keys."""
    numbered = table.with_row_index("number").sort(*_KEY, maintain_order=True)
    order, items = numbered["number"].to_numpy().astype(np.intp), numbered.drop("number")
    retrieval = (items["kind"] == "retrieval").to_numpy()
    positions = dict.fromkeys((TOP1, TOP3, MARGIN), np.flatnonzero(retrieval))
    positions[COHERENCE] = np.flatnonzero((items["kind"] == "coherence").to_numpy())
    for tier in items["tier"].unique().sort().to_list():
        at_tier = np.flatnonzero(retrieval & (items["tier"] == tier).to_numpy())
        if tier and len(at_tier) and (name := sanitize_line(tier)) not in (*positions, KILLERS):
            positions[name] = at_tier
    if not items["killer"].null_count():
        positions[KILLERS] = np.flatnonzero((items["killer"] != "").to_numpy())
    key = items.select(_KEY)
    evaluation = _digest(*(key[name].to_list() for name in _KEY))
    lemmas = items["lemma"].cast(pl.Enum(items["lemma"].unique().sort())).to_physical().to_numpy().astype(np.intp)
    chances = (_chance(items, 1), _chance(items, 3))
    return _Items(order, key, lemmas, positions, *chances, items["best_expected"].to_numpy(), evaluation)


def _baselines(items: pl.DataFrame, count: int, order: Integers) -> RankedItems | None:
    """Ranks and margins of the saved baselines, each (N, ``count``); None where they are not that many."""
    lists = (items["baseline_ranks"], items["baseline_margins"])
    if not count or any(bool((one.list.len() != count).any()) for one in lists):
        return None
    return RankedItems(*(one.explode().to_numpy().reshape(items.height, count)[order] for one in lists))


def _inferred_killers(
    metrics: Metrics,
    baselines: RankedItems | None,
    models: Mapping[str, RankedItems],
    retrieval: Integers,
) -> Integers | None:
    """Positions of the frozen killers of a run whose items do not name them; None if unknown.

    They are what mean pooling of the reference encoder's layer fails badly. The layer is not known, nor whether the
    killers are a user's: one is believed if it gives as many killers and the top-1 on them that ``metrics`` has.
    """
    if not metrics.killer_set or metrics.killer_top1 is None:
        return None
    head = models[HEAD].ranks
    layers = () if baselines is None else zip(baselines.ranks.T, baselines.margins.T, strict=True)
    for ranks, margins in (models[MEAN_POOL], *layers):
        rounded = np.round(margins, KILLER_DIGITS)
        is_killer = (ranks > 1) & ((rounded <= KILLER_MARGIN) | (ranks >= KILLER_RANK))
        found: Integers = retrieval[is_killer[retrieval]]
        if len(found) == metrics.killer_set and abs(float((head[found] == 1).mean()) - metrics.killer_top1) < 1e-9:
            return found
    return None


def _chance(items: pl.DataFrame, top: int) -> Floats:
    """The chance of each item that ``top`` candidates drawn without replacement hold a right one."""
    pairs = list(zip(items["candidates"].to_list(), items["right"].list.sum().to_list(), strict=True))
    chances = {pair: chance_in_top(*pair, top) for pair in set(pairs)}
    return np.array([chances[pair] for pair in pairs])


def _digest(*parts: npt.NDArray[np.generic] | list[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        content = "\0".join(part).encode() if isinstance(part, list) else np.ascontiguousarray(part).tobytes()
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()
