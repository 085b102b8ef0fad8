"""A run folder as training and evaluation leave it, made up in no time: random weights, an encoder of the test's choice."""

from __future__ import annotations

from pathlib import Path

import msgspec
import torch
from msgspec import structs

from engine.contract.events import BaselineScores, Body, Evaluation, Measurement, SetScores, Stage, Step
from engine.contract.experiment import EncoderSettings, Gates, ModelSettings, Training
from engine.contract.metrics import Metrics, judge
from engine.contract.run_folder import RunFolder
from engine.contract.settings import Spec
from engine.encoder.encoder import Encoder
from engine.evaluation.scores import (
    gains_over,
    guessing_results,
    informativeness,
    model_scores,
    ranked_results,
)
from engine.model.head import Head
from engine.pipeline.event_log import EventWriter
from engine.pipeline.spec import run_fingerprint, versions
from engine.pipeline.train import run_head
from engine.training.checkpoint import Position, save_checkpoint
from tests.engine.samples import item_row, settings


class TrainedRun:
    """A run in ``root`` with a head of random weights; ``encoder`` and ``head`` are what it trained with.

    Args:
        steps: optimizer steps done, of 4.
    """

    def __init__(self, root: Path, encoder: EncoderSettings, model: ModelSettings, steps: int = 4) -> None:
        self.folder = RunFolder(root)
        self.encoder = Encoder(encoder, "cpu")
        self.settings = structs.replace(settings(Training(epochs=2, batch_size=8)), encoder=encoder, model=model)
        self.head: Head = run_head(self.settings, self.encoder)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weight in self.head.parameters():  # a residual head begins with zeros
                weight.add_(0.05 * torch.randn(weight.shape, generator=generator))
        self.spec = Spec(
            settings=self.settings,
            settings_fingerprint=self.settings.fingerprint(),
            data_fingerprint="d" * 64,
            encoder_fingerprint=self.encoder.fingerprint,
            eval_fingerprint="e" * 64,
            device="cpu",
            versions=versions(),
            git="",
        )
        root.mkdir(parents=True)
        self.folder.spec.write_bytes(msgspec.json.encode(self.spec))
        self.position = Position(
            run_fingerprint(self.spec), 4, 2, steps, best_step=2, best_score=0.625, score_name="top-1"
        )
        save_checkpoint(
            self.folder, {f"best.{name}": value for name, value in self.head.state_dict().items()}, self.position
        )
        writer = EventWriter(self.folder.events, clock=iter(range(1_000, 2_000)).__next__)
        for body in EVENTS:
            writer.write(body)
        self.folder.metrics.write_bytes(msgspec.json.encode(made_up_metrics()))


EVENTS: tuple[Body, ...] = (
    Stage("train"),
    Step(1, 4, 1, 0.9, 3e-4, {"tier1_easy": 8}),
    Step(2, 4, 1, 0.8, 3e-4, {"tier1_easy": 7, "tier3_adversarial": 1}),
    Step(2, 4, 1, 0.7, 2e-4, {"tier1_easy": 7, "tier3_adversarial": 1}),  # again, after the run was resumed
    Measurement(
        step=2,
        total_steps=4,
        epoch=1.0,
        top1=0.5,
        margin=-0.25,
        loss=1.5,
        tiers={"tier1_easy": 0.5},
        attention_entropy=0.75,
        mean_pool_top1=0.375,
        score=0.625,
        mean_pool_score=0.5,
        score_name="top-1",
        best_step=2,
        sets=(SetScores("WordNet", top1=0.25, coherence=0.75),),
        mean_pool_sets=(SetScores("WordNet", top1=0.125),),
        tier3_exposures=1.5,
        chance=BaselineScores(0.25, {"tier1_easy": 0.5}, 0.375, (SetScores("WordNet", coherence=0.5),)),
        mean_pool_tiers={"tier1_easy": 0.875},
    ),
    Step(3, 4, 2, 0.6, 2e-4, {"tier1_easy": 8}),
    Step(4, 4, 2, 0.5, 1e-4, {"tier1_easy": 8}),
    Evaluation(0.5, 0.75, 0.25, 0.375, 0.75, 0.25),
)


def made_up_metrics() -> Metrics:
    """Six retrieval items and two coherence items of two steps: a head that is better on the first, worse on the second."""
    rows = [item_row(lemma=f"lemma {at}", margin=0.1 if at < 5 else -0.1) for at in range(6)]
    for at in range(4):
        right = [True, False] if at % 2 else [False, True]  # two items of two steps, between which the sense shifts
        step = {"step": at % 2 + 1, "steps": 2, "right": right, "item_class": "informative"}
        rows.append(item_row(kind="coherence", tier="", lemma=f"lemma {at // 2}", **step))
    head = ranked_results([1, 1, 1, 1, 1, 2, 2, 2, 2, 1], [row.margin for row in rows])
    pooled = ranked_results([2, 2, 2, 2, 2, 2, 1, 1, 1, 1], [row.margin for row in rows])
    scores = model_scores(rows, head)
    return Metrics(
        condition="A",
        seed=1,
        eval_fingerprint="e" * 64,
        data_fingerprint="d" * 64,
        retrieval_items=6,
        coherence_steps=4,
        head=scores,
        mean_pool=model_scores(rows, pooled),
        baselines={"random": model_scores(rows, guessing_results(rows))},
        gains=gains_over(rows, head, pooled),
        informativeness=informativeness(rows),
        best_epoch=1.0,
        epochs=2.0,
        steps=4,
        bundles=16,
        killers=3,
        gates=judge({name: getattr(scores, name) for name in Gates.__struct_fields__}, Gates()),
        seconds={},
    )
