"""The results as plain records: per run, per condition, and the verdict; screen, text and JSON are made from these."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from engine.contract.metrics import GateVerdict, Margins, TierScore
from engine.contract.settings import Difference, RunId

Verdict = Literal["pass", "fail", "incomplete"]


class ModelScores(Struct, frozen=True):
    """One model's scores on the frozen evaluation, as fractions of 1, computed from the items."""

    top1: float
    top3: float
    coherence: float
    margins: Margins
    tiers: dict[str, TierScore]


class ChosenHead(Struct, frozen=True):
    """Which measurement's head was evaluated: after ``step`` steps, ``epoch`` epochs done.

    It had the best ``score`` on development data, a fraction of 1; ``score_name`` says what that score is.
    """

    step: int
    epoch: float
    score: float
    score_name: str


class RunResult(Struct, frozen=True):
    """One run: its state, and its scores if it was evaluated.

    Attributes:
        state: of the host if it is known, else of the local copy; ``none`` if the run was never launched.
        reason: why it failed, was aborted or was lost.
        problem: why a run that ended has no scores; "" if nothing is wrong.
        head, mean_pool: scores of the trained sense head and of frozen mean pooling; None if not evaluated.
        killer_top1: fraction ranked first among the ``killer_set`` items that frozen mean pooling fails badly.
        chosen: which of the heads measured during training was evaluated.
        tier3_exposures: how often each tier3 bundle is expected to have been drawn; None where there is none.
        seconds: wall time by stage.
        other_settings: how its settings differ from the experiment's; such a run is shown but not counted.
    """

    condition: str
    seed: int
    state: str
    reason: str = ""
    problem: str = ""
    eval_fingerprint: str = ""
    head: ModelScores | None = None
    mean_pool: ModelScores | None = None
    gates: tuple[GateVerdict, ...] = ()
    seconds: dict[str, float] = {}
    killer_set: int = 0
    killer_top1: float | None = None
    other_settings: str = ""
    chosen: ChosenHead | None = None
    tier3_exposures: float | None = None

    @property
    def is_counted(self) -> bool:
        """Whether it enters means and verdict: it was evaluated, with the settings that the experiment has now."""
        return self.head is not None and not self.other_settings


class Spread(Struct, frozen=True):
    """Mean over seeds and sample standard deviation (None with fewer than two)."""

    mean: float
    sd: float | None


class ConditionResult(Struct, frozen=True):
    """One condition over the ``evaluated`` of its ``total`` seeds, those whose runs are counted.

    Gates judge the mean over seeds; ``failed_seeds`` names seeds that fail a gate by themselves. ``differences``
    are the settings that the condition overrides.
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
    verdict: Verdict = "incomplete"
    failed_seeds: tuple[int, ...] = ()
    differences: tuple[Difference, ...] = ()


class Results(Struct, frozen=True):
    """Results of one profile. ``comparable`` is False if runs were scored under different evaluation fingerprints."""

    experiment: str
    profile: str
    verdict: Verdict
    comparable: bool
    runs: tuple[RunResult, ...]
    conditions: tuple[ConditionResult, ...]

    @property
    def any_evaluated(self) -> bool:
        return any(run.head is not None for run in self.runs)


def counted_runs(results: Results) -> dict[str, tuple[RunId, ...]]:
    """The counted runs of each condition of the profile, in the matrix's order."""
    found: dict[str, tuple[RunId, ...]] = {one.condition: () for one in results.conditions}
    for run in results.runs:
        if run.is_counted:
            found[run.condition] += (RunId(run.condition, run.seed),)
    return found
