"""The workspace: its layout on the host, checks of names that arrive over the link, and the files that the agent keeps."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from console.hosts.agent.disk import FULL_ERRNOS, mount_point
from engine.contract.durable import write_durably
from engine.contract.run_folder import MANIFEST, build_manifest, open_regular

_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (?:INFO|WARNING|ERROR) ")  # the engine's
KEY = re.compile(r"[0-9a-f]{32}\Z")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")
TRACEBACK = "Traceback (most recent call last):"
ENGINE_ERROR = "qllm-engine: error: "
MAX_LINE = 400  # characters of a line of a log
MAX_END = 32 << 10  # bytes of the end of a log in which the line is looked for
MAX_JSON = 64 << 20  # bytes of a file that the agent keeps; a manifest is the longest

# Files of a job folder, ``jobs/<key>``.
JOB = "job.json"  # what the supervisor is to run; the launch is claimed once it exists
UNDONE = "undone.json"  # JOB renamed, while the claim is being undone
LOCK = "lock"  # held by the launch and then by the supervisor until the end is recorded
ABORT = "abort.json"  # exists once an abort was requested, and by whom
SLURM_JOB = "slurm.json"  # exists once Slurm has taken the job


class Refused(Exception):
    """A request that the agent will not carry out, with the reason for the operator."""


class NotStarted(Exception):
    """The supervisor of a launch does not start; the launch stays queued."""


class BrokenFile(Exception):
    """A file of the agent's that exists and does not hold what it should, with the file's name and the reason."""


class LockHeld(OSError):
    """Another process does not give back the lock of the queue or of a run; the work can be tried again."""


def error_text(error: Exception, workspace: Workspace) -> str:
    """One line on ``error`` for the operator; a full disk is named."""
    if isinstance(error, OSError) and error.errno in FULL_ERRNOS:
        return f"the disk at {mount_point(str(workspace.root))} is full"
    own = isinstance(error, (Refused, NotStarted, LockHeld, BrokenFile))
    return str(error) if own else f"{type(error).__name__}: {error}"


def check_name(name: str, what: str) -> str:
    """Check a file or folder name that arrived over the link, and return it.

    Raises:
        Refused: it could lead out of its folder.
    """
    if not NAME.match(name):
        raise Refused(f"not {what}: {name!r}")
    return name


class Workspace:
    """Paths in the workspace. A name that arrives over the link is checked before it becomes a path.

    The methods raise Refused for a name that could lead outside.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.jobs = root / "jobs"
        self.ended = root / "ended"
        self.slots = root / "slots"
        self.arrays = root / "arrays"
        self.queue_lock = root / "queue.lock"
        self.ticket = root / "ticket"

    def prepare(self) -> None:
        """Make the folders."""
        for folder in (self.root, self.jobs, self.slots, self.arrays, self.root / "runs"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @staticmethod
    def is_key(key: str) -> bool:
        """Whether ``key`` has the form of a launch key."""
        return bool(KEY.match(key))

    def job(self, key: str) -> Path:
        """The job's folder: in ``jobs``, or in ``ended`` if the launch is over."""
        if not self.is_key(key):
            raise Refused(f"not a launch key: {key!r}")
        job, ended = self.jobs / key, self.ended / key
        return ended if not job.exists() and ended.exists() else job

    def runs(self, folder: str) -> Path:
        return self.root / "runs" / check_name(folder, "a folder name")

    def run(self, folder: str, run: str) -> Path:
        return self.runs(folder) / check_name(run, "a run name")

    @staticmethod
    def staged(run_folder: Path, key: str) -> Path:
        """Where the run folder of a launch is prepared, beside its place."""
        return run_folder.parent / ".launching" / f"{run_folder.name}-{key}"


def write_json(path: Path, value: Any, durable: bool = True) -> None:
    """Replace ``path`` by ``value`` as JSON; ``durable`` also waits for the disk."""
    write_durably(path, json.dumps(value).encode(), wait=durable)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in ``path``; None if the file is missing or holds no object."""
    try:
        return load_json(path)
    except (OSError, BrokenFile):
        return None


def load_json(path: Path, limit: int = MAX_JSON) -> dict[str, Any]:
    """The object in ``path``.

    Raises:
        FileNotFoundError: the file is missing.
        BrokenFile: it is no regular file, cannot be read, has more than ``limit`` bytes, or holds no object.
    """
    try:
        with open_regular(path) as file:
            content = file.read(limit + 1)
        value = json.loads(content) if len(content) <= limit else None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BrokenFile(f"{path.name} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BrokenFile(f"{path.name} is no JSON" if content.strip() else f"{path.name} is empty") from error
    if len(content) > limit:
        raise BrokenFile(f"{path.name} has more than {limit:,} bytes")
    if not isinstance(value, dict):
        raise BrokenFile(f"{path.name} holds no JSON object")
    return value


def last_line(log: Path) -> str:
    """The last line of a log that is not blank, without time and level, cut to 400 characters; "" if there is none."""
    last = next((line.strip() for line in reversed(_end_of(log)) if line.strip()), "")
    return _STAMP.sub("", last)[:MAX_LINE]


def error_line(log: Path) -> str:
    """Where a log ends with Python's traceback the exception in it, whose text may be followed by lines of advice.

    Else the last line, as by ``last_line``: that of the engine's own errors.
    """
    lines = _end_of(log)
    begins = [number for number, line in enumerate(lines) if line.startswith(TRACEBACK)]
    after = lines[begins[-1] + 1 :] if begins else []
    if not after or any(_STAMP.match(line) or line.startswith(ENGINE_ERROR) for line in after):
        return last_line(log)  # the program went on after it
    found = next((line.strip() for line in after if line.strip() and not line[0].isspace()), "")
    return found[:MAX_LINE] or last_line(log)


def _end_of(log: Path) -> list[str]:
    """The last lines of a log; none if it cannot be read."""
    try:
        with open_regular(log) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - MAX_END))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def seal(run_folder: Path, key: str) -> None:
    """Write the manifest of a run that has ended."""
    write_json(run_folder / MANIFEST, build_manifest(run_folder, key))
