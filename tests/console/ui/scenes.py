"""Runs at moments of their life, made from events as a host would send them, and results to go with them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from console.results.items.detail import ItemDetail, read_item
from console.results.items.items import ItemTable, item_table
from console.results.load import LoadedRuns
from console.results.records import ChosenHead, ConditionResult, ModelScores, Results, RunResult, Spread
from console.runs.run_view import RunView, reduce
from console.runs.snapshot import Snapshot
from engine.contract.events import BaselineScores, Body, End, Evaluation, Event, Progress, SetScores, Stage, Step
from engine.contract.experiment import TIERS, Experiment
from engine.contract.items import ItemRow, column_types
from engine.contract.metrics import Margins, TierScore, judge
from engine.contract.settings import RunId
from engine.contract.state import RunState
from tests.console.results.capsules import row
from tests.measurements import measurement


def view_of(run: RunId, state: str, bodies: Iterable[Body] = (), *, reason: str = "", key: str = "k") -> RunView:
    """A run in ``state`` that said ``bodies``, one a second."""
    ended = {"started_at": 1000.0, "ended_at": 1083.0} if state not in ("queued", "running") else {}
    view = RunView(run, state=RunState(state, key, reason=reason, **ended))  # type: ignore[arg-type]
    return reduce(view, (Event(seq, 1000.0 + seq, body) for seq, body in enumerate(bodies)))


def training(steps: int, total: int = 200, *, offset: float = 0.0) -> list[Body]:
    """The events of a training of ``steps`` of ``total`` steps in four epochs."""
    bodies: list[Body] = [Stage("data", "v2.2"), Stage("encode"), Progress(10, 40, "texts"), Stage("train")]
    for step in range(steps + 1):
        loss = 0.4 + offset + 2 * math.exp(-4 * step / total) + 0.1 * math.sin(step * 1.7)
        if step:
            bodies.append(Step(step, total, 1, loss, 1e-3, {"tier1_easy": 60, "tier2_robust": 4}))
        if step % (total // 4) == 0:
            epoch = step / (total // 4)
            top1, coherence = 0.44 + offset / 5 + 0.02 * epoch, 0.7 - 0.01 * epoch
            bodies.append(
                measurement(
                    step,
                    total,
                    epoch,
                    top1=top1,
                    loss=loss,
                    attention_entropy=0.93,
                    mean_pool_top1=0.452,
                    score=(top1 + coherence) / 2,
                    mean_pool_score=0.582,
                    score_name="retrieval top-1 (bundles, wordnet) and coherence (wordnet)",
                    sets=(SetScores("wordnet", top1, 0.8, coherence),),
                    mean_pool_sets=(SetScores("wordnet", 0.452, 0.77, 0.712),),
                    chance=BaselineScores(0.435, {}, 0.416, (SetScores("wordnet", 0.435, 0.74, 0.397),)),
                )
            )
    return bodies


def finished(run: RunId, *, top1: float = 0.461, coherence: float = 0.83, failed: tuple[str, ...] = ()) -> RunView:
    """A run that was evaluated."""
    evaluation = Evaluation(top1, top1 + 0.3, coherence, 0.452, 0.771, 0.74)
    return view_of(run, "finished", [*training(200), Stage("evaluate"), evaluation, Stage("seal"), End(failed)])


def results_of(experiment: Experiment, snapshot: Snapshot) -> Results:
    """Results of the evaluated runs, their numbers from the evaluation event."""
    runs = tuple(_result(view) for view in snapshot.runs.values())
    names = dict.fromkeys(run.condition for run in runs)
    conditions = tuple(_condition(experiment, name, [run for run in runs if run.condition == name]) for name in names)
    verdicts = [one.verdict for one in conditions]
    verdict = "fail" if "fail" in verdicts else "incomplete" if "incomplete" in verdicts else "pass"
    return Results(experiment.name, snapshot.profile, verdict, True, runs, conditions)  # type: ignore[arg-type]


def _result(view: RunView) -> RunResult:
    if view.evaluation is None:
        return RunResult(view.run.condition, view.run.seed, view.state_name, view.state.reason if view.state else "")
    one = view.evaluation
    return RunResult(
        view.run.condition,
        view.run.seed,
        view.state_name,
        head=_line(one.top1, one.top3, one.coherence, 0.012),
        mean_pool=_line(one.mean_pool_top1, one.mean_pool_top3, one.mean_pool_coherence, 0.010),
        chosen=ChosenHead(150, 3.0, 0.6, "retrieval top-1 (bundles, wordnet) and coherence (wordnet)"),
        tier3_exposures=7.25,
    )


def _line(top1: float, top3: float, coherence: float, margin: float) -> ModelScores:
    tiers: dict[str, TierScore] = {tier: TierScore(50, top1 - 0.1 * place) for place, tier in enumerate(TIERS)}
    return ModelScores(top1, top3, coherence, Margins(margin, margin - 0.2, margin + 0.25), tiers)


def _condition(experiment: Experiment, name: str, runs: list[RunResult]) -> ConditionResult:
    heads = [run.head for run in runs if run.head]
    title = experiment.conditions[name].title
    if not heads:
        return ConditionResult(name, title, 0, len(runs))
    means = {
        "retrieval_top1": fmean(head.top1 for head in heads),
        "retrieval_top3": fmean(head.top3 for head in heads),
        "coherence_accuracy": fmean(head.coherence for head in heads),
    }
    pools = [run.mean_pool for run in runs if run.head is not None and run.mean_pool is not None]
    gates = judge(means, experiment.gates)
    passed = all(gate.passed for gate in gates)
    verdict = "fail" if not passed else "pass" if len(heads) == len(runs) else "incomplete"
    return ConditionResult(
        name,
        title,
        len(heads),
        len(runs),
        top1=_spread([head.top1 for head in heads]),
        top3=_spread([head.top3 for head in heads]),
        coherence=_spread([head.coherence for head in heads]),
        margin=_spread([head.margins.mean for head in heads]),
        mean_pool_top1=fmean(pool.top1 for pool in pools),
        mean_pool_top3=fmean(pool.top3 for pool in pools),
        mean_pool_coherence=fmean(pool.coherence for pool in pools),
        mean_pool_margin=fmean(pool.margins.mean for pool in pools),
        tiers={tier: _spread([head.tiers[tier].top1 for head in heads]) for tier in TIERS},
        gates=gates,
        verdict=verdict,  # type: ignore[arg-type]
    )


def _spread(values: list[float]) -> Spread:
    return Spread(fmean(values), stdev(values) if len(values) > 1 else None)


def item(item_id: str = "r1", lemma: str = "bank", rank: int = 1, **columns: Any) -> ItemRow:
    """An item of three candidates, the second of them right, as one run ranks it."""
    cosines = [0.41, 0.62 if rank == 1 else 0.38, 0.55]
    candidates = [f"A {lemma} holiday.", f"The {lemma} was steep and muddy.", f"The {lemma} raised its rates."]
    made: dict[str, Any] = {
        "lemma": lemma,
        "candidates": 3,
        "query": f"They sat on the {lemma} of the river.",
        "answer": candidates[1],
        "chosen": candidates[1 if rank == 1 else 2],
        "reason": "" if rank == 1 else "within_lemma_collision",
        "similarities": cosines,
        "right": [False, True, False],
        "mean_pool_similarities": [0.7, 0.3, 0.2],
        "candidate_texts": candidates,
        "query_tokens": ["<start>", "They", "sat", "on", "the", lemma, "of", "the", "river", ".", "<end>"],
        "query_weights": [0.03, 0.02, 0.1, 0.05, 0.05, 0.25, 0.05, 0.02, 0.4, 0.01, 0.02],
    }
    return row(item_id, rank, tier="tier2_robust", margin=cosines[1] - 0.55)._replace(**made | columns)


def items_of(experiment: Experiment, rows: Mapping[RunId, Sequence[ItemRow]]) -> ItemTable:
    """The items of runs, all of one evaluation."""
    types = {name: getattr(pl, kind.name)() for name, kind in column_types(ItemRow).items() if not kind.is_list}
    columns = {"condition": pl.String(), "seed": pl.Int64(), "evaluation": pl.String()} | types
    values = [
        (run.condition, run.seed, "e", *(getattr(one, name) for name in types))
        for run, of in rows.items()
        for one in of
    ]
    return item_table(LoadedRuns({}, pl.DataFrame(values, columns, orient="row")), rows, experiment)


def detail_of(one: ItemRow) -> ItemDetail:
    """The item as it is read from a run's file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "items.parquet"
        pl.DataFrame([one], schema=list(ItemRow._fields), orient="row").write_parquet(path)
        return read_item(path, "", one.kind, one.item_id)
