"""AdamW on a module's parameters as one flat vector, and the cosine learning rate schedule.

A flat vector needs few kernels per step. ``torch.optim`` is avoided because creating an optimizer imports torch's
compiler, which takes longer than a short run trains.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

BETAS = (0.9, 0.999)
EPSILON = 1e-8


def cosine_learning_rate(step: int, total_steps: int, peak: float, final_ratio: float) -> float:
    """Learning rate of ``step`` (0 is the first of ``total_steps``): ``peak`` at first, ``peak * final_ratio`` at last."""
    progress = min(1.0, step / max(1, total_steps - 1))
    return peak * (final_ratio + (1.0 - final_ratio) * 0.5 * (1.0 + math.cos(math.pi * progress)))


class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2), on every parameter of ``module``.

    The module's parameters, and their gradients, become views of one vector each. So move the module to its device
    before, and never give it a second optimizer.

    Attributes:
        mean, square: (P,) running means of the gradient and of its square.
        steps: steps taken.
    """

    def __init__(self, module: nn.Module, weight_decay: float) -> None:
        self.weight_decay = weight_decay
        self.steps = 0
        parameters = list(module.parameters())
        with torch.no_grad():
            self._parameters = torch.cat([parameter.reshape(-1) for parameter in parameters])
            self._gradients = torch.zeros_like(self._parameters)
            start = 0
            for parameter in parameters:
                end = start + parameter.numel()
                parameter.data = self._parameters[start:end].view_as(parameter)
                parameter.grad = self._gradients[start:end].view_as(parameter)
                start = end
        self.mean = torch.zeros_like(self._parameters)
        self.square = torch.zeros_like(self._parameters)

    def reset(self) -> None:
        """Forget all steps and running means."""
        self.steps = 0
        self.mean.zero_()
        self.square.zero_()

    def zero_gradient(self) -> None:
        # the gradients are views, so they are zeroed in place, never set to None
        self._gradients.zero_()

    def clip_gradient(self, max_norm: float) -> Tensor:
        """Scale the gradient down to L2 norm ``max_norm`` if it is longer; returns its norm before: ()."""
        norm: Tensor = self._gradients.norm()
        self._gradients.mul_((max_norm / (norm + 1e-6)).clamp(max=1.0))
        return norm

    def step(self, rate: float) -> None:
        """One update with learning rate ``rate``."""
        self.steps += 1
        first, second = BETAS
        self.mean.lerp_(self._gradients, 1.0 - first)
        self.square.mul_(second).addcmul_(self._gradients, self._gradients, value=1.0 - second)
        self._parameters.mul_(1.0 - rate * self.weight_decay)
        # both bias corrections of the paper, folded into the denominator and the step size
        denominator = (self.square.sqrt() / math.sqrt(1.0 - second**self.steps)).add_(EPSILON)
        self._parameters.addcdiv_(self.mean, denominator, value=-rate / (1.0 - first**self.steps))

    def tensors(self) -> dict[str, Tensor]:
        """The state, without the parameters."""
        return {"mean": self.mean, "square": self.square, "steps": torch.tensor(self.steps)}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Load what ``tensors`` returned."""
        self.mean.copy_(tensors["mean"])
        self.square.copy_(tensors["square"])
        self.steps = int(tensors["steps"])
