"""A training run's state on disk: tensors in safetensors, the rest in JSON. No pickle."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec
from msgspec import Struct
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from engine.contract.bad_input import BadInput
from engine.contract.durable import write_durably
from engine.contract.run_folder import RunFolder


class Position(Struct, frozen=True):
    """Where a run stands, beside its tensors.

    Attributes:
        inputs: fingerprint of everything that determines the run; another run's checkpoint is refused.
        step: optimizer steps done.
        epoch: the epoch in progress, from 1; epochs + 1 when all are done.
        taken: batches of that epoch that are done.
        best_epoch, best_top1: the epoch with the best development top-1, and its value.
        recent: the last losses, for the spike warning.
        hard_pairs, negative_gaps: counts for the early warning.
    """

    inputs: str
    step: int
    epoch: int
    taken: int
    best_epoch: int
    best_top1: float
    recent: tuple[float, ...] = ()
    hard_pairs: int = 0
    negative_gaps: int = 0


_decode = msgspec.json.Decoder(Position).decode


def save_checkpoint(folder: RunFolder, tensors: Mapping[str, Tensor], position: Position) -> str:
    """Write tensors and position as one durable file, a readable copy of the position beside it.

    Returns:
        SHA-256 of the safetensors file.
    """
    said = msgspec.json.encode(position)
    content = save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, {"position": said.decode()}
    )
    write_durably(folder.checkpoint, content)
    digest = hashlib.sha256(content).hexdigest()
    write_durably(
        folder.checkpoint_state, msgspec.json.format(msgspec.json.encode({"sha256": digest, "position": position}))
    )
    return digest


def load_checkpoint(folder: RunFolder, inputs: str) -> tuple[dict[str, Tensor], Position] | None:
    """The checkpoint in ``folder``, or None when there is none.

    Raises:
        BadInput: it cannot be read, or it belongs to a run with other inputs.
    """
    if not folder.checkpoint.exists():
        return None
    try:
        with safe_open(folder.checkpoint, framework="pt") as file:
            position = _decode((file.metadata() or {}).get("position", ""))
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, msgspec.MsgspecError, OSError) as error:
        raise BadInput(f"not a usable checkpoint: {error}", file=folder.checkpoint) from error
    if position.inputs != inputs:
        raise BadInput("belongs to a run with other settings, data or encoder", file=folder.checkpoint)
    return tensors, position
