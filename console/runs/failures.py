"""Why a run failed or was lost, in words: what kind of failure, the next step, and what a resume would keep. Pure."""

from __future__ import annotations

import re
import signal
from typing import Literal

from msgspec import Struct

from console.runs.run_view import RunView

FailureKind = Literal[
    "gpu in use",
    "gpu memory",
    "host memory",
    "time limit",
    "preempted",
    "node",
    "not finite",
    "disk",
    "gpu",
    "environment",
    "link",
    "input",
    "ship blocker",
    "signal",
    "supervisor",
    "reboot",
    "other",
]


class Failure(Struct, frozen=True):
    """Why a run failed or was lost, and what to do next.

    Attributes:
        kind: ``other`` where the host's reason is none that is known.
        next_step: what the operator can do about it.
        resume: what launching it again keeps.
    """

    kind: FailureKind
    next_step: str
    resume: str


# the first whose pattern is found in the host's reason; ``ship blocker``, ``input`` and ``signal`` follow from the exit code
_PATTERNS: tuple[tuple[FailureKind, str], ...] = (
    ("gpu in use", r"no gpu is free"),
    (
        "gpu memory",
        r"(?:cuda|hip).{0,40}out of memory|gpu is out of memory|cudnn_status_alloc_failed|cublas_status_alloc_failed",
    ),
    (
        "host memory",
        r"out of memory|\boom\b|can(?:not|'t) allocate memory|memoryerror|bad_alloc|worker.{0,40}killed by signal: killed",
    ),
    ("time limit", r"time ?limit|ended it.{0,20}: (?:timeout|deadline)"),
    ("preempted", r"preempt"),
    ("node", r"node ?fail|boot fail"),
    ("not finite", r"not finite|non-finite|\bnan\b"),
    ("disk", r"no space|disk .{0,60}full|quota exceeded|read-only file system|input/output error"),
    ("environment", r"modulenotfounderror|importerror|no module named|did not start: \[errno (?:2|8|13)\]"),
    (
        "gpu",
        r"nvidia driver|no cuda|cuda error|cuda unknown error|cuda initialization|cuda driver|cu(?:dnn|blas)(?:_| error)|nvml"
        r"|fallen off the bus|without cuda",
    ),
    (
        "link",
        r"connection(?:error|pool| (?:refused|reset|aborted|timed out|error))|connect to|network is|name resolution"
        r"|timeouterror|ssl",
    ),
    ("reboot", r"was rebooted"),
    ("supervisor", r"supervisor (?:is gone|stands still|was gone)"),
)
_NEXT_STEPS: dict[FailureKind, str] = {
    "gpu in use": 'launch it again once the GPU is free, or with occupied_gpu = "wait" in hosts.toml: then it waits by itself',
    "gpu memory": "free the GPU (view 1 shows who uses it) or take fewer slots, then launch it again; a smaller batch is a new"
    " condition: training.batch_size in the launch form",
    "host memory": "take fewer slots or a host with more memory, then launch it again",
    "time limit": "launch it again, or raise the time limit ([slurm] time in hosts.toml)",
    "preempted": "launch it again; a partition or qos that is not preempted avoids it",
    "node": "launch it again, on another node",
    "not finite": "a resume would come to the same step: a smaller training.learning_rate or gradient_clip is a new condition",
    "disk": "free room on the host's disk, or have it repaired if it gives errors or is read-only, then launch it again",
    "gpu": "see what preflight says of the GPU and its driver, then launch it again",
    "environment": "the engine or a package it imports is missing or broken on the host:"
    " qllm-console preflight --repair installs them again; then launch the run again",
    "link": "the engine could not fetch something from the network: see its log, then launch it again",
    "input": "its log names the file, line and field to correct; nothing was computed",
    "ship blocker": "it ran to its end: its results tell which gate failed",
    "signal": "its log may tell what happened; launch it again",
    "supervisor": "abort it if its job still runs, then launch it again",
    "reboot": "launch it again",
    "other": "its log has the whole error",
}
_KILLED = (
    "somebody killed it, or the kernel for lack of memory without saying so here (dmesg on the host, a container's"
    " provider): see how much memory is free in view 1, then launch it again"
)
_SHORT: dict[FailureKind, str] = {
    "gpu in use": "busy",
    "gpu memory": "oom",
    "host memory": "oom",
    "time limit": "time",
    "preempted": "pre",
    "node": "node",
    "not finite": "nan",
    "disk": "disk",
    "gpu": "gpu",
    "environment": "env",
    "link": "link",
}
_EXIT_CODES: dict[int, FailureKind] = {2: "input", 5: "ship blocker", 6: "not finite"}


def failure_of(view: RunView) -> Failure | None:
    """The failure of a failed or lost run; None for any other."""
    state = view.state
    if state is None or state.state not in ("failed", "lost"):
        return None
    kind = _kind(state.reason, state.exit_code)
    killed = kind == "signal" and state.exit_code == -signal.SIGKILL
    return Failure(kind, _KILLED if killed else _NEXT_STEPS[kind], _resume_text(view, kind))


def short_failure(view: RunView) -> str:
    """At most five characters on why a run failed, for a cell: ``oom``, ``time``, ``sig9``, ``ex2``."""
    state = view.state
    if state is None:
        return ""
    known = _SHORT.get(_kind(state.reason, None))
    code = state.exit_code
    if known or not code or not -65 < code < 256:
        return known or "fail"
    return f"sig{-code}" if code < 0 else f"ex{code}"


def _kind(reason: str, code: int | None) -> FailureKind:
    found = next((kind for kind, pattern in _PATTERNS if re.search(pattern, reason, re.IGNORECASE)), None)
    if code in _EXIT_CODES and found != "gpu":  # a GPU that cannot be used counts as bad input of --device
        return _EXIT_CODES[code]
    return found or ("signal" if code is not None and code < 0 else "other")


def _resume_text(view: RunView, kind: FailureKind) -> str:
    checkpoint = view.checkpoint
    if kind == "ship blocker":
        return "nothing is left to do: it has finished"
    if checkpoint is None or not checkpoint.step:
        return "it starts from the beginning, since it has no checkpoint"
    of = f" of {view.total_steps:,}" if view.total_steps else ""
    return f"a launch keeps {checkpoint.step:,}{of} steps, those up to its last checkpoint"
