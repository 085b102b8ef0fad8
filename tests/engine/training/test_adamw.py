"""AdamW on a flat vector against torch.optim; the learning rate schedule."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from engine.training.adamw import AdamW, cosine_learning_rate
from tests.engine.samples import DEVICES


def small_module() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(8, 7), nn.Tanh(), nn.Linear(7, 6))


def loss_of(module: nn.Module, step: int, device: str = "cpu") -> Tensor:
    generator = torch.Generator().manual_seed(step)
    inputs, target = torch.randn(9, 8, generator=generator), torch.randn(9, 6, generator=generator)
    loss: Tensor = (10 * (module(inputs.to(device)) - target.to(device)) ** 2).sum()
    return loss


@pytest.mark.parametrize("device", DEVICES)
def test_steps_equal_those_of_torch_with_clipping(device: str) -> None:
    module = small_module().to(device)
    reference = copy.deepcopy(module)
    optimizer, library = AdamW(module, 0.1), torch.optim.AdamW(reference.parameters(), weight_decay=0.1)
    for step in range(20):
        rate = 0.01 / (1 + step)
        optimizer.zero_gradient()
        loss_of(module, step, device).backward()  # type: ignore[no-untyped-call]
        optimizer.clip_gradient(1.0)
        optimizer.step(rate)
        library.param_groups[0]["lr"] = rate
        library.zero_grad()
        loss_of(reference, step, device).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(reference.parameters(), 1.0)
        library.step()
    for one, other in zip(module.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_a_short_gradient_is_not_scaled_up() -> None:
    module = small_module()
    optimizer = AdamW(module, 0.0)
    (loss_of(module, 0) * 1e-6).backward()  # type: ignore[no-untyped-call]
    before = next(module.parameters()).grad
    assert before is not None
    kept = before.clone()
    optimizer.clip_gradient(1.0)
    torch.testing.assert_close(next(module.parameters()).grad, kept)


def test_its_state_can_be_restored_and_reset() -> None:
    modules = [small_module() for _ in range(2)]
    first, second = (AdamW(module, 0.1) for module in modules)
    loss_of(modules[0], 0).backward()  # type: ignore[no-untyped-call]
    first.step(0.1)
    modules[1].load_state_dict(modules[0].state_dict())
    second.restore({name: value.clone() for name, value in first.tensors().items()})
    for module, optimizer in zip(modules, (first, second), strict=True):
        optimizer.zero_gradient()
        loss_of(module, 1).backward()  # type: ignore[no-untyped-call]
        optimizer.step(0.1)
    assert all(torch.equal(*pair) for pair in zip(*(module.parameters() for module in modules), strict=True))
    first.reset()
    assert first.steps == 0
    assert not bool(first.mean.any() or first.square.any())


@given(total=st.integers(2, 500), ratio=st.floats(0.0, 1.0))
def test_the_learning_rate_falls_from_the_peak_to_a_fraction_of_it(total: int, ratio: float) -> None:
    rates = [cosine_learning_rate(step, total, 2.0, ratio) for step in range(total)]
    assert rates[0] == pytest.approx(2.0)
    assert rates[-1] == pytest.approx(2.0 * ratio)
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(rates))


def test_a_single_step_takes_the_peak_and_halfway_is_the_middle() -> None:
    assert cosine_learning_rate(0, 1, 3.0, 0.1) == pytest.approx(3.0)
    assert cosine_learning_rate(50, 101, 1.0, 0.1) == pytest.approx(0.55)
