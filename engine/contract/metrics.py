"""Metrics of one run, ``metrics.json``: every score of the head beside those of the baselines; gate verdicts.

All but times and training counts follows from ``items.parquet`` by plain arithmetic, to the last digit: see
``engine.evaluation.scores`` and ``engine.evaluation.intervals``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
from msgspec import Struct, structs

from engine.contract.experiment import Gates

GATE_NAMES = Gates.__struct_fields__


class Estimate(Struct, frozen=True):
    """A mean over ``items`` of ``lemmas`` lemmas, with its standard error and 95% interval for new lemmas.

    These are None where they are unknown, with fewer than two lemmas, and where there is no error: an exact expectation.
    """

    mean: float
    items: int
    lemmas: int
    standard_error: float | None = None
    low: float | None = None
    high: float | None = None


class Margins(Struct, frozen=True):
    """Distribution of the retrieval margin: best right candidate minus best wrong one, in cosine similarity."""

    mean: float
    p5: float
    p95: float


class TierScore(Struct, frozen=True):
    """Retrieval top-1 on the ``items`` evaluation items of a tier."""

    items: int
    top1: float


class Scores(Struct, frozen=True):
    """Scores of one model on the frozen evaluation, fractions of 1; coherence counts steps, not whole items.

    ``transition_accuracy`` is the share of sense shifts with both steps right, ``final_state_accuracy`` that of coherence
    items with the last step right; None where there is none. ``intervals`` has an estimate for each of these scores by
    its name, ``classes`` one for each class of items that occurs: retrieval top-1 or accuracy of coherence steps.
    """

    retrieval_top1: float
    retrieval_top3: float
    coherence_accuracy: float
    margins: Margins | None
    tiers: dict[str, TierScore]
    transition_accuracy: float | None
    final_state_accuracy: float | None
    intervals: dict[str, Estimate]
    classes: dict[str, Estimate]


class Informativeness(Struct, frozen=True):
    """What the evaluation can tell: see ``engine.evaluation.item_classes``.

    Attributes:
        retrieval_classes, coherence_classes: number of retrieval items and of coherence steps by class.
        judged: share of the coherence steps that are a test of meaning, those of the class ``informative``.
        coherence_ceiling: coherence accuracy of the best reader, who guesses between glosses that cannot be told apart.
        shared_gloss_steps: steps that lower the ceiling, since their right gloss cannot be told from another.
        by_elimination_steps: steps of an item with a placeholder that do not: one can be named by elimination.
    """

    retrieval_classes: dict[str, int]
    coherence_classes: dict[str, int]
    judged: float
    coherence_ceiling: float
    shared_gloss_steps: int
    by_elimination_steps: int


class GateVerdict(Struct, frozen=True):
    """Verdict on a ship blocker: the measured value (None: there is none), its minimum, and whether it passed."""

    gate: str
    value: float | None
    threshold: float
    passed: bool


class Metrics(Struct, frozen=True):
    """Content of ``metrics.json``. Scores with different ``eval_fingerprint`` are never compared.

    ``mean_pool`` is frozen mean pooling of the head's layers; ``gains`` are the head's scores minus its, item by item.
    ``baselines`` are ``random``, the exact expectation of guessing, ``word_overlap``, and mean pooling of single layers.
    ``best_step`` and ``best_epoch`` (epochs done, with
    their fraction) are of the measurement whose head was evaluated; it was chosen on development data by ``best_score``,
    which ``score_name`` says in words. ``tier3_exposures`` is how often each tier3 bundle is expected to have been drawn,
    None where there is none. ``seconds`` are wall time by stage. ``killers`` counts the items that this head fails badly;
    ``killer_set`` those that frozen mean pooling failed when the evaluation was frozen (tier4), of which the fraction
    ``killer_top1`` is ranked right; None where the set is empty.
    ``items_sha256`` is of the ``items.parquet`` that the scores are of; readers of another file refuse it.
    """

    condition: str
    seed: int
    eval_fingerprint: str
    data_fingerprint: str
    retrieval_items: int
    coherence_steps: int
    head: Scores
    mean_pool: Scores
    baselines: dict[str, Scores]
    gains: dict[str, Estimate]
    informativeness: Informativeness
    best_epoch: float
    epochs: float
    steps: int
    bundles: int
    killers: int
    gates: tuple[GateVerdict, ...]
    seconds: dict[str, float]
    killer_set: int = 0
    killer_top1: float | None = None
    items_sha256: str = ""
    best_step: int = 0
    best_score: float | None = None
    score_name: str = ""
    tier3_exposures: float | None = None


class AttentionSummary(Struct, frozen=True):
    """Attention of a head on ``probes`` probe texts: mean entropy / log tokens, and mass on the target word and on cues."""

    probes: int
    entropy: float
    lemma_mass: float
    cue_mass: float | None


class EvaluationReport(Struct, frozen=True):
    """Result of ``qllm-engine evaluate``: scores of a model beside the baselines on the same items.

    Attributes:
        subject: what was scored, such as ``A/42`` or ``mean_pool``; its scores are ``models[subject]``.
        encoder, layers: what it reads; "" and empty for a baseline without an encoder.
        eval_fingerprint: of the items; scores under different ones are never compared.
        models: scores by name. A score without any item is null in JSON.
        gains: the subject's scores minus those of frozen mean pooling, item by item; empty for a baseline.
        killers: frozen killers among the items, ``killer_top1`` the share of them ranked right; None without any.
    """

    subject: str
    encoder: str
    layers: tuple[int, ...]
    eval_fingerprint: str
    retrieval_items: int
    coherence_steps: int
    models: dict[str, Scores]
    gains: dict[str, Estimate]
    informativeness: Informativeness
    gates: tuple[GateVerdict, ...]
    killers: int = 0
    killer_top1: float | None = None
    attention: AttentionSummary | None = None


def judge(values: Mapping[str, float], gates: Gates) -> tuple[GateVerdict, ...]:
    """The verdict on each ship blocker; a value that is missing or not a number fails."""
    verdicts = []
    for gate, threshold in structs.asdict(gates).items():
        value = values.get(gate, math.nan)
        verdicts.append(GateVerdict(gate, None if math.isnan(value) else value, threshold, value >= threshold))
    return tuple(verdicts)


decode = msgspec.json.Decoder(Metrics).decode
