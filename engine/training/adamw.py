"""AdamW on a module's parameters as one flat vector, and the cosine learning rate schedule.

A flat vector needs few kernels per step. ``torch.optim`` is avoided because creating an optimizer imports torch's
compiler, which takes longer than a short run trains.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engine.contract.experiment import Training

BETAS = (0.9, 0.999)
EPSILON = 1e-8


def cosine_learning_rate(step: int, total_steps: int, peak: float, final_ratio: float) -> float:
    """Learning rate of ``step`` (0 is the first of ``total_steps``): ``peak`` at first, ``peak * final_ratio`` at last."""
    progress = min(1.0, step / max(1, total_steps - 1))
    return peak * (final_ratio + (1.0 - final_ratio) * 0.5 * (1.0 + math.cos(math.pi * progress)))


def learning_rates(step: int, total_steps: int, settings: Training) -> tuple[float, float]:
    """Learning rates of ``step``, of the head and of trained encoder layers: the latter's cosine has a linear warm-up."""
    ratio, warm_up = settings.final_learning_rate_ratio, settings.warm_up_steps
    head, encoder = (
        cosine_learning_rate(step, total_steps, peak, ratio)
        for peak in (settings.learning_rate, settings.encoder_learning_rate)
    )
    # an encoder's first gradients come from a head that knows nothing yet, and would undo what it has learned before
    return head, encoder * min(1.0, (step + 1) / warm_up) if warm_up else encoder


class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2), on every trained parameter of ``module``.

    The module's parameters, and their gradients, become views of one vector each. So move the module to its device
    before, and never give it a second optimizer.

    Args:
        encoder_parameters: those of ``module``'s parameters that have a learning rate of their own.

    Attributes:
        mean, square: (P,) running means of the gradient and of its square.
        steps: steps taken.
    """

    def __init__(self, module: nn.Module, weight_decay: float, encoder_parameters: Sequence[nn.Parameter] = ()) -> None:
        self.weight_decay = weight_decay
        self.steps = 0
        of_encoder = set(map(id, encoder_parameters))
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        of_head = [parameter for parameter in trained if id(parameter) not in of_encoder]
        parameters = [*of_head, *encoder_parameters]
        self._head_size = sum(parameter.numel() for parameter in of_head)
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
        """Set the gradient of every trained parameter to zero."""
        # the gradients are views, so they are zeroed in place, never set to None
        self._gradients.zero_()

    def clip_gradient(self, max_norm: float) -> Tensor:
        """Scale the gradient down to L2 norm ``max_norm`` if it is longer; returns its norm before: ()."""
        norm: Tensor = self._gradients.norm()
        self._gradients.mul_((max_norm / (norm + 1e-6)).clamp(max=1.0))
        return norm

    def step(self, rate: float, encoder_rate: float = 0.0) -> None:
        """One update with learning rate ``rate``, of the encoder's parameters ``encoder_rate``; 0 leaves them alone."""
        self.steps += 1
        first, second = BETAS
        self.mean.lerp_(self._gradients, 1.0 - first)
        self.square.mul_(second).addcmul_(self._gradients, self._gradients, value=1.0 - second)
        # both bias corrections of the paper, folded into the denominator and the step size
        denominator = (self.square.sqrt() / math.sqrt(1.0 - second**self.steps)).add_(EPSILON)
        head, encoder = slice(None, self._head_size), slice(self._head_size, None)
        for part, part_rate in ((head, rate), (encoder, encoder_rate)):
            self._parameters[part].mul_(1.0 - part_rate * self.weight_decay)
            step_size = part_rate / (1.0 - first**self.steps)
            self._parameters[part].addcdiv_(self.mean[part], denominator[part], value=-step_size)

    def tensors(self) -> dict[str, Tensor]:
        """The state, without the parameters."""
        return {"mean": self.mean, "square": self.square, "steps": torch.tensor(self.steps)}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Load what ``tensors`` returned."""
        self.mean.copy_(tensors["mean"])
        self.square.copy_(tensors["square"])
        self.steps = int(tensors["steps"])
