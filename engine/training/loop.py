"""The training loop: one generator, from the warm start to the best head, that says what it does in typed events."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple, NoReturn

import torch
from msgspec.structs import replace
from torch import Tensor

from engine.contract.bad_input import BadInput
from engine.contract.events import Body, Checkpoint, Epoch, Progress, Stage, Step, Warning
from engine.contract.experiment import Training
from engine.contract.run_folder import RunFolder
from engine.contract.settings import Settings
from engine.data.records import Bundle
from engine.encoder.token_states import TokenStates
from engine.model.sense_head import SenseHead
from engine.training.adamw import AdamW, cosine
from engine.training.batch_loss import Inputs, batch_loss, target_tokens
from engine.training.bundle_arrays import TIER_NAMES, BundleArrays
from engine.training.checkpoint import Position, load_checkpoint, save_checkpoint
from engine.training.comparison import among_sentences, both_ways
from engine.training.curriculum import EpochSampler, sampling_weights
from engine.training.guardrails import SPIKE_WINDOW, dilution, early_warning, loss_spike
from engine.training.train_state import TrainState
from engine.training.validation import rank, validate
from engine.training.warm_start import warm_start

CHECKPOINT_EVERY = 500
REPORT_EVERY = 10


class TrainingFailed(Exception):
    """A loss or a gradient became infinite or not a number; the last checkpoint before it is kept."""


class Fit(NamedTuple):
    """What training ends with; the head passed in then holds the weights of ``best_epoch``."""

    best_epoch: int
    steps: int


def train(
    head: SenseHead,
    states: TokenStates,
    mean_pool: Tensor,
    bundles: Sequence[Bundle],
    development: Sequence[Bundle],
    settings: Settings,
    folder: RunFolder,
    inputs: str,
) -> Generator[Body, None, Fit]:
    """Train ``head`` in place and leave it with the weights of its best epoch by development top-1.

    Epoch 0 is the head after the warm start, and counts as a candidate. When ``folder`` holds a checkpoint with the
    same ``inputs``, training goes on from there exactly as if it had never stopped.

    Args:
        mean_pool: (texts, H), frozen mean pooling of every text of ``states``.
        inputs: fingerprint of everything that determines this run.

    Raises:
        BadInput: the checkpoint in ``folder`` belongs to another run, or no bundle has anything to be compared with.
        TrainingFailed: a loss or a gradient was not finite.
    """
    recipe = settings.training
    data = _inputs(states, mean_pool, bundles, recipe)
    held_out = BundleArrays.of(development, states)
    _check_comparable(data.bundles, held_out)
    baseline = rank(mean_pool, held_out)
    weights = sampling_weights([bundle.tier for bundle in bundles], settings.curriculum)
    sampler = EpochSampler(weights, recipe.batch_size, settings.seed)
    total_steps = recipe.epochs * sampler.batches
    train_state = TrainState(
        head, {}, AdamW(head, recipe.weight_decay), torch.Generator(states.device).manual_seed(settings.seed)
    )

    def saved(at: Position) -> Checkpoint:
        return Checkpoint(at.step, at.epoch, save_checkpoint(folder, train_state.tensors(), at))

    def after_epoch(at: Position, epoch: int) -> Generator[Body, None, Position]:
        ranking, loss, entropy = validate(head, states, mean_pool, held_out, recipe)
        top1, margin, tiers = ranking
        if not math.isfinite(loss):
            yield from _fail(at.step, f"development loss after epoch {epoch}: {loss}")
        if not train_state.best or top1 > at.best_top1:
            train_state.keep_as_best()
            at = replace(at, best_epoch=epoch, best_top1=top1)
        yield Epoch(epoch, at.step, top1, margin, loss, tiers, entropy, baseline.top1)
        at = replace(at, epoch=epoch + 1, taken=0)
        yield saved(at)
        return at

    if resumed := load_checkpoint(folder, inputs):
        train_state.restore(resumed[0])
        at = resumed[1]
    else:
        yield from _warm_start(train_state, data, settings)
        at = yield from after_epoch(Position(inputs, step=0, epoch=0, taken=0, best_epoch=0, best_top1=-1.0), 0)

    yield Stage("train", f"{len(bundles)} bundles, {recipe.epochs} epochs")
    if at.step == 0:
        yield from _dilution(total_steps * recipe.batch_size, weights, bundles)

    for epoch in range(at.epoch, recipe.epochs + 1):
        for chosen in sampler.epoch(epoch, at.taken):
            loss, watched = batch_loss(head, data, chosen.to(states.device), recipe, train_state.dropout)
            train_state.optimizer.clear()
            loss.backward()  # type: ignore[no-untyped-call]
            slope = train_state.optimizer.clip(recipe.gradient_clip)
            # one transfer a step: counts are exact in double precision
            value, length, *counts = torch.cat([torch.stack([loss.detach(), slope]).double(), watched]).tolist()
            step = at.step + 1
            if not math.isfinite(value + length):
                yield from _fail(step, f"step {step}: loss {value}, gradient {length}")
            rate = cosine(at.step, total_steps, recipe.learning_rate, recipe.final_learning_rate_ratio)
            train_state.optimizer.step(rate)

            pairs, negative, *kinds = map(int, counts)
            at, warnings = _after_step(at, value, pairs, negative)
            mix = {name: count for name, count in zip(TIER_NAMES, kinds, strict=True) if count}
            yield Step(step, total_steps, epoch, value, rate, mix)
            yield from warnings
            if step % CHECKPOINT_EVERY == 0 and at.taken < sampler.batches:
                yield saved(at)
        at = yield from after_epoch(at, epoch)

    head.load_state_dict(train_state.best)
    return Fit(at.best_epoch, at.step)


def _inputs(states: TokenStates, mean_pool: Tensor, bundles: Sequence[Bundle], recipe: Training) -> Inputs:
    on_target = target_tokens(bundles, states) if recipe.target_penalty else None
    return Inputs(states, mean_pool, BundleArrays.of(bundles, states), on_target)


def _check_comparable(training: BundleArrays, development: BundleArrays) -> None:
    """A run without one such comparison would end well and have learned, or measured, nothing."""
    if not any(bool(way.comparable.any()) for way in both_ways(training)):
        raise BadInput(
            "no training bundle has a sibling of the kind of its anchor or positive (sentence or definition)"
        )
    if not bool(among_sentences(development).comparable.any()):
        raise BadInput("no development bundle has a sibling sentence, so epochs cannot be told apart")


def _fail(step: int, message: str) -> Generator[Warning, None, NoReturn]:
    yield Warning("non_finite", message, step)
    raise TrainingFailed(message)


def _dilution(draws: int, weights: Tensor, bundles: Sequence[Bundle]) -> Iterator[Warning]:
    if warning := dilution(draws, weights.tolist(), [bundle.tier == "tier3_adversarial" for bundle in bundles]):
        yield warning


def _warm_start(train_state: TrainState, data: Inputs, settings: Settings) -> Iterator[Stage | Progress]:
    total = settings.training.warm_start_steps
    yield Stage("warm_start", f"{total} steps of matching mean pooling")
    for done in warm_start(train_state.head, train_state.optimizer, data, settings.training, settings.seed):
        if done % REPORT_EVERY == 0 or done == total:
            yield Progress(done, total, "steps")


def _after_step(at: Position, loss: float, pairs: int, negative: int) -> tuple[Position, Iterator[Warning]]:
    """The position after a step, and what the guardrails have to say about it."""
    step, pairs, negative = at.step + 1, at.hard_pairs + pairs, at.negative_gaps + negative
    warnings = (loss_spike(loss, at.recent, step), early := early_warning(negative, pairs, step))
    if early:
        pairs = negative = 0
    recent = (*at.recent, loss)[-SPIKE_WINDOW:]
    at = replace(at, step=step, taken=at.taken + 1, recent=recent, hard_pairs=pairs, negative_gaps=negative)
    return at, (warning for warning in warnings if warning)
