"""The shape of the results: per run, per condition, and the verdict; the view, the report and the JSON share it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from engine.contract.experiment import Contingency
from engine.contract.metrics import GateVerdict, Margins, TierScore


class ScoreLine(Struct, frozen=True):
    """One model's numbers on the frozen evaluation, as fractions of 1, computed from the items."""

    top1: float
    top3: float
    coherence: float
    margins: Margins
    tiers: dict[str, TierScore]


class RunResult(Struct, frozen=True):
    """One run: its state, and its numbers if it was evaluated. ``problem`` says why numbers are missing.

    ``other_settings`` is what of its settings the experiment has otherwise now: such numbers stand for themselves.
    ``killer_top1`` is the fraction ranked right of the ``killer_set`` items that frozen mean pooling fails badly.
    """

    condition: str
    seed: int
    state: str
    reason: str = ""
    problem: str = ""
    eval_fingerprint: str = ""
    head: ScoreLine | None = None
    mean_pool: ScoreLine | None = None
    gates: tuple[GateVerdict, ...] = ()
    seconds: dict[str, float] = {}
    killer_set: int = 0
    killer_top1: float | None = None
    other_settings: str = ""

    @property
    def counts(self) -> bool:
        """It was evaluated, and with the settings that the experiment has: it enters the means and the verdict."""
        return self.head is not None and not self.other_settings


class Spread(Struct, frozen=True):
    """Mean over seeds and sample standard deviation (None with fewer than two)."""

    mean: float
    sd: float | None


class ConditionResult(Struct, frozen=True):
    """One condition over its ``evaluated`` seeds, those whose runs count.

    Gates judge the mean over seeds; ``failed_seeds`` names seeds that failed one by themselves.
    """

    condition: str
    title: str
    evaluated: int
    total: int
    top1: Spread | None = None
    top3: Spread | None = None
    coherence: Spread | None = None
    margin: Spread | None = None
    mean_pool_top1: float | None = None
    mean_pool_top3: float | None = None
    mean_pool_coherence: float | None = None
    mean_pool_margin: float | None = None
    tiers: dict[str, Spread] = {}
    gates: tuple[GateVerdict, ...] = ()
    verdict: Literal["pass", "fail", "incomplete"] = "incomplete"
    failed_seeds: tuple[int, ...] = ()
    contingency: tuple[Contingency, ...] = ()


class Results(Struct, frozen=True):
    """All of it. ``comparable`` is False when runs were scored under different evaluation fingerprints."""

    experiment: str
    profile: str
    runs: tuple[RunResult, ...]
    conditions: tuple[ConditionResult, ...]
    comparable: bool
    verdict: Literal["pass", "fail", "incomplete"]


class FailedItem(Struct, frozen=True):
    """An evaluation item that runs got wrong: in how many of how many, its mean margin, and its texts.

    An ``item_id`` is one item only within its ``kind`` and ``evaluation``, the fingerprint of the evaluation data.
    """

    evaluation: str
    kind: str
    item_id: str
    lemma: str
    tier: str
    reason: str
    failed: int
    runs: int
    margin: float
    query: str
    answer: str
    chosen: str
