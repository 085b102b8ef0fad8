"""Reply of a host's agent to a poll: states of runs and new bytes of their files, checked as they are decoded."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from console.hosts.agent.workspace import KEY
from console.sanitize import sanitize_line
from engine.contract.state import RunGpu, RunState
from engine.contract.validation_words import error_in_words


class Chunk(NamedTuple):
    """New bytes of a file: of which run (its folder's name) and launch, a key of ``GROWING``, and from which offset on."""

    run: str
    key: str
    file: str
    offset: int
    content: bytes


class FileSize(NamedTuple):
    """Bytes that a file has on the host; -1 if it cannot be read there."""

    run: str
    key: str
    file: str
    size: int


class PollReply(Struct, frozen=True):
    """A reply as ``console.hosts.agent.poll`` describes it; ``states`` is None where nothing has changed.

    A run's state is decoded on its own, by ``reported_state``: one that is none costs its own run alone.
    """

    digest: str
    chunks: tuple[Chunk, ...]
    sizes: tuple[FileSize, ...]
    states: dict[str, Any] | None = None
    sealed: dict[str, str] = {}
    unnamed: int = 0
    disk_free: int | None = None
    disk_full: bool = False


def reported_state(reported: object) -> RunState:
    """The state of a run, its text safe to show; one that cannot be understood is ``lost``, with the reason."""
    try:
        state = with_safe_texts(msgspec.convert(reported, RunState))
    except (msgspec.ValidationError, ValueError, OverflowError, RecursionError) as error:
        return _not_understood(sanitize_line(error_in_words(error)))
    if not KEY.match(state.key) and (state.key or state.state != "lost"):  # it becomes the name of a folder
        return _not_understood("not a launch key")
    return state


def _not_understood(why: str) -> RunState:
    return RunState("lost", "", reason=f"its state on the host cannot be understood: {why}")


def with_safe_texts(state: RunState) -> RunState:
    """``state`` with a reason and a GPU that are safe to show."""
    gpu = state.gpu and RunGpu(*map(sanitize_line, (state.gpu.uuid, state.gpu.index, state.gpu.name)))
    return replace(state, reason=sanitize_line(state.reason), gpu=gpu)
