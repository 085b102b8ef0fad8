"""Slurm's commands: list, submit, cancel. None of them needs Slurm's accounting, which many clusters do not have."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

QUERY_TIMEOUT_S = 5.0
SUBMIT_TIMEOUT_S = 15.0
# on the PATH of login shells only, which SSH does not start
USUAL_PATHS = ("/opt/slurm/bin", "/usr/local/slurm/bin", "/usr/local/bin")
OPTIONS = {
    "partition": "--partition",
    "account": "--account",
    "gres": "--gres",
    "time": "--time",
    "cpus": "--cpus-per-task",
    "memory": "--mem",
}


class NoAnswer(Exception):
    """Slurm did not answer: nothing is known, and the request may yet be carried out."""


class Rejected(Exception):
    """Slurm reported an error; the text is its own."""


class NotInstalled(Rejected):
    """Slurm's commands are not on this host, so that no request has reached it."""


def list_jobs() -> list[tuple[str, str, str, str]]:
    """Id, state, reason and comment of all jobs of this user, each task of an array as its own job.

    Raises:
        Rejected, NoAnswer: the queue is not known.
    """
    output = _run(["squeue", "--me", "--states=all", "--array", "--noheader", "--format=%i|%T|%r|%k"], QUERY_TIMEOUT_S)
    jobs = []
    for line in output.splitlines():
        job, state, reason, comment = [*line.split("|", 3), "", "", ""][:4]
        jobs.append((job.strip(), state, reason, comment.strip()))
    return jobs


def submit(
    settings: dict[str, Any],
    *,
    name: str,
    comment: str,
    log: Path,
    command: Sequence[str],
    tasks: int,
    locks: list[int],
) -> str:
    """Submit ``command``, quoted for a shell, to run once, or ``tasks`` times as one array; returns the job's id.

    Args:
        settings: partition, account, gres, time, cpus, memory; those that are None are left to Slurm.
        log: file for the output of Slurm and the command; ``%a`` in its name stands for a task's index.
        locks: descriptors that ``sbatch`` inherits, so that they stay locked while it works even if this process dies.

    Raises:
        Rejected: Slurm reports an error, but may have taken the job all the same.
        NoAnswer: Slurm does not answer in time, and may have taken the job.
    """
    call = ["sbatch", "--parsable", f"--comment={comment}", f"--job-name={name}"]
    call += ["--nodes=1", "--ntasks=1", "--requeue"]
    folder = str(log.parent)
    call += ["--open-mode=append", f"--output={folder.replace('%', '%%')}/{log.name}", f"--chdir={folder}"]
    given = ((name, settings.get(name)) for name in OPTIONS)
    call += [f"{OPTIONS[name]}={value}" for name, value in given if value is not None]
    if tasks > 1:
        call.append(f"--array=0-{tasks - 1}")
    output = _run(call, SUBMIT_TIMEOUT_S, stdin=f"#!/bin/sh\nexec {' '.join(command)}\n", locks=locks)
    job = (output.split() or [""])[-1].partition(";")[0]
    if not job.isdigit():
        raise NoAnswer(f"sbatch printed {output.strip()[:200]!r} instead of a job's id")
    return job


def cancel(job: str, gently: bool) -> None:
    """End a job: ``gently`` by SIGTERM to all its processes, else by ending its allocation. Errors show in the queue only."""
    call = ["scancel", "--signal=TERM", "--full", job] if gently else ["scancel", job]
    with suppress(NoAnswer, Rejected):
        _run(call, QUERY_TIMEOUT_S)


def restarts(job: str) -> int:
    """How often Slurm has requeued a job; 0 if unknown."""
    try:
        output = _run(["scontrol", "show", "job", job], QUERY_TIMEOUT_S / 2)
    except (NoAnswer, Rejected):
        return 0
    found = [field.partition("=")[2] for field in output.split() if field.startswith("Restarts=")]
    return int(found[0]) if found and found[0].isdigit() else 0


def _run(call: list[str], timeout: float, stdin: str = "", locks: Sequence[int] = ()) -> str:
    """Standard output of one of Slurm's commands."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *USUAL_PATHS))
    program = shutil.which(call[0], path=path)
    if program is None:
        raise NotInstalled(f"{call[0]} is not on this host")
    try:
        done = subprocess.run(
            [program, *call[1:]],
            input=stdin.encode(),
            capture_output=True,
            timeout=timeout,
            check=False,
            pass_fds=tuple(locks),
        )
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"{call[0]} did not answer within {timeout:.0f} s") from None
    if done.returncode:
        error = done.stderr.decode("utf-8", "replace").replace(f"{call[0]}: error: ", "")
        raise Rejected("; ".join(error.split("\n")).strip("; ")[:500] or f"{call[0]} ended with {done.returncode}")
    return done.stdout.decode("utf-8", "replace")
