"""Transitions of a session as they come, for commands that watch or wait."""

from __future__ import annotations

import asyncio

from console.runs.snapshot import Snapshot
from console.runs.transitions import Transition, transitions
from console.session import Session


class Changes:
    """Collects the transitions of ``session`` between any two of its snapshots, from now on."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._before = session.snapshot
        self._found: list[Transition] = []
        self._changed = asyncio.Event()
        session.subscribe(self._update)

    async def next(self) -> tuple[Snapshot, tuple[Transition, ...]]:
        """Wait for the next change of the snapshot; the newest one, and what happened since the last call."""
        await self._changed.wait()
        self._changed.clear()
        found, self._found = tuple(self._found), []
        return self._session.snapshot, found

    def _update(self, snapshot: Snapshot) -> None:
        self._found += transitions(self._before, snapshot)
        self._before = snapshot
        self._changed.set()
