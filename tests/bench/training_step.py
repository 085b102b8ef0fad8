"""Training steps of both heads against plain matrix products of as many operations, in turn, on one CPU thread."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from engine.contract.experiment import ModelSettings, Training
from engine.encoder.encoder_input import EncoderInput
from engine.encoder.token_states import TokenStates
from engine.model.architecture import new_head
from engine.model.embedding import frozen_all
from engine.model.head import Head
from engine.training.adamw import AdamW
from engine.training.bundle_arrays import MAX_GLOSSES, BundleArrays
from engine.training.losses import TrainingData, batch_loss
from tests.bench.row import Row, row

PAIRS = 20
LAYERS, WIDTH = 2, 768
BATCH, SIBLINGS, GLOSSES = 128, 6, MAX_GLOSSES
TEXTS_PER_BUNDLE = 8  # of which the batch's 1,000 distinct texts come, as in condition A of the full experiment
RECIPE = Training(pull_weight=30.0, gloss_weight=1.0)
SIDE = 1024


def random_data(head: Head) -> TrainingData:
    """Texts as long as WordNet's are, a bundle's own anchor, positive, siblings and glosses, half of the places padded."""
    draw = Generator().manual_seed(0)
    count = BATCH * TEXTS_PER_BUNDLE
    lengths = torch.randint(7, 20, (count,), generator=draw)
    tokens = int(lengths.sum())
    inputs = [EncoderInput(f"text {number}", is_gloss=number % TEXTS_PER_BUNDLE > 4) for number in range(count)]
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    table = torch.randn(tokens, WIDTH, generator=draw).half()
    states = TokenStates(inputs, table, offsets, torch.zeros(tokens, 2, dtype=torch.int32), LAYERS)
    # of each bundle: anchor, positive, three siblings, its gloss, two glosses of other senses
    first = torch.arange(0, count, TEXTS_PER_BUNDLE)
    sentence = torch.zeros(BATCH, dtype=torch.bool)
    siblings, sibling_mask = _places(first, range(2, 5), SIBLINGS)
    others, other_mask = _places(first, range(6, 8), GLOSSES)
    bundles = BundleArrays(
        anchor=first,
        positive=first + 1,
        siblings=siblings,
        sibling_mask=sibling_mask,
        tier=torch.full((BATCH,), -1),
        anchor_gloss=sentence,
        positive_gloss=sentence,
        sibling_gloss=torch.zeros(BATCH, SIBLINGS, dtype=torch.bool),
        sense=first + 5,
        other_senses=others,
        other_sense_mask=other_mask,
    )
    return TrainingData(states, frozen_all(head, states), bundles)


def _places(first: Tensor, chosen: range, places: int) -> tuple[Tensor, Tensor]:
    """Rows (B, places) of the texts ``chosen`` of each bundle, padded with its first, and which are not padding."""
    shift = torch.tensor([*chosen, *[0] * (places - len(chosen))])
    return first.unsqueeze(1) + shift, (shift > 0).expand(BATCH, places)


def sense_head_operations(texts: int, tokens: int) -> float:
    """Of its linear layers and weighted sum, forward and backward; no gradient of token states is needed."""
    scorer, pooling = 4 * tokens * (WIDTH + 1) * (WIDTH // 4), 4 * tokens * WIDTH
    return scorer + pooling + 6 * texts * WIDTH * (WIDTH + 256)


def residual_head_operations(texts: int, tokens: int) -> float:
    """Of its linear layers, forward and backward; no gradient of the start is needed."""
    return 10 * texts * 2 * WIDTH * 256


def compare(model: ModelSettings, operations: Callable[[int, int], float], goal: float) -> Row:
    torch.set_num_threads(1)
    head = new_head(model, WIDTH, LAYERS, 0)
    data, optimizer, dropout = random_data(head), AdamW(head, RECIPE.weight_decay), Generator().manual_seed(0)
    bundles, left, right = torch.arange(BATCH), torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    product, total = torch.empty(SIDE, SIDE), operations(len(data.states.inputs), len(data.states.table))

    def step() -> None:
        loss, _ = batch_loss(head, data, bundles, RECIPE, dropout)
        optimizer.zero_gradient()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.clip_gradient(RECIPE.gradient_clip)
        optimizer.step(RECIPE.learning_rate)

    def seconds(work: Callable[[], object]) -> float:
        start = time.process_time()  # of the processor, because other processes may run beside this one
        work()
        return time.process_time() - start

    def plain() -> float:
        return seconds(lambda: torch.mm(left, right, out=product)) * total / (2 * SIDE**3)

    step()
    plain()
    pairs = [(seconds(step), plain()) for _ in range(PAIRS)]
    note = (
        f"peer: {total / 1e9:.1f} GFLOP of {SIDE} x {SIDE} products; {BATCH} bundles, {len(data.states.inputs)} texts"
    )
    return row(f"training step, {model.architecture}", pairs, goal, note)


def sense_head() -> Row:
    """Its goal is half of the machine's matrix rate."""
    return compare(ModelSettings(), sense_head_operations, 2.0)


def residual_head() -> Row:
    """It has a fifth of the SenseHead's products, so that all that is not a product weighs more."""
    return compare(ModelSettings(architecture="residual", hidden_size=256), residual_head_operations, 5.0)
