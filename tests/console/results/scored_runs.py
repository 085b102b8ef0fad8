"""Loaded runs made of ranks, without files: for analyses whose right answers are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from console.results.aggregate import aggregate
from console.results.load import Capsule, LoadedRun, LoadedRuns
from console.results.records import Results
from console.results.run_scores import run_scores
from engine.contract.experiment import Experiment
from engine.contract.experiment_reader import read_experiment
from engine.contract.metrics import Informativeness, Margins, Metrics, Scores
from engine.contract.settings import RunId, resolve, run_ids
from engine.contract.state import RunState
from engine.contract.toml_file import find_config

NO_SCORES = Scores(0.0, 0.0, 0.0, Margins(0.0, 0.0, 0.0), {}, None, None, {}, {})


def scaling() -> Experiment:
    return read_experiment(find_config("scaling.toml"))


@dataclass
class Evaluation:
    """Items of ``lemmas`` lemmas, ``each`` retrieval items and ``each`` coherence steps of every one, in this order.

    The tiers of a lemma's retrieval items repeat ``tiers``.
    """

    lemmas: int = 20
    each: int = 3
    tiers: Sequence[str] = ("tier1_easy", "tier1_easy", "tier2_robust")
    candidates: int = 5
    ceiling: float = 1.0
    killers: Sequence[int] = ()
    pool: Sequence[int] | None = None
    name: str = "e"

    @property
    def items(self) -> int:
        return self.lemmas * self.each

    def table(self, ranks: Sequence[int]) -> pl.DataFrame:
        """The items of a run with ``ranks``, of the retrieval items first, then of the coherence steps."""
        count = 2 * self.items
        kinds = ["retrieval"] * self.items + ["coherence"] * self.items
        pool = list(self.pool) if self.pool is not None else [1 + (at % 2) for at in range(count)]
        columns = {
            "kind": kinds,
            "item_id": [f"{at:05d}" for at in range(count)],
            "lemma": [f"lemma{at % self.items // self.each:04d}" for at in range(count)],
            "tier": [self.tiers[at % len(self.tiers)] if at < self.items else "" for at in range(count)],
            "candidates": [self.candidates] * count,
            "rank": [int(rank) for rank in ranks],
            "margin": [0.1 if rank == 1 else -0.05 * float(rank) for rank in ranks],
            "mean_pool_rank": pool,
            "mean_pool_margin": [0.1 if rank == 1 else -0.05 * rank for rank in pool],
            "best_expected": [1.0] * self.items + [self.ceiling] * self.items,
            "killer": ["style_mismatch" if at in set(self.killers) else "" for at in range(count)],
        }
        right = [[True] + [False] * (self.candidates - 1)] * count
        lists = {"right": right, "baseline_ranks": [[2]] * count, "baseline_margins": [[-0.5]] * count}
        return pl.DataFrame(columns | lists)


@dataclass
class Runs:
    """The ranks of each run; ``evaluations`` are of runs scored on other items."""

    evaluation: Evaluation = field(default_factory=Evaluation)
    ranks: dict[RunId, Sequence[int]] = field(default_factory=dict)
    evaluations: dict[RunId, Evaluation] = field(default_factory=dict)

    def loaded(self, experiment: Experiment, profile: str = "full") -> LoadedRuns:
        found = dict.fromkeys(run_ids(experiment, profile), LoadedRun())
        for run, ranks in self.ranks.items():
            evaluation = self.evaluations.get(run, self.evaluation)
            table = evaluation.table(ranks)
            metrics = metrics_of(run, evaluation.name)
            scores = run_scores(table, metrics)
            head, mean_pool = scores.summary("head"), scores.summary("mean_pool")
            capsule = Capsule(resolve(experiment, profile, run), metrics, table, head, mean_pool, scores)
            found[run] = LoadedRun(RunState("finished", "0" * 32), capsule)
        return LoadedRuns(found, pl.DataFrame())

    def results(self, experiment: Experiment, profile: str = "full") -> Results:
        return aggregate(experiment, profile, self.loaded(experiment, profile))


def metrics_of(run: RunId, evaluation: str = "e") -> Metrics:
    """Metrics of a run with word overlap as its only baseline but guessing."""
    return Metrics(
        run.condition,
        run.seed,
        evaluation,
        "d",
        1,
        1,
        NO_SCORES,
        NO_SCORES,
        {"random": NO_SCORES, "word_overlap": NO_SCORES},
        {},
        Informativeness({}, {}, 1.0, 1.0, 0, 0),
        1,
        1,
        1,
        1,
        0,
        (),
        {},
    )


def simulated(
    experiment: Experiment,
    shares: Mapping[str, tuple[float, float]],
    evaluation: Evaluation | None = None,
    seeds: Sequence[int] | None = None,
    of_seed: float = 0.01,
) -> Runs:
    """Runs whose items are right with the share of retrieval and of coherence of their condition.

    Lemmas differ in difficulty alike for all; ``of_seed`` is the deviation over seeds.
    """
    runs = Runs(evaluation or Evaluation())
    random = np.random.default_rng(1)
    hardness = random.random(2 * runs.evaluation.items)  # an item is right for every model that is good enough
    for condition, (retrieval, coherence) in shares.items():
        for seed in experiment.seeds if seeds is None else seeds:
            share = np.repeat([retrieval, coherence], runs.evaluation.items) + random.normal(0, of_seed)
            noise = random.normal(0, 0.02, len(hardness))
            ranks = np.where(hardness + noise < share, 1, np.where(hardness < 0.9, 2, 4))
            runs.ranks[RunId(condition, seed)] = [int(rank) for rank in ranks]
    return runs
