"""Slurm's commands: list, submit, cancel. None of them needs Slurm's accounting, which many clusters do not have."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from console.hosts.agent.job_environment import passed_on

QUERY_TIMEOUT_S = 5.0
SUBMIT_TIMEOUT_S = 15.0
# on the PATH of login shells only, which SSH does not start
USUAL_PATHS = ("/opt/slurm/bin", "/usr/local/slurm/bin", "/usr/local/bin")
OPTIONS = {
    "partition": "--partition",
    "account": "--account",
    "qos": "--qos",
    "constraint": "--constraint",
    "gres": "--gres",
    "time": "--time",
    "cpus": "--cpus-per-task",
    "memory": "--mem",
}
SEPARATOR = "\x1f"  # between the fields of squeue: comments and paths may hold any printable character
# clusters print banners and submit filters their remarks around it, and the id of a federation has the cluster's name
JOB_ID = re.compile(r"^\s*(?:Submitted batch job )?(\d+)(?:;\S+| on cluster \S+)?\s*$", re.MULTILINE)


class NoAnswer(Exception):
    """Slurm did not answer: nothing is known, and the request may yet be carried out."""


class Rejected(Exception):
    """Slurm reported an error; the text is its own."""


class NotInstalled(Rejected):
    """Slurm's commands are not on this host, so that no request has reached it."""


class NoJobId(Rejected):
    """``sbatch`` reported success, and its output does not tell the job's id: Slurm may have the job."""


class ListedJob(NamedTuple):
    """One job in Slurm's queue, with the fields that are asked of ``squeue``.

    Attributes:
        job: its id, such as 12, or 12_0 in an array.
        reason: why it waits or ended.
        folder: its working directory.
    """

    job: str
    state: str
    reason: str
    folder: str
    comment: str


def list_jobs() -> list[ListedJob]:
    """All jobs of this user, each task of an array as its own job.

    Raises:
        Rejected, NoAnswer: the queue is not known.
    """
    form = SEPARATOR.join(("%i", "%T", "%r", "%Z", "%k"))
    output = _run(["squeue", "--me", "--states=all", "--array", "--noheader", f"--format={form}"], QUERY_TIMEOUT_S)
    fields = (line.split(SEPARATOR) for line in output.split("\n"))
    # a line with another number of fields is the cluster's own text
    return [ListedJob(*(text.strip() for text in line)) for line in fields if len(line) == len(ListedJob._fields)]


def submit(
    settings: dict[str, Any],
    *,
    name: str,
    comment: str,
    folder: Path,
    log: Path,
    command: Sequence[str],
    tasks: int,
    locks: list[int],
    environment: Sequence[str] = (),
) -> str:
    """Submit ``command``, quoted for a shell, to run once, or ``tasks`` times as one array; returns the job's id.

    Args:
        settings: values of OPTIONS; those that are None are left to Slurm.
        folder: the job's working directory, by which it is known as well.
        log: file for the output of Slurm and the command; ``%a`` in its name stands for a task's index.
        environment: names of variables that the command gets beside those that a job needs.
        locks: descriptors that ``sbatch`` inherits, so that they stay locked while it works even if this process dies.

    Raises:
        Rejected: Slurm reports an error, but may have taken the job all the same; as NoJobId also without an error.
        NoAnswer: Slurm does not answer in time, and may have taken the job.
    """
    call = ["sbatch", "--parsable", f"--comment={comment}", f"--job-name={name}"]
    # all that sbatch has itself, which is not all that this process has: a list of names here would have Slurm load the
    # user's login environment on the node, and hold the job where that takes too long
    call += ["--export=ALL", "--nodes=1", "--ntasks=1", "--requeue"]
    for_slurm = {name: value for name, value in os.environ.items() if name.startswith(("SLURM_", "SBATCH_"))}
    environ = {**passed_on(os.environ, environment), **for_slurm}
    output = f"{str(log.parent).replace('%', '%%')}/{log.name}"
    call += ["--open-mode=append", f"--output={output}", f"--chdir={folder}"]
    given = ((name, settings.get(name)) for name in OPTIONS)
    call += [f"{OPTIONS[name]}={value}" for name, value in given if value is not None]
    if tasks > 1:
        call.append(f"--array=0-{tasks - 1}")
    printed = _run(call, SUBMIT_TIMEOUT_S, f"#!/bin/sh\nexec {' '.join(command)}\n", locks, environ)
    ids = {str(found) for found in JOB_ID.findall(printed)}
    if len(ids) != 1:
        raise NoJobId(f"sbatch printed {printed.strip()[:200]!r} instead of a job's id")
    return ids.pop()


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


def _run(
    call: list[str],
    timeout: float,
    stdin: str = "",
    locks: Sequence[int] = (),
    environ: Mapping[str, str] | None = None,
) -> str:
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
            env=environ,
        )
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"{call[0]} did not answer within {timeout:.0f} s") from None
    if done.returncode:
        error = done.stderr.decode("utf-8", "replace").replace(f"{call[0]}: error: ", "")
        raise Rejected("; ".join(error.split("\n")).strip("; ")[:500] or f"{call[0]} ended with {done.returncode}")
    return done.stdout.decode("utf-8", "replace")
