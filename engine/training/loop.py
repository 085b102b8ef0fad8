"""The training loop: one generator, from the warm start to the best head measured, that yields typed events."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from itertools import islice
from typing import NoReturn

import torch
from msgspec.structs import replace

from engine.contract.bad_input import BadInput
from engine.contract.events import Body, Checkpoint, Measurement, Progress, Stage, Step, Warning
from engine.contract.experiment import ADVERSARIAL, Curriculum
from engine.contract.run_folder import RunFolder
from engine.contract.settings import Settings
from engine.data.records import Dataset
from engine.encoder.token_states import TokenStates
from engine.model.embedding import frozen_all
from engine.model.head import Head
from engine.training.adamw import AdamW, learning_rates
from engine.training.bundle_arrays import (
    TIER_NAMES,
    BundleArrays,
    both_directions,
    gloss_directions,
    sentence_direction,
)
from engine.training.checkpoint import Position, TrainState, load_checkpoint, save_checkpoint
from engine.training.curriculum import EpochSampler, sampling_weights, tier3_exposures
from engine.training.development import DevelopmentData, selection_score_name
from engine.training.guardrails import SPIKE_WINDOW, dilution, early_warning, loss_spike
from engine.training.losses import TrainingData, batch_loss, bundle_similarities
from engine.training.validation import Baselines, Validation, baselines_of, validate
from engine.training.warm_start import warm_start

CHECKPOINT_EVERY = 500
REPORT_EVERY = 10


class TrainingFailed(Exception):
    """A loss or a gradient became infinite or not a number; the last checkpoint before it is kept."""


def train(
    head: Head,
    states: TokenStates,
    dataset: Dataset,
    settings: Settings,
    folder: RunFolder,
    run_fingerprint: str,
) -> Generator[Body, None, Position]:
    """Train ``head`` in place and leave it with the weights of its best measurement, by ``selection_score``.

    It is measured after the warm start, at step 0, and at the ``measurement_steps``. When ``folder`` holds a checkpoint
    with the same ``run_fingerprint``, training resumes from it, bit for bit as if it had never stopped.

    Args:
        states: token states of everything that ``encoder_inputs_of`` names for ``dataset``.
        run_fingerprint: of everything that determines this run.

    Returns:
        The final position, with the best step and the optimizer steps in all.

    Raises:
        BadInput: the checkpoint in ``folder`` belongs to another run, or no bundle has anything to be compared with.
        TrainingFailed: a loss or a gradient was not finite.
    """
    recipe, bundles, frozen = settings.training, dataset.train, frozen_all(head, states)
    sense_text, glosses = settings.model.sense_text, dataset.glosses if recipe.gloss_weight else ()
    data = TrainingData(states, frozen, BundleArrays.from_bundles(bundles, states, sense_text, glosses))
    dev = DevelopmentData.from_records(dataset.dev, dataset.development, states, sense_text, glosses)
    _check_comparable(data.bundles, dev.bundles)
    # of the development bundles once, because they cost more than the head's at each measurement
    baselines, dev_frozen = baselines_of(states, dev), bundle_similarities(frozen[dev.rows], dev.bundles)
    tiers = [bundle.tier for bundle in bundles]
    sampler = EpochSampler(sampling_weights(tiers, settings.curriculum), recipe.batch_size, settings.seed)
    total_steps = recipe.total_steps(sampler.batches)
    due = measurement_steps(total_steps, recipe.measurements)
    optimizer = AdamW(head, recipe.weight_decay, head.encoder_parameters())
    train_state = TrainState(head, {}, optimizer, torch.Generator(states.device).manual_seed(settings.seed))

    def checkpoint(position: Position) -> Checkpoint:
        return Checkpoint(position.step, position.epoch, save_checkpoint(folder, train_state.tensors(), position))

    def measure(position: Position) -> Generator[Body, None, Position]:
        validation = validate(head, states, dev_frozen, dev, recipe)
        exposures = tier3_exposures(position.step * recipe.batch_size, tiers, settings.curriculum)
        position = yield from _keep_if_best(position, train_state, validation, baselines, exposures)
        yield checkpoint(position)
        return position

    if resumed := load_checkpoint(folder, run_fingerprint):
        tensors, position = resumed
        train_state.restore(tensors)
    else:
        yield from _warm_start(train_state, data, settings)
        position = yield from measure(Position(run_fingerprint, total_steps, sampler.batches))

    yield Stage(
        "train", f"{len(bundles)} bundles, {recipe.budget}{f', resumed at step {position.step}' if resumed else ''}"
    )
    if position.step == 0:
        yield from _dilution_warning(total_steps * recipe.batch_size, tiers, settings.curriculum)
        if recipe.gloss_weight and not _has_glosses(data.bundles):
            yield Warning("no_glosses", "no gloss of a training bundle's sense is known: gloss_weight has no effect")

    for epoch in range(position.step // sampler.batches + 1, -(-total_steps // sampler.batches) + 1):
        skip, left = position.step % sampler.batches, total_steps - position.step
        for indices in islice(sampler.epoch(epoch, skip), left):  # the last epoch ends early where the steps do
            loss, counts = batch_loss(head, data, indices.to(states.device), recipe, train_state.dropout)
            optimizer.zero_gradient()
            loss.backward()  # type: ignore[no-untyped-call]
            norm = optimizer.clip_gradient(recipe.gradient_clip)
            # one transfer from the device per step: counts are exact in double precision
            loss_value, norm_value, hard_pairs, negative_gaps, *tier_counts = torch.cat(
                [torch.stack([loss.detach(), norm]).double(), counts]
            ).tolist()
            step = position.step + 1
            # before the update, so that the weights and the last checkpoint stay good
            if not math.isfinite(loss_value + norm_value):
                yield from _fail(step, f"step {step}: loss {loss_value}, gradient {norm_value}")
            rate, encoder_rate = learning_rates(position.step, total_steps, recipe)
            optimizer.step(rate, encoder_rate)

            drawn = {name: int(count) for name, count in zip(TIER_NAMES, tier_counts, strict=True) if count}
            yield Step(step, total_steps, epoch, loss_value, rate, drawn)
            position, warnings = _advance(position, loss_value, int(hard_pairs), int(negative_gaps))
            yield from warnings
            if step in due:
                position = yield from measure(position)
            elif step % CHECKPOINT_EVERY == 0 or step % sampler.batches == 0:
                yield checkpoint(position)

    head.load_state_dict(train_state.best)
    return position


def measurement_steps(total_steps: int, measurements: int) -> tuple[int, ...]:
    """The steps after which a run is measured, evenly spread, the last one among them; in short runs every step."""
    steps = {total_steps * number // measurements for number in range(1, measurements + 1)}
    return tuple(sorted(steps - {0}))


def _keep_if_best(
    position: Position,
    train_state: TrainState,
    validation: Validation,
    baselines: Baselines,
    exposures: float | None,
) -> Generator[Body, None, Position]:
    """Keep the head if its ``validation`` is the best so far, and report the measurement; the first of equal ones stays."""
    if not math.isfinite(validation.loss):
        yield from _fail(position.step, f"development loss at step {position.step}: {validation.loss}")
    scores, pooled = validation.scores, baselines.mean_pool
    if not train_state.best or scores.selection > position.best_score:
        train_state.keep_as_best()
        name = selection_score_name(scores.sets)
        position = replace(position, best_step=position.step, best_score=scores.selection, score_name=name)
    yield Measurement(
        step=position.step,
        total_steps=position.total_steps,
        epoch=position.epoch,
        top1=scores.ranking.top1,
        margin=scores.ranking.margin,
        loss=validation.loss,
        tiers=scores.ranking.tiers,
        attention_entropy=validation.attention_entropy,
        mean_pool_top1=pooled.ranking.top1,
        score=scores.selection,
        mean_pool_score=pooled.selection,
        score_name=position.score_name,
        best_step=position.best_step,
        sets=scores.sets,
        mean_pool_sets=pooled.sets,
        tier3_exposures=exposures,
        chance=baselines.chance,
        mean_pool_tiers=pooled.ranking.tiers,
    )
    return position


def _dilution_warning(draws: int, tiers: Sequence[str | None], curriculum: Curriculum) -> Iterator[Warning]:
    exposures = tier3_exposures(draws, tiers, curriculum)
    if exposures is not None and (warning := dilution(exposures, draws / tiers.count(ADVERSARIAL))):
        yield warning


def _warm_start(train_state: TrainState, data: TrainingData, settings: Settings) -> Iterator[Stage | Progress]:
    total = settings.training.warm_start_steps
    if not train_state.head.needs_warm_start:
        return
    yield Stage("warm_start", f"{total} steps of matching mean pooling" if total else "set up as mean pooling")
    for done in warm_start(train_state.head, train_state.optimizer, data, settings.training, settings.seed):
        if done % REPORT_EVERY == 0 or done == total:
            yield Progress(done, total, "steps")


def _advance(position: Position, loss: float, hard_pairs: int, negative_gaps: int) -> tuple[Position, list[Warning]]:
    """The position after one more step, and the guardrails' warnings about that step."""
    step = position.step + 1
    hard_pairs, negative_gaps = position.hard_pairs + hard_pairs, position.negative_gaps + negative_gaps
    spike = loss_spike(loss, position.recent_losses, step)
    early = early_warning(negative_gaps, hard_pairs, step, position.total_steps)
    if early:  # each early warning counts the steps since the one before
        hard_pairs = negative_gaps = 0
    position = replace(
        position,
        step=step,
        recent_losses=(*position.recent_losses, loss)[-SPIKE_WINDOW:],
        hard_pairs=hard_pairs,
        negative_gaps=negative_gaps,
    )
    return position, [warning for warning in (spike, early) if warning]


def _check_comparable(bundles: BundleArrays, dev: BundleArrays) -> None:
    """Refuse data with which training would end without an error, having learned or measured nothing."""
    if not any(bool(direction.mask.any()) for direction in both_directions(bundles)):
        raise BadInput(
            "no training bundle has a sibling of the kind of its anchor or positive (sentence or definition)"
        )
    if not bool(sentence_direction(dev).mask.any()):
        raise BadInput("no development bundle has a sibling sentence, so heads cannot be compared")


def _has_glosses(bundles: BundleArrays) -> bool:
    return any(bool(direction.mask.any()) for direction in gloss_directions(bundles))


def _fail(step: int, message: str) -> Generator[Warning, None, NoReturn]:
    yield Warning("non_finite", message, step)
    raise TrainingFailed(message)
