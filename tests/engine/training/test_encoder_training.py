"""Training an encoder's upper layers with the head: both change, reproducibly, at rates of their own, and resume."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from msgspec.structs import replace
from torch import Tensor, nn

from engine.contract.events import Body, Stage, Step
from engine.contract.experiment import EncoderSettings, ModelSettings, Training
from engine.contract.run_folder import RunFolder
from engine.encoder.encoder import Encoder
from engine.encoder.token_cache import TokenCache
from engine.model.architecture import new_head
from engine.model.encoder_head import EncoderHead
from engine.training.adamw import AdamW, cosine_learning_rate, learning_rates
from engine.training.checkpoint import best_weights, load_checkpoint
from engine.training.loop import train
from tests.engine.samples import SenseTask, dataset_of, settings

RECIPE = Training(
    steps=6, batch_size=4, warm_start_steps=2, encoder_learning_rate=1e-3, warm_up_steps=3, measurements=2
)


class Task:
    """Bundles whose texts the tiny encoder reads."""

    def __init__(self, encoder: Path, cache: Path, lora_rank: int = 0) -> None:
        self.task = SenseTask(lemmas=8)
        self.encoder = Encoder(EncoderSettings(str(encoder), (1, 2), trained_layers=1, lora_rank=lora_rank), "cpu")
        self.states = TokenCache(cache, self.encoder).states(self.task.states.inputs)

    def new_head(self, architecture: str) -> EncoderHead:
        model = replace(ModelSettings(embedding_size=8, hidden_size=8), architecture=architecture)
        inner = new_head(model, self.states.width, self.states.layers, 1)
        return EncoderHead(inner, self.encoder.top_layers(1), (1, 2), 1)

    def run(self, head: EncoderHead, folder: Path, stop_after: int | None = None) -> list[Body]:
        """Train to the end, or stop like a killed process when ``stop_after`` steps are done."""
        folder.mkdir(exist_ok=True)
        events: list[Body] = []
        for body in train(head, self.states, dataset_of(self.task), settings(RECIPE), RunFolder(folder), "run"):
            events.append(body)
            if isinstance(body, Step) and body.step == stop_after:
                break
        return events


def weights(head: EncoderHead) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in head.state_dict().items()}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


@pytest.mark.parametrize("architecture", ["sense_head", "residual"])
@pytest.mark.parametrize("lora_rank", [0, 2])
def test_two_runs_are_equal_and_a_resumed_one_too(
    tiny_encoder: Path, tmp_path: Path, architecture: str, lora_rank: int
) -> None:
    task = Task(tiny_encoder, tmp_path / "cache", lora_rank)
    heads = [task.new_head(architecture) for _ in range(4)]
    start = weights(heads[0])
    task.run(heads[0], tmp_path / "first")
    task.run(heads[1], tmp_path / "again")
    task.run(heads[2], tmp_path / "resumed", stop_after=5)
    task.run(heads[3], tmp_path / "resumed")
    contents = {RunFolder(tmp_path / name).checkpoint.read_bytes() for name in ("first", "again", "resumed")}
    assert len(contents) == 1
    assert not changed(weights(heads[0]), weights(heads[3]))
    loaded = load_checkpoint(RunFolder(tmp_path / "first"), "run")
    assert loaded is not None
    last = {name.removeprefix("head."): value for name, value in loaded[0].items() if name.startswith("head.")}
    assert {name.split(".")[0] for name in changed(start, last)} == {"inner", "encoder"}
    evaluated = task.new_head(architecture)
    evaluated.load_state_dict(best_weights(loaded[0]))
    assert not changed(weights(evaluated), weights(heads[0]))


def test_the_warm_start_leaves_the_encoder_as_it_is(tiny_encoder: Path, tmp_path: Path) -> None:
    task = Task(tiny_encoder, tmp_path / "cache")
    head = task.new_head("sense_head")
    start = weights(head)
    at_train = None
    (tmp_path / "run").mkdir()
    for body in train(head, task.states, dataset_of(task.task), settings(RECIPE), RunFolder(tmp_path / "run"), "run"):
        if isinstance(body, Stage) and body.name == "train":
            at_train = weights(head)
            assert {name.split(".")[0] for name in changed(start, at_train)} == {"inner"}
        if isinstance(body, Step) and body.step == 1:
            assert at_train is not None
            assert {name.split(".")[0] for name in changed(at_train, weights(head))} == {"inner", "encoder"}


def test_encoder_parameters_have_a_rate_of_their_own() -> None:
    module = nn.ModuleDict({"encoder": nn.Linear(3, 2), "head": nn.Linear(2, 2)})
    reference = nn.ModuleDict({"encoder": nn.Linear(3, 2), "head": nn.Linear(2, 2)})
    reference.load_state_dict(module.state_dict())
    optimizer = AdamW(module, 0.1, list(module["encoder"].parameters()))
    groups = [{"params": reference[name].parameters(), "lr": rate} for name, rate in (("head", 0.1), ("encoder", 0.01))]
    library = torch.optim.AdamW(groups, weight_decay=0.1)
    for step in range(5):
        inputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
        for modules in (module, reference):
            modules.zero_grad(set_to_none=False)
            modules["head"](modules["encoder"](inputs)).square().sum().backward()
        optimizer.step(0.1, 0.01)
        library.step()
    for one, other in zip(module.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_the_encoders_rate_rises_and_then_falls() -> None:
    recipe = Training(learning_rate=1.0, encoder_learning_rate=2.0, warm_up_steps=10)
    rates = [learning_rates(step, 100, recipe) for step in range(100)]
    of_encoder = [encoder for _, encoder in rates]
    assert [head for head, _ in rates] == [cosine_learning_rate(step, 100, 1.0, 0.1) for step in range(100)]
    assert of_encoder[0] == pytest.approx(0.2)
    assert max(of_encoder) == of_encoder[9] == pytest.approx(2.0, rel=0.03)
    assert of_encoder[-1] == pytest.approx(0.2)
    assert learning_rates(0, 100, replace(recipe, warm_up_steps=0)) == pytest.approx((1.0, 2.0))
