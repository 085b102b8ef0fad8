"""Files on the host: durable writes, locks that die with their holder, and the workspace's layout."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from console.hosts.agent.disk import FULL, mounted_at

KEY = re.compile(r"[0-9a-f]{32}\Z")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")


class Refused(Exception):
    """A request the agent will not carry out, with the reason for the operator."""


def refusal(error: Exception, workspace: Workspace) -> str:
    """What to say of ``error``; of a full disk, which one it is."""
    if isinstance(error, OSError) and error.errno in FULL:
        return f"the disk at {mounted_at(str(workspace.root))} is full"
    return str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {error}"


class Workspace:
    """The workspace's layout; every name that comes over the link passes a check before it becomes a path."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.jobs = root / "jobs"
        self.slots = root / "slots"
        self.arrays = root / "arrays"
        self.queue_lock = root / "queue.lock"
        self.ticket = root / "ticket"

    def prepare(self) -> None:
        """Make the folders; nothing outside the workspace is touched."""
        for folder in (self.root, self.jobs, self.slots, self.arrays, self.root / "runs"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def job(self, key: str) -> Path:
        if not KEY.match(key):
            raise Refused(f"not a launch key: {key!r}")
        return self.jobs / key

    def runs(self, folder: str) -> Path:
        if not NAME.match(folder):
            raise Refused(f"not a folder name: {folder!r}")
        return self.root / "runs" / folder

    def run(self, folder: str, run: str) -> Path:
        if not NAME.match(run):
            raise Refused(f"not a run name: {run!r}")
        return self.runs(folder) / run


def write_json(path: Path, value: Any, durable: bool = True) -> None:
    """Replace ``path`` by ``value`` as JSON, whole or not at all; ``durable`` also waits for the disk."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(value, file)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in ``path``; None if the file is missing or holds no object."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def last_lines(log: Path) -> str:
    """The last line of a log that says anything; "" if there is none."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line.strip()[:400] for line in reversed(lines) if line.strip()), "")


def take_lock(path: Path, wait: bool) -> int | None:
    """Lock ``path`` for as long as the returned descriptor, or a copy a child inherited, is open; None if it is held."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(handle)
        return None
    except BaseException:
        os.close(handle)
        raise
    return handle


def is_locked(path: Path) -> bool:
    """Whether somebody living holds the lock. Looks with a shared lock, so that onlookers do not see each other."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on ``path`` within the block."""
    handle = take_lock(path, wait=True)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def seal(folder: Path, key: str) -> None:
    """Write ``manifest.json``: size and SHA-256 of every file of the run, and the fingerprint over that list."""
    files = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        if path.is_symlink() or not path.is_file() or relative == "manifest.json" or path.name.startswith("."):
            continue
        with open(path, "rb") as file:
            digest = hashlib.sha256()
            while chunk := file.read(1 << 20):
                digest.update(chunk)
            files.append({"path": relative, "size": file.tell(), "sha256": digest.hexdigest()})
    files.sort(key=lambda entry: str(entry["path"]))
    total = hashlib.sha256()
    for entry in files:
        total.update(f"{entry['sha256']}  {entry['size']}  {entry['path']}\n".encode())
    write_json(folder / "manifest.json", {"key": key, "files": files, "fingerprint": total.hexdigest()})
