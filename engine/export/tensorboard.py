"""A run's curves as an event file of TensorBoard, written with tensorboardX."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from engine.contract.bad_input import BadInput
from engine.contract.durable import making_dir
from engine.export.curves import Point


def check_tensorboard() -> None:
    """Raise BadInput if tensorboardX is missing."""
    if find_spec("tensorboardX") is None:
        message = "tensorboardX is not installed here: pip install 'qllm-console[tensorboard]'"
        raise BadInput(message, field="--tensorboard")


def write_tensorboard(points: Sequence[Point], folder: Path) -> None:
    """Write ``folder``, whole or not at all, with every value of ``points`` as a scalar."""
    with making_dir(folder) as temporary:
        writer = import_module("tensorboardX").SummaryWriter(str(temporary))
        for point in points:
            for name, value in point.values.items():
                writer.add_scalar(name, value, point.step, walltime=point.unix_time)
        writer.close()
