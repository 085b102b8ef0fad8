"""Slurm by its own commands, none of which needs accounting: listing, submitting, cancelling."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ASK_TIMEOUT_S = 5.0
SUBMIT_TIMEOUT_S = 15.0
ELSEWHERE = ("/opt/slurm/bin", "/usr/local/slurm/bin", "/usr/local/bin")  # a login shell would have found it there
OPTIONS = {
    "partition": "--partition",
    "account": "--account",
    "gres": "--gres",
    "time": "--time",
    "cpus": "--cpus-per-task",
    "memory": "--mem",
}


class Silent(Exception):
    """Slurm gave no answer: nothing is known, and what was asked may yet happen."""


class NotTaken(Exception):
    """Slurm's own words on why it did not do what was asked."""


class Missing(NotTaken):
    """Slurm's commands are not on this host, so it cannot have been asked."""


def listing() -> list[tuple[str, str, str, str]]:
    """Id, state, reason and comment of every job of ours that Slurm knows, the tasks of an array singly.

    Raises:
        NotTaken, Silent: it does not say.
    """
    said = _run(["squeue", "--me", "--states=all", "--array", "--noheader", "--format=%i|%T|%r|%k"], ASK_TIMEOUT_S)
    jobs = []
    for line in said.splitlines():
        job, _, rest = line.partition("|")
        state, _, rest = rest.partition("|")
        reason, _, comment = rest.partition("|")
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
    """Submit ``command``, a shell's words, to run once, or ``tasks`` times as one array; returns the job's id.

    Args:
        settings: partition, account, gres, time, cpus, memory, as far as they are set.
        log: where Slurm writes what it and the command have to say; ``%a`` in its name is a task's index.
        locks: held for as long as ``sbatch`` lives, even if this process dies meanwhile.

    Raises:
        NotTaken: Slurm says no, or that it cannot be reached; it may have the job all the same.
        Silent: it says nothing in time, and may have the job.
    """
    call = [
        "sbatch",
        "--parsable",
        f"--comment={comment}",
        f"--job-name={name}",
        "--nodes=1",
        "--ntasks=1",
        "--requeue",
    ]
    folder = str(log.parent)
    call += ["--open-mode=append", f"--output={folder.replace('%', '%%')}/{log.name}", f"--chdir={folder}"]
    call += [
        f"{OPTIONS[option]}={value}" for option, value in settings.items() if option in OPTIONS and value is not None
    ]
    if tasks > 1:
        call.append(f"--array=0-{tasks - 1}")
    said = _run(call, SUBMIT_TIMEOUT_S, stdin=f"#!/bin/sh\nexec {' '.join(command)}\n", locks=locks)
    job = (said.split() or [""])[-1].partition(";")[0]
    if not job.isdigit():
        raise Silent(f"sbatch said {said.strip()[:200]!r} instead of a job's id")
    return job


def cancel(job: str, gently: bool) -> None:
    """End a job: ``gently`` by SIGTERM to all its processes, else Slurm's own way. Whether it worked, the queue will show."""
    call = ["scancel", "--signal=TERM", "--full", job] if gently else ["scancel", job]
    try:
        _run(call, ASK_TIMEOUT_S)
    except (Silent, NotTaken):
        return


def restarts(job: str) -> int:
    """How often Slurm has put a job back in its queue; 0 if it does not say."""
    try:
        said = _run(["scontrol", "show", "job", job], ASK_TIMEOUT_S / 2)
    except (Silent, NotTaken):
        return 0
    found = [word.partition("=")[2] for word in said.split() if word.startswith("Restarts=")]
    return int(found[0]) if found and found[0].isdigit() else 0


def _run(call: list[str], timeout: float, stdin: str = "", locks: Sequence[int] = ()) -> str:
    """Standard output of one of Slurm's commands.

    Raises:
        NotTaken: it failed, or is not there.
        Silent: it did not end in time.
    """
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *ELSEWHERE))
    program = shutil.which(call[0], path=path)
    if program is None:
        raise Missing(f"{call[0]} is not on this host")
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
        raise Silent(f"{call[0]} had no answer within {timeout:.0f} s") from None
    if done.returncode:
        complaint = done.stderr.decode("utf-8", "replace").replace(f"{call[0]}: error: ", "")
        raise NotTaken("; ".join(complaint.split("\n")).strip("; ")[:500] or f"{call[0]} ended with {done.returncode}")
    return done.stdout.decode("utf-8", "replace")
