"""AdamW over a module's parameters as one flat vector: few kernels a step, and a state of two vectors and a count.

The library's own optimizer would do, but making one imports its compiler, which takes longer than a short run trains.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def cosine(step: int, total_steps: int, peak: float, final_ratio: float) -> float:
    """Learning rate of ``step`` (0 is the first of ``total_steps``): ``peak`` at first, ``peak * final_ratio`` at last."""
    progress = min(1.0, step / max(1, total_steps - 1))
    return peak * (final_ratio + (1.0 - final_ratio) * 0.5 * (1.0 + math.cos(math.pi * progress)))


class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2), on every parameter of ``module``.

    The module's parameters become views of one vector, and so do their gradients: move it to its device first, and give
    a module one optimizer in its life.

    Attributes:
        mean, square: (P,) running means of the gradient and of its square.
        steps: how many were taken.
    """

    def __init__(
        self, module: nn.Module, weight_decay: float, betas: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-8
    ) -> None:
        self.weight_decay = weight_decay
        self.betas = betas
        self.epsilon = epsilon
        self.steps = 0
        parameters = list(module.parameters())
        with torch.no_grad():
            self._values = torch.cat([parameter.reshape(-1) for parameter in parameters])
            self._gradients = torch.zeros_like(self._values)
            start = 0
            for parameter in parameters:
                end = start + parameter.numel()
                parameter.data = self._values[start:end].view_as(parameter)
                parameter.grad = self._gradients[start:end].view_as(parameter)
                start = end
        self.mean = torch.zeros_like(self._values)
        self.square = torch.zeros_like(self._values)

    def forget(self) -> None:
        """Start anew: no step taken, no means kept."""
        self.steps = 0
        self.mean.zero_()
        self.square.zero_()

    def clear(self) -> None:
        """Set every gradient to zero."""
        self._gradients.zero_()

    def clip(self, most: float) -> Tensor:
        """Scale the gradient down to the L2 norm ``most`` if it is longer; returns its norm before, a scalar."""
        norm: Tensor = self._gradients.norm()
        self._gradients.mul_((most / (norm + 1e-6)).clamp(max=1.0))
        return norm

    def step(self, rate: float) -> None:
        """One update with learning rate ``rate``."""
        self.steps += 1
        first, second = self.betas
        self.mean.lerp_(self._gradients, 1.0 - first)
        self.square.mul_(second).addcmul_(self._gradients, self._gradients, value=1.0 - second)
        self._values.mul_(1.0 - rate * self.weight_decay)
        spread = (self.square.sqrt() / math.sqrt(1.0 - second**self.steps)).add_(self.epsilon)
        self._values.addcdiv_(self.mean, spread, value=-rate / (1.0 - first**self.steps))

    def tensors(self) -> dict[str, Tensor]:
        return {"mean": self.mean, "square": self.square, "steps": torch.tensor(self.steps)}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up the state that ``tensors`` gave."""
        self.mean.copy_(tensors["mean"])
        self.square.copy_(tensors["square"])
        self.steps = int(tensors["steps"])
