"""Tells a supervisor that stands still from one that works: its heartbeat is a counter, so no clocks are compared."""

from __future__ import annotations

import threading
import time
from typing import Any

from engine.contract.run_folder import ACTIVE

STALE_S = 30.0


class HeartbeatWatch:
    """Remembers when each launch's heartbeat last changed, by this process's own monotonic clock."""

    def __init__(self, stale: float = STALE_S) -> None:
        self._stale = stale
        self._seen: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def judge(self, state: dict[str, Any]) -> dict[str, Any]:
        """``state``; as lost if it has a supervisor whose heartbeat has not changed for too long."""
        if state.get("state") not in ACTIVE or not state.get("supervisor"):
            return state
        key, beat, now = str(state["key"]), int(state.get("heartbeat", 0)), time.monotonic()
        with self._lock:
            last, since = self._seen.get(key, (-1, now))
            if beat != last:
                since = now
                self._seen[key] = (beat, now)
        if now - since < self._stale:
            return state
        reason = f"its supervisor stands still: no heartbeat for {now - since:.0f} s"
        return {**state, "state": "lost", "reason": reason}
