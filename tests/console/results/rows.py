"""Item tables made by hand, for results whose right answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import polars as pl

from engine.contract.experiment import Experiment
from engine.contract.items import ItemRow
from engine.contract.metrics import Margins, Metrics, Scores, TierScore, judge
from engine.contract.settings import RunId, Spec, resolve
from engine.contract.state import RunState


def row(
    item: str, rank: int, *, kind: str = "retrieval", tier: str = "tier1_easy", margin: float = 0.0, pool: int = 1
) -> ItemRow:
    return ItemRow(
        kind,
        item,
        "bank",
        tier,
        "example",
        5,
        rank,
        rank == 1,
        rank <= 3,
        margin,
        "",
        pool,
        0.1,
        f"q {item}",
        "right",
        "wrong",
    )


def write_capsule(
    folder: Path,
    experiment: Experiment,
    run: RunId,
    rows: Sequence[ItemRow],
    *,
    evaluation: str = "e",
    top1: float | None = None,
    profile: str = "full",
) -> None:
    """A finished run at home, as ``experiment`` has it; ``top1`` makes its metrics disagree with its items."""
    capsule = folder / str(run)
    capsule.mkdir(parents=True)
    pl.DataFrame(rows, schema=list(ItemRow._fields), orient="row").write_parquet(capsule / "items.parquet")
    retrieval = [one for one in rows if one.kind == "retrieval"]
    coherence = [one for one in rows if one.kind == "coherence"]
    scores = Scores(
        sum(one.rank == 1 for one in retrieval) / len(retrieval) if top1 is None else top1,
        sum(one.rank <= 3 for one in retrieval) / len(retrieval),
        sum(one.rank == 1 for one in coherence) / len(coherence),
        Margins(0.0, 0.0, 0.0),
        {"tier1_easy": TierScore(1, 1.0)},
    )
    gates = judge({}, experiment.gates)
    metrics = Metrics(
        run.condition,
        run.seed,
        evaluation,
        "d",
        len(retrieval),
        len(coherence),
        scores,
        scores,
        0,
        0,
        0,
        1,
        1,
        1,
        1,
        0,
        gates,
        {},
    )
    (capsule / "metrics.json").write_bytes(msgspec.json.encode(metrics))
    settings = resolve(experiment, profile, run)
    spec = Spec(settings, settings.fingerprint(), "d", "m", evaluation, "cpu", {}, "")
    (capsule / "spec.json").write_bytes(msgspec.json.encode(spec))
    (capsule / "state.json").write_bytes(msgspec.json.encode(RunState("finished", "0" * 32)))
