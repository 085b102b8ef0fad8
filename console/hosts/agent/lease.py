"""The lease: of all consoles connected to a host, one may launch and abort; the others only watch.

It is a lock that the holder's agent keeps as long as it lives, so it is free as soon as the holder's link is gone.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from console.hosts.agent import process
from console.hosts.agent.workspace import Refused, Workspace, read_json, write_json
from engine.contract.file_lock import is_locked, take_lock

TAKE_OVER_TIMEOUT_S = 5.0
TIMEOUT_S = 1.0  # a holder that has just disconnected may still be exiting


class Lease:
    """The lease as one agent sees it; an agent serves one console."""

    def __init__(self) -> None:
        self._lock: int | None = None

    def request(self, workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
        """Take the lease if it is free, or held by an older link of this console, or if ``take_over`` is set.

        Args:
            request: ``console``: id that stays the same over links; ``user``: name shown to others; ``take_over``: bool.

        Returns:
            ``{"held": bool, "holder": user}``.
        """
        workspace.prepare()
        ours = {"console": str(request["console"]), "user": str(request.get("user", ""))[:200]}
        path, record = workspace.root / "lease.lock", workspace.root / "lease.json"
        deadline = time.monotonic() + TIMEOUT_S
        signalled = False
        while self._lock is None:
            self._lock = take_lock(path, wait=False)
            if self._lock is not None:
                break
            holder = read_json(record) or {}
            if not signalled and (request.get("take_over") or holder.get("console") == ours["console"]):
                signalled, deadline = True, time.monotonic() + TAKE_OVER_TIMEOUT_S
                process.send_signal(holder.get("agent"), signal.SIGTERM)
            if time.monotonic() >= deadline:
                return {"held": False, "holder": str(holder.get("user", "another console"))}
            time.sleep(0.05)
        write_json(record, {**ours, "agent": process.identity(os.getpid())}, durable=False)
        return {"held": True, "holder": ours["user"]}

    def check(self, workspace: Workspace) -> None:
        """Check that no other console holds the lease.

        Raises:
            Refused: one does.
        """
        if self._lock is None and is_locked(workspace.root / "lease.lock"):
            holder = read_json(workspace.root / "lease.json") or {}
            raise Refused(
                f"{holder.get('user', 'another console')} has the lease of this host: take it over to launch or abort"
            )
