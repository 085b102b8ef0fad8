"""``state.json`` of a run as the host reads it: checked, so that a broken one costs its own run alone and is named."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from console.hosts.agent.workspace import KEY, BrokenFile, load_json
from engine.contract.run_folder import ACTIVE, ENDED, STATE

MAX_STATE = 64 << 10  # bytes of the file
MAX_TEXT = 1000  # characters of a text that is reported
TEXTS = ("state", "key", "settings", "reason")
COUNTS = ("ticket", "heartbeat", "processes")
TIMES = ("queued_at", "started_at", "ended_at")
PROCESSES = ("supervisor", "job")
GPU_TEXTS = ("uuid", "index", "name")

T = TypeVar("T")


def read_state(run_folder: Path) -> dict[str, Any]:
    """The recorded state of a run.

    Raises:
        FileNotFoundError: nothing was recorded.
        BrokenFile: it cannot be read, or it is not a state.
    """
    state = load_json(run_folder / STATE, MAX_STATE)
    if problem := state_problem(state):
        raise BrokenFile(f"{STATE}: {problem}")
    return state


def valid_state(run_folder: Path) -> dict[str, Any]:
    """The recorded state of a run; empty if there is none that can be read."""
    try:
        return read_state(run_folder)
    except (FileNotFoundError, NotADirectoryError, BrokenFile):
        return {}


def state_problem(state: dict[str, Any]) -> str:
    """Why ``state`` is not the state of a run; "" if it is one."""
    if not isinstance(state.get("state"), str) or state["state"] not in ACTIVE | ENDED:
        return f"not the state of a run: {str(state.get('state'))[:40]!r}"
    if not isinstance(state.get("key"), str) or not KEY.match(state["key"]):
        return f"not a launch key: {str(state.get('key'))[:40]!r}"
    for name, value in state.items():
        is_valid = CHECKS.get(name)
        if is_valid is not None and not is_valid(value):
            return f"not a value of {name}: {str(value)[:40]!r}"
    return ""


def reported(state: dict[str, Any]) -> dict[str, Any]:
    """``state`` as polls report it: the fields of a state alone, their texts cut, so that its size is bounded."""
    known = {name: state[name] for name in (*COUNTS, *TIMES, "exit_code", "supervised") if name in state}
    texts = {name: state[name][:MAX_TEXT] for name in TEXTS if name in state}
    processes = {
        name: process and {field: process[field] for field in ("pid", "start", "boot")}
        for name, process in ((name, state[name]) for name in PROCESSES if name in state)
    }
    slurm = {name: state[name] for name in ("slurm",) if name in state and len(json.dumps(state[name])) <= MAX_TEXT}
    gpu = {name: {part: state[name][part] for part in GPU_TEXTS} for name in ("gpu",) if state.get(name)}
    return {**known, **texts, **processes, **slurm, **gpu}


def _is_text(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(value.encode() or True)
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63


def _is_number(value: object) -> bool:
    return _is_count(value) or (isinstance(value, float) and math.isfinite(value))


def _is_process(value: object) -> bool:
    if value is None:
        return True
    if not isinstance(value, dict) or not all(_is_count(value.get(name)) for name in ("pid", "start")):
        return False
    boot = value.get("boot")
    return _is_text(boot) and len(str(boot)) < 100 and value["pid"] > 0


def _is_gpu(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, dict) and all(_is_text(value.get(name)) and len(value[name]) < 200 for name in GPU_TEXTS)


CHECKS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(TEXTS, _is_text),
    **dict.fromkeys(COUNTS, _is_count),
    **dict.fromkeys(TIMES, _is_number),
    **dict.fromkeys(PROCESSES, _is_process),
    "exit_code": lambda value: value is None or _is_count(value),
    "slurm": lambda value: isinstance(value, dict),
    "supervised": lambda value: isinstance(value, bool),
    "gpu": _is_gpu,
}
"""Of a state: the fields whose values are checked."""


class Remembered(Generic[T]):
    """Content of small files, read again when its file has been replaced.

    Args:
        read: the content of a path.
        is_final: whether the content does not change any more. Only then it is remembered: two versions of a file that
            is written often can have the same inode, size and time.
    """

    def __init__(self, read: Callable[[Path], T], is_final: Callable[[T], bool]) -> None:
        self._read = read
        self._is_final = is_final
        self._known: dict[Path, tuple[tuple[int, int, int], T]] = {}

    def get(self, path: Path) -> T:
        """Content of ``path``; raises what reading it does."""
        status = path.lstat()
        stamp = status.st_ino, status.st_mtime_ns, status.st_size
        if path in self._known and self._known[path][0] == stamp:
            return self._known[path][1]
        self._known.pop(path, None)
        content = self._read(path)
        if self._is_final(content):
            self._known[path] = stamp, content
        return content
