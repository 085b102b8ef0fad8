"""Regular check for lost launches, by every agent and supervisor: their notifications need no console."""

from __future__ import annotations

import time

from console.hosts.agent import notify, process
from console.hosts.agent.launches import Launch, live_launches
from console.hosts.agent.lifecycle import next_step
from console.hosts.agent.slurm import state as slurm_state
from console.hosts.agent.workspace import Workspace


class LostWatch:
    """Sends a notification on each launch that two checks in a row find lost: one alone may fall between two steps of others.

    A launch whose supervisor is only stopped is not lost: it may continue at any time.

    Args:
        every: seconds between two checks.
        asks_slurm: also check runs under Slurm, which costs a ``squeue``.
    """

    def __init__(self, every: float, *, asks_slurm: bool) -> None:
        self._every = every
        self._asks_slurm = asks_slurm
        self._next_look = time.monotonic()
        self._lost: dict[str, str] = {}

    def look(self, workspace: Workspace) -> None:
        """Check all launches, if it is time to do so and notifications are wanted."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + self._every
        found: dict[str, str] = {}
        for launch in live_launches(workspace) if notify.kept_urls(workspace) else ():
            reason = self._why_lost(launch)
            if reason and launch.key in self._lost:
                notify.tell_lost(launch, reason)
            if reason:
                found[launch.key] = reason
        self._lost = found

    def _why_lost(self, launch: Launch) -> str:
        """Why a launch is lost; "" if it is not, or that is not known."""
        state = launch.state()
        if state.get("state") != "running" or launch.run_folder is None:
            return ""
        if "slurm" in state:
            if not self._asks_slurm:
                return ""
            state = slurm_state.current_state(launch.workspace, launch.run_folder, launch.key)
            return str(state.get("reason") or "its supervisor is gone") if state.get("state") == "lost" else ""
        if launch.is_supervised() or next_step(launch.facts()):
            return ""
        rebooted = (state.get("supervisor") or {}).get("boot", process.boot_id()) != process.boot_id()
        return "the host was rebooted" if rebooted else "its supervisor is gone"
