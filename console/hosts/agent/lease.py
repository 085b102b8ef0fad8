"""The lease: of all consoles on one host, one may launch and abort; the others look on.

It is a lock that the holder's agent keeps for as long as it lives, so it is free the moment the holder's link is gone.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from console.hosts.agent import process
from console.hosts.agent.workspace import Refused, Workspace, read_json, write_json
from engine.contract.file_lock import is_locked, take_lock

HAND_OVER_S = 5.0
FREE_S = 1.0


class Lease:
    """What this agent knows of the lease; one agent serves one console."""

    def __init__(self) -> None:
        self._lock: int | None = None

    def request(self, workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
        """Take the lease if it is free, or was this console's before its link broke, or if told to take it over.

        Args:
            request: ``console``: an id that outlives the link; ``who``: a name for the other side to read; ``take_over``.

        Returns:
            ``{"mine": bool, "holder": who}``.
        """
        workspace.prepare()
        mine = {"console": str(request["console"]), "who": str(request.get("who", ""))[:200]}
        path, record = workspace.root / "lease.lock", workspace.root / "lease.json"
        deadline = time.monotonic() + FREE_S  # a holder that has just gone may still be closing
        asked = False
        while self._lock is None:
            self._lock = take_lock(path, wait=False)
            if self._lock is not None:
                break
            holder = read_json(record) or {}
            if not asked and (request.get("take_over") or holder.get("console") == mine["console"]):
                asked, deadline = True, time.monotonic() + HAND_OVER_S
                process.send(holder.get("agent"), signal.SIGTERM)
            if time.monotonic() >= deadline:
                return {"mine": False, "holder": str(holder.get("who", "another console"))}
            time.sleep(0.05)
        write_json(record, {**mine, "agent": process.identity(os.getpid())}, durable=False)
        return {"mine": True, "holder": mine["who"]}

    def demand(self, workspace: Workspace) -> None:
        """Refuse to change anything while another console holds the lease.

        Raises:
            Refused: it does.
        """
        if self._lock is None and is_locked(workspace.root / "lease.lock"):
            holder = read_json(workspace.root / "lease.json") or {}
            raise Refused(
                f"{holder.get('who', 'another console')} has the lease of this host: take it over to launch or abort"
            )
