"""The training loop: it learns, keeps the best head it measured, yields events, and resumes bit for bit."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from msgspec.structs import replace
from torch import Tensor

from engine.contract.bad_input import BadInput
from engine.contract.events import Body, Checkpoint, Measurement, Progress, Stage, Step, Warning
from engine.contract.experiment import Curriculum, ModelSettings, Training
from engine.contract.run_folder import RunFolder
from engine.model.architecture import new_head
from engine.model.head import Head
from engine.model.sense_head import SenseHead
from engine.pipeline.event_log import line_of
from engine.training import loop
from engine.training.checkpoint import Position
from engine.training.curriculum import tier3_exposures
from engine.training.development import DevelopmentData, selection_score
from engine.training.loop import TrainingFailed, measurement_steps, train
from engine.training.losses import bundle_similarities
from engine.training.validation import chance_scores, score, validate
from tests.engine.samples import DEVICES, MODEL, SENSE_TEXT, SenseTask, dataset_of, event, mean_pool_all, settings

EPOCHS = 4
RECIPE = Training(epochs=EPOCHS, batch_size=5, learning_rate=3e-3, warm_start_steps=12, target_penalty=0.1)
PARTIAL = replace(RECIPE, epochs=None, steps=12)  # two epochs of five batches, and two batches of a third
WITH_GLOSSES = replace(RECIPE, gloss_weight=0.5)
RESIDUAL = replace(MODEL, architecture="residual", hidden_size=16)
OVERSAMPLE = Curriculum(tier2_robust=2.0, tier3_adversarial=4.0)


class Trained(NamedTuple):
    head: Head
    events: list[Body]
    result: Position | None


def training(
    task: SenseTask,
    folder: Path,
    recipe: Training,
    fingerprint: str = "run",
    device: str = "cpu",
    model: ModelSettings = MODEL,
) -> tuple[Head, Generator[Body, None, Position]]:
    head = new_head(model, task.states.width, 1, seed=1).to(device)
    run_settings = replace(settings(recipe, OVERSAMPLE), model=model)
    return head, train(head, task.states, dataset_of(task), run_settings, RunFolder(folder), fingerprint)


def run(
    task: SenseTask,
    folder: Path,
    recipe: Training = RECIPE,
    stop_after: int | None = None,
    device: str = "cpu",
    model: ModelSettings = MODEL,
) -> Trained:
    """Train to the end, or stop like a killed process when ``stop_after`` steps are done."""
    head, running = training(task, folder, recipe, device=device, model=model)
    events: list[Body] = []
    while True:
        try:
            events.append(next(running))
        except StopIteration as end:
            return Trained(head, events, end.value)
        if isinstance(events[-1], Step) and events[-1].step == stop_after:
            running.close()
            return Trained(head, events, None)


def measurements(done: Trained) -> list[Measurement]:
    return [body for body in done.events if isinstance(body, Measurement)]


def weights(head: Head) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in head.state_dict().items()}


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", [MODEL, RESIDUAL], ids=lambda model: model.architecture)
def test_it_learns_what_mean_pooling_cannot_see(tmp_path: Path, model: ModelSettings, device: str) -> None:
    done = run(SenseTask(device=device), tmp_path, device=device, model=model)
    measured = measurements(done)
    assert [(one.step, one.epoch) for one in measured] == [(2 * at, 2 * at / 5) for at in range(11)]
    assert {one.total_steps for one in measured} == {20}
    assert max(one.top1 for one in measured) > measured[0].mean_pool_top1 + 0.15
    assert max(one.sets[0].top1 for one in measured) > measured[0].mean_pool_sets[0].top1 + 0.15  # type: ignore[operator, type-var]
    assert measured[-1].loss < measured[0].loss


def test_events_are_in_order(tmp_path: Path) -> None:
    task = SenseTask()
    done = run(task, tmp_path)
    batches = -(-len(task.train) // RECIPE.batch_size)
    steps = [body for body in done.events if isinstance(body, Step)]
    assert [step.step for step in steps] == list(range(1, EPOCHS * batches + 1))
    assert {step.total_steps for step in steps} == {EPOCHS * batches}
    assert sum(sum(step.tiers.values()) for step in steps) == EPOCHS * len(task.train)
    assert steps[0].learning_rate == pytest.approx(RECIPE.learning_rate)
    assert steps[-1].learning_rate == pytest.approx(RECIPE.learning_rate * 0.1)
    assert [body.name for body in done.events if isinstance(body, Stage)] == ["warm_start", "train"]
    assert [body.done for body in done.events if isinstance(body, Progress)] == [10, 12]
    # at each of the ten measurements, and at the ends of the epochs that lie between two
    assert [body.step for body in done.events if isinstance(body, Checkpoint)] == sorted({*range(0, 21, 2), 5, 15})
    dilution = [body for body in done.events if isinstance(body, Warning) and body.kind == "dilution"]
    assert len(dilution) == 1
    assert done.result is not None
    assert done.result.step == len(steps)


@pytest.mark.parametrize(("steps", "per_epoch"), [(12, [5, 5, 2]), (10, [5, 5]), (3, [3])])
def test_a_budget_in_steps_ends_within_an_epoch(tmp_path: Path, steps: int, per_epoch: list[int]) -> None:
    done = run(SenseTask(), tmp_path, replace(PARTIAL, steps=steps))
    taken = [body for body in done.events if isinstance(body, Step)]
    assert [body.step for body in taken] == list(range(1, steps + 1)) and {body.total_steps for body in taken} == {
        steps
    }
    assert [sum(body.epoch == epoch for body in taken) for epoch in range(1, len(per_epoch) + 1)] == per_epoch
    assert taken[-1].learning_rate == pytest.approx(RECIPE.learning_rate * 0.1)
    assert measurements(done)[-1].step == steps
    assert done.result is not None and done.result.is_finished and done.result.epoch == steps / 5


def test_the_head_ends_with_the_weights_of_its_best_measurement(tmp_path: Path) -> None:
    task = SenseTask()
    done = run(task, tmp_path)
    measured = measurements(done)
    assert done.result is not None
    best = next(one for one in measured if one.step == done.result.best_step)
    assert best.score == done.result.best_score == max(one.score for one in measured)
    assert best.step == min(one.step for one in measured if one.score == best.score)
    assert done.result.best_epoch == best.epoch and done.result.score_name == best.score_name
    for at, one in enumerate(measured):
        assert one.score == selection_score(one.top1, one.sets)
        assert one.best_step == max(measured[: at + 1], key=lambda earlier: earlier.score).step
    held_out = DevelopmentData.from_records(task.dev, task.sets, task.states, SENSE_TEXT)
    pooled = mean_pool_all(task.states)
    frozen = bundle_similarities(pooled[held_out.rows], held_out.bundles)
    again = validate(done.head, task.states, frozen, held_out, RECIPE)
    assert (again.scores.ranking.top1, again.scores.ranking.margin) == (best.top1, best.margin)
    assert (again.scores.sets, again.attention_entropy) == (best.sets, best.attention_entropy)
    baseline = score(pooled[held_out.rows], held_out)
    assert (best.mean_pool_top1, best.mean_pool_sets) == (baseline.ranking.top1, baseline.sets)
    assert best.mean_pool_score == baseline.selection
    assert (best.mean_pool_tiers, best.chance) == (baseline.ranking.tiers, chance_scores(held_out))


def test_without_development_sets_top1_on_the_bundles_chooses(tmp_path: Path) -> None:
    task = SenseTask()
    task.sets = ()
    measured = measurements(run(task, tmp_path))
    assert all((one.score, one.mean_pool_score) == (one.top1, one.mean_pool_top1) for one in measured)
    assert {one.score_name for one in measured} == {"retrieval top-1 (bundles)"}


@pytest.mark.parametrize(
    ("total", "wanted", "steps"),
    [(20, 10, range(2, 21, 2)), (25, 10, [2, 5, 7, 10, 12, 15, 17, 20, 22, 25]), (3, 10, [1, 2, 3]), (7, 1, [7])],
)
def test_measurements_are_spread_evenly_and_end_with_the_last_step(total: int, wanted: int, steps: list[int]) -> None:
    assert measurement_steps(total, wanted) == tuple(steps)


def test_exposures_of_tier3_are_reported_at_every_measurement(tmp_path: Path) -> None:
    task = SenseTask()
    measured = measurements(run(task, tmp_path))
    tiers = [one.tier for one in task.train]
    assert [one.tier3_exposures for one in measured] == [
        tier3_exposures(5 * one.step, tiers, OVERSAMPLE) for one in measured
    ]
    assert measured[0].tier3_exposures == 0.0 and (measured[-1].tier3_exposures or 0) > EPOCHS


def test_a_head_that_gets_no_better_is_left_as_the_warm_start_made_it(tmp_path: Path) -> None:
    still = Training(epochs=2, batch_size=5, learning_rate=1e-9, warm_start_steps=5)
    done = run(SenseTask(), tmp_path, still)
    assert done.result is not None
    assert done.result.best_step == 0


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("model", "recipe"),
    [(MODEL, RECIPE), (MODEL, WITH_GLOSSES), (RESIDUAL, WITH_GLOSSES)],
    ids=["sense_head", "sense_head, gloss loss", "residual, gloss loss"],
)
def test_the_same_settings_give_the_same_bits(
    tmp_path: Path, model: ModelSettings, recipe: Training, device: str
) -> None:
    task = SenseTask(device=device)
    for name in "ab":
        (tmp_path / name).mkdir()
    first, second = (run(task, tmp_path / name, recipe, device=device, model=model) for name in "ab")
    assert first.events == second.events
    assert same(weights(first.head), weights(second.head))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("model", "recipe", "stop_after"),
    [
        *((MODEL, RECIPE, step) for step in (1, 4, 5, 9, 16)),
        *((MODEL, PARTIAL, step) for step in (9, 11, 12)),
        *((RESIDUAL, WITH_GLOSSES, step) for step in (1, 4, 9, 16)),
    ],
)
def test_a_resumed_run_is_the_uninterrupted_run_to_the_last_bit(
    tmp_path: Path,
    model: ModelSettings,
    recipe: Training,
    stop_after: int,
    device: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", 3)
    task = SenseTask(device=device)
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
    whole = run(task, tmp_path / "whole", recipe, device=device, model=model)
    stopped = run(task, tmp_path / "broken", recipe, stop_after=stop_after, device=device, model=model)
    resumed = run(task, tmp_path / "broken", recipe, device=device, model=model)
    assert resumed.result == whole.result
    assert same(weights(resumed.head), weights(whole.head))
    first = next(body.step for body in resumed.events if isinstance(body, Step))
    assert first == max(body.step for body in stopped.events if isinstance(body, Checkpoint)) + 1
    lines = [line_of(body) or "" for body in (*whole.events, *resumed.events)]
    assert [line for line in lines if "resumed" in line] == [
        f"[train] {len(task.train)} bundles, {recipe.budget}, resumed at step {first - 1}"
    ]
    kinds = (Step, Measurement, Checkpoint)
    tail = [body for body in resumed.events if isinstance(body, kinds)]
    assert tail == [body for body in whole.events if isinstance(body, kinds)][-len(tail) :]
    files = [(tmp_path / name / "checkpoint.safetensors").read_bytes() for name in ("whole", "broken")]
    assert files[0] == files[1]


def test_a_finished_run_resumed_only_loads_its_best_head(tmp_path: Path) -> None:
    task = SenseTask()
    done = run(task, tmp_path)
    again = run(task, tmp_path)
    assert again.result == done.result
    assert same(weights(again.head), weights(done.head))
    assert not any(isinstance(body, Step | Checkpoint) for body in again.events)


def test_another_runs_checkpoint_is_refused(tmp_path: Path) -> None:
    task = SenseTask()
    run(task, tmp_path, stop_after=1)
    _, running = training(task, tmp_path, RECIPE, fingerprint="other")
    with pytest.raises(BadInput, match="other settings"):
        next(running)


def test_a_development_loss_that_is_not_finite_stops_the_run_without_a_measurement(tmp_path: Path) -> None:
    once = Training(epochs=1, batch_size=500, learning_rate=1e36, warm_start_steps=0)
    _, running = training(SenseTask(), tmp_path, once)
    events: list[Body] = []
    with pytest.raises(TrainingFailed, match="development loss at step 1: nan"):
        for body in running:
            events.append(body)
    assert [body.step for body in events if isinstance(body, Measurement)] == [0]
    assert isinstance(events[-1], Warning)
    assert (events[-1].kind, events[-1].step) == ("non_finite", 1)


def test_bundles_in_which_nothing_can_be_compared_are_bad_input(tmp_path: Path) -> None:
    task = SenseTask()
    gloss = event("one meaning of 0", source="gloss")
    alone = [replace(held, siblings=(gloss,)) for held in task.train]
    for train_bundles, dev, which in ((alone, task.dev, "training"), (task.train, alone, "development")):
        head = SenseHead(task.states.width, MODEL.embedding_size, seed=1)
        dataset = replace(dataset_of(task), train=tuple(train_bundles), dev=tuple(dev))
        running = train(head, task.states, dataset, settings(RECIPE), RunFolder(tmp_path), "run")
        with pytest.raises(BadInput, match=f"no {which} bundle has a sibling"):
            next(running)


@pytest.mark.parametrize(
    ("recipe", "known", "warns"), [(WITH_GLOSSES, 0, True), (WITH_GLOSSES, 2, False), (RECIPE, 0, False)]
)
def test_a_gloss_loss_without_any_known_gloss_is_a_warning(
    tmp_path: Path, recipe: Training, known: int, warns: bool
) -> None:
    task = SenseTask()
    task.glosses = task.glosses[:known]
    done = run(task, tmp_path, recipe, stop_after=1)
    assert [body.kind for body in done.events if isinstance(body, Warning)].count("no_glosses") == warns


def test_the_gloss_loss_changes_what_is_learned_and_a_residual_head_starts_without_a_warm_start(tmp_path: Path) -> None:
    runs = []
    for name, recipe in (("without", RECIPE), ("with", WITH_GLOSSES)):
        (tmp_path / name).mkdir()
        runs.append(run(SenseTask(), tmp_path / name, recipe, model=RESIDUAL))
    assert not same(weights(runs[0].head), weights(runs[1].head))
    assert [body.name for body in runs[0].events if isinstance(body, Stage)] == ["train"]


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    task = SenseTask()
    head, running = training(task, tmp_path, RECIPE)
    events: list[Body] = []
    with pytest.raises(TrainingFailed, match="step 8: loss nan"):
        for body in running:
            events.append(body)
            if isinstance(body, Step) and body.step == 7:
                assert isinstance(head, SenseHead)
                with torch.no_grad():
                    head.output.weight.fill_(float("nan"))
    assert isinstance(events[-1], Warning)
    assert (events[-1].kind, events[-1].step) == ("non_finite", 8)
    resumed = run(task, tmp_path)
    assert next(body.step for body in resumed.events if isinstance(body, Step)) == 7
