"""The lease: of all consoles connected to a host, one may launch and abort; the others only watch.

It is a lock that the holder's agent keeps as long as it lives, so it is free as soon as the holder's link is gone. The lock
alone counts. ``lease.json`` only names the holder to others: it may be missing, old or unreadable, as on a full disk.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from console.hosts.agent import process
from console.hosts.agent.workspace import Refused, Workspace, read_json, write_json
from engine.contract.file_lock import is_locked, take_lock

TAKE_OVER_TIMEOUT_S = 5.0
TIMEOUT_S = 1.0  # a holder that has just disconnected may still be exiting
UNKNOWN = "another console"


class Holder(NamedTuple):
    """Who holds the lease: its agent's process, None if that is not found; its console and its user, "" where unknown."""

    agent: dict[str, Any] | None = None
    console: str = ""
    user: str = UNKNOWN


class Lease:
    """The lease as one agent sees it; an agent serves one console."""

    def __init__(self) -> None:
        self._lock: int | None = None
        self._granted: dict[str, str] | None = None
        self._requests = threading.Lock()  # two requests at once must not take each other for another console

    def request(self, workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
        """Take the lease if it is free, or held by an older link of this console, or if ``take_over`` is set.

        Without room for the lock's file nobody can hold it, and nobody is refused: aborting needs no write.

        Args:
            request: ``console``: id that stays the same over links; ``user``: name shown to others; ``take_over``: bool.

        Returns:
            ``{"held": bool, "holder": user}``.
        """
        ours = {"console": str(request["console"]), "user": str(request.get("user", ""))[:200]}
        with suppress(OSError):
            workspace.prepare()
        deadline = time.monotonic() + TIMEOUT_S
        signalled = False
        with self._requests:
            while not self._take(workspace, ours):
                holder = holder_of(workspace)
                ends = request.get("take_over") or holder.console == ours["console"]
                # Again each time: of a stopped agent any thread may be handed the signal, but Python acts on it in the main
                # thread alone, which may wait for its next request meanwhile.
                if ends and process.send_signal(holder.agent, signal.SIGTERM):
                    process.send_signal(holder.agent, signal.SIGCONT)  # a stopped one would never get it
                    if not signalled:
                        signalled, deadline = True, time.monotonic() + TAKE_OVER_TIMEOUT_S
                if time.monotonic() >= deadline:
                    return {"held": False, "holder": holder.user}
                time.sleep(0.05)
            self._granted = ours
        return {"held": True, "holder": ours["user"]}

    def check(self, workspace: Workspace) -> None:
        """Check that no other console holds the lease.

        Raises:
            Refused: one does.
        """
        with self._requests:
            free = self._take(workspace, self._granted) if self._granted else not _is_held(workspace)
        if not free:
            user = holder_of(workspace).user
            raise Refused(f"{user} has the lease of this host: take it over to launch or abort")

    def _take(self, workspace: Workspace, ours: dict[str, str]) -> bool:
        """Whether this agent may act now: it holds the lock, or there can be no lock."""
        path = _lock_file(workspace)
        if self._lock is not None:
            if _same_file(self._lock, path):
                return True
            os.close(self._lock)  # its file was deleted or replaced: others do not see this lock
            self._lock = None
        try:
            self._lock = take_lock(path, wait=False)
        except OSError:
            return not _is_held(workspace)
        if self._lock is None:
            return False
        path, record = _record_file(workspace), {**ours, "agent": process.identity(os.getpid())}
        try:
            write_json(path, record, durable=False)
        except OSError:
            with suppress(OSError):  # that of an earlier holder makes room on a full disk
                path.unlink()
                write_json(path, record, durable=False)
        return True


def holder_of(workspace: Workspace) -> Holder:
    """Who holds the lease now; a record that is not of the lock's holder is ignored."""
    holders = _agents_with_lock(workspace)
    agent = holders[0] if holders else None
    record = read_json(_record_file(workspace)) or {}
    console, user, named = record.get("console"), record.get("user"), record.get("agent")
    if not isinstance(console, str) or not isinstance(user, str) or named is None or not _is_identity(named):
        return Holder(agent)
    if not holders and named["boot"] != process.boot_id():
        return Holder(None, console, user)  # on another machine with the same disk
    # where the kernel does not name the lock's holder, or that has just ended: an old record may name any process by now
    if named in holders or (not holders and process.alive(named) and _is_agent(named["pid"], workspace)):
        return Holder(named, console, user)
    return Holder(agent)


def _agents_with_lock(workspace: Workspace) -> list[dict[str, Any]]:
    """Identities of this workspace's agents that hold the lock, as the kernel knows them."""
    return [one for one in process.lock_holders(_lock_file(workspace)) if _is_agent(one["pid"], workspace)]


def _is_agent(pid: int, workspace: Workspace) -> bool:
    """Whether ``pid`` is an agent of this workspace."""
    entry = Path("/proc") / str(pid)
    try:
        *_, program, root = ["", "", *os.fsdecode((entry / "cmdline").read_bytes()).rstrip("\0").split("\0")]
        return program == "serve" and (entry / "cwd" / root).samefile(workspace.root)
    except OSError:  # it has ended meanwhile, or is another user's
        return False


def _is_identity(value: Any) -> bool:
    """Whether ``value``, from a file that anything may have written, has the form of a process's identity."""
    return isinstance(value, dict) and [type(value.get(name)) for name in ("pid", "start", "boot")] == [int, int, str]


def _is_held(workspace: Workspace) -> bool:
    try:
        return is_locked(_lock_file(workspace))
    except OSError:
        return False


def _same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


def _lock_file(workspace: Workspace) -> Path:
    return workspace.root / "lease.lock"


def _record_file(workspace: Workspace) -> Path:
    return workspace.root / "lease.json"
