"""Failures in words: the kind that a host's reason tells, what to do next, and what a launch keeps."""

from __future__ import annotations

import pytest

from console.hosts.agent.slurm.state import _pending_text
from console.runs.failures import FailureKind, failure_of, short_failure
from console.runs.run_view import RunView
from engine.contract.events import Checkpoint
from engine.contract.run_folder import StateName
from engine.contract.settings import RunId
from engine.contract.state import RunState

A = RunId("A", 42)


def run(reason: str, code: int | None = 1, state: StateName = "failed", step: int = 0, total: int = 0) -> RunView:
    checkpoint = Checkpoint(step, 1, "0" * 64) if step else None
    return RunView(A, RunState(state, "k", reason=reason, exit_code=code), checkpoint=checkpoint, total_steps=total)


@pytest.mark.parametrize(
    ("reason", "code", "kind", "short"),
    [
        ("the job did not start: no GPU is free: GPU 0 (X) is used by oom (7)", None, "gpu in use", "busy"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", 1, "gpu memory", "oom"),
        ("qllm-engine: error: the GPU is out of memory: CUDA out of memory. Tried", 1, "gpu memory", "oom"),
        ("the host ran out of memory; the kernel says: Memory cgroup out of memory: Killed process 7 (python3)", -9,
         "host memory", "oom"),
        ("Slurm ended it: out of memory", None, "host memory", "oom"),
        ("qllm-engine: error: the host is out of memory", 1, "host memory", "oom"),
        ("OSError: [Errno 12] Cannot allocate memory", 1, "host memory", "oom"),
        ("Slurm ended it: time limit", None, "time limit", "time"),
        ("Slurm ended it before it began: timeout", None, "time limit", "time"),
        ("Slurm ended it: preemption", None, "preempted", "pre"),
        ("Slurm ended it: node fail", None, "node", "node"),
        ("training failed: step 7: loss nan, gradient 1.0 is not finite", 6, "not finite", "nan"),
        ("anything", 6, "not finite", "ex6"),
        ("OSError: [Errno 28] No space left on device", 1, "disk", "disk"),
        ("the disk at /x is full", 1, "disk", "disk"),
        ("RuntimeError: Found no NVIDIA driver on your system", 1, "gpu", "gpu"),
        ("--device: no CUDA device is available here: PyTorch 2.13.0 is built without CUDA", 2, "gpu", "gpu"),
        ("ConnectionError: connection timed out", 1, "link", "link"),
        ("spec.json: 3: training.steps: not a number", 2, "input", "ex2"),
        ("3 gates failed", 5, "ship blocker", "ex5"),
        ("killed by SIGSEGV", -11, "signal", "sig11"),
        ("KeyError: 'x'", 1, "other", "ex1"),
        ("KeyError: 'network'", 1, "other", "ex1"),
        ("ValueError: no connection between layers 1 and 2", 1, "other", "ex1"),
        ("killed by SIGKILL", -9, "signal", "sig9"),
        ("killed by SIGABRT; its log ends with: what():  std::bad_alloc", -6, "host memory", "oom"),
        ("RuntimeError: [enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried", 1,
         "host memory", "oom"),
        ("RuntimeError: DataLoader worker (pid 12) is killed by signal: Killed.", 1, "host memory", "oom"),
        ("torch.AcceleratorError: CUDA error: out of memory", 1, "gpu memory", "oom"),
        ("torch.OutOfMemoryError: HIP out of memory. Tried", 1, "gpu memory", "oom"),
        ("RuntimeError: cuDNN error: CUDNN_STATUS_INTERNAL_ERROR", 1, "gpu", "gpu"),
        ("RuntimeError: CUDA unknown error - this may be due to an incorrectly set up environment", 1, "gpu", "gpu"),
        ("ModuleNotFoundError: No module named 'torch'", 1, "environment", "env"),
        ("ImportError: libcudart.so.12: cannot open shared object file: No such file or directory", 1,
         "environment", "env"),
        ("the job did not start: [Errno 2] No such file or directory: '/w/env/bin/python'", None,
         "environment", "env"),
        ("OSError: [Errno 30] Read-only file system: '/w/runs'", 1, "disk", "disk"),
        ("OSError: We couldn't connect to 'https://huggingface.co' to load the files", 1, "link", "link"),
    ],
)  # fmt: skip
def test_the_kind_of_failure_follows_from_what_the_host_says(
    reason: str, code: int | None, kind: FailureKind, short: str
) -> None:
    found = failure_of(run(reason, code))
    assert found is not None and found.kind == kind and found.next_step
    assert short_failure(run(reason, code)) == short


def test_a_kill_that_nobody_explains_may_be_one_of_the_kernels() -> None:
    killed, crashed = failure_of(run("killed by SIGKILL", -9)), failure_of(run("killed by SIGSEGV", -11))
    assert killed is not None and "the kernel for lack of memory" in killed.next_step
    assert crashed is not None and "kernel" not in crashed.next_step


@pytest.mark.parametrize("state", ["queued", "running", "finished", "aborted"])
def test_only_failed_and_lost_runs_have_one(state: StateName) -> None:
    assert failure_of(run("out of memory", None, state)) is None
    assert failure_of(RunView(A)) is None


def test_what_a_launch_keeps_follows_from_the_last_checkpoint() -> None:
    kept = failure_of(run("its supervisor is gone", None, "lost", step=1200, total=4000))
    assert kept is not None and kept.resume == "a launch keeps 1,200 of 4,000 steps, those up to its last checkpoint"
    lost = failure_of(run("the host was rebooted", None, "lost"))
    assert lost is not None and lost.resume == "it starts from the beginning, since it has no checkpoint"


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("", ""),
        ("None", ""),
        ("Priority", ": Priority (other jobs come first)"),
        ("QOSMaxJobsPerUserLimit", ": QOSMaxJobsPerUserLimit (a limit of its quality of service is reached)"),
        (
            "ReqNodeNotAvail, UnavailableNodes:n1",
            ": ReqNodeNotAvail, UnavailableNodes:n1 (a node that it needs is down,",
        ),
        ("SomethingNew", ": SomethingNew"),
    ],
)
def test_a_pending_reason_of_slurm_is_explained_where_it_is_known(reason: str, expected: str) -> None:
    assert _pending_text(reason).startswith(expected)
