"""Regular check for lost launches, by every agent and supervisor: their notifications need no console.

A supervisor that stands still, stopped by a signal or kept by a hung disk, may go on at any time: it is told of after minutes.
"""

from __future__ import annotations

import time

from console.hosts.agent import notify, process
from console.hosts.agent.disk import disk_space
from console.hosts.agent.launches import Launch, live_launches
from console.hosts.agent.lifecycle import next_step
from console.hosts.agent.slurm import state as slurm_state
from console.hosts.agent.workspace import Workspace
from engine.contract.run_folder import ACTIVE

STILL_S = 300.0


class LostWatch:
    """Sends a notification on each launch that two checks in a row find lost: one alone may fall between two steps of others.

    One whose supervisor stands still is told of as well, and once more if it is lost for good.

    Args:
        every: seconds between two checks.
        asks_slurm: also check runs under Slurm, which costs a ``squeue``.
        still: seconds without a heartbeat, by this process's own clock, after which a supervisor stands still.
    """

    def __init__(self, every: float, *, asks_slurm: bool, still: float = STILL_S) -> None:
        self._every = every
        self._asks_slurm = asks_slurm
        self._still = still
        self._next_look = time.monotonic()
        self._found: dict[str, str] = {}
        self._beats: dict[str, tuple[int, float]] = {}

    def look(self, workspace: Workspace) -> None:
        """Check all launches, if it is time to do so and notifications are wanted."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + self._every
        found: dict[str, str] = {}
        beats: dict[str, tuple[int, float]] = {}
        for launch in live_launches(workspace) if notify.is_wanted(workspace) else ():
            lost = self._why_lost(launch)
            reason = lost or self._why_still(launch, beats)
            # the same kind of reason twice: a supervisor that was stopped may be killed in between
            if reason and self._found.get(launch.key) == reason:
                notify.tell_lost(launch, reason, "lost" if lost else "still")
            if reason:
                found[launch.key] = reason
        self._found, self._beats = found, beats

    def _why_still(self, launch: Launch, beats: dict[str, tuple[int, float]]) -> str:
        """That the supervisor of an active launch stands still; "" if it does not. Its heartbeat is added to ``beats``."""
        state = launch.state()
        if state.get("state") not in ACTIVE or "slurm" in state or not launch.is_supervised():
            return ""
        beat, now = int(state.get("heartbeat", 0)), time.monotonic()
        last, since = self._beats.get(launch.key, (-1, now))
        beats[launch.key] = (beat, since if beat == last else now)
        if beat != last or now - since < self._still or disk_space(launch.workspace.root).is_full:
            return ""  # on a full disk no heartbeat can be written
        why = "a signal has stopped it" if process.stopped(state.get("supervisor")) else "no heartbeat"
        return f"its supervisor stands still: {why} for {self._still / 60:.0f} minutes; it may go on"

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
