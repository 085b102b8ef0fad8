"""The agent's caretaker: completes what killed processes have left undone, as long as an agent serves a console.

A queued run whose supervisor is gone is started, an ended one is sealed, an interrupted claim is completed or discarded.
What does not succeed is tried again, and does not stop anything else.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from console.hosts.agent.launches import Launch, live_launches, settle
from console.hosts.agent.lifecycle import next_step
from console.hosts.agent.lost_watch import LostWatch
from console.hosts.agent.run_record import complete_end
from console.hosts.agent.workspace import LOCK, Workspace, error_text
from engine.contract.file_lock import locked

PERIOD_S = 0.5
RETRY_S = 2.0
MAX_RETRY_S = 30.0
LOOK_FOR_LOST_S = 5.0


class Caretaker:
    """Looks after the launches of a workspace; ``problem`` may be asked by other threads."""

    def __init__(self) -> None:
        self._problems: dict[str, str] = {}
        self._delays: dict[str, float] = {}
        self._retry_at: dict[str, float] = {}
        self._unsealed: dict[str, Path] = {}
        self._lost = LostWatch(LOOK_FOR_LOST_S, asks_slurm=True)

    def problem(self, key: str) -> str:
        """Why the next step of a launch did not succeed; "" if it did, or none was tried."""
        return self._problems.get(key, "")

    def seal_later(self, run_folder: Path, key: str) -> None:
        """Have a run sealed that has ended, and whose launch is not among the live ones."""
        self._unsealed.setdefault(key, run_folder)

    def start(self, workspace: Workspace) -> None:
        """Look after ``workspace`` in a thread of its own, which does not delay the end of the process."""
        threading.Thread(target=self._run, args=(workspace,), daemon=True).start()

    def _run(self, workspace: Workspace) -> NoReturn:
        while True:
            self.look(workspace)
            time.sleep(PERIOD_S)

    def look(self, workspace: Workspace) -> None:
        """Perform the next steps of all launches that nobody supervises."""
        for launch in live_launches(workspace):
            if time.monotonic() >= self._retry_at.get(launch.key, 0.0):
                self._attempt(workspace, launch.key, launch)
        for key, run_folder in list(self._unsealed.items()):
            if time.monotonic() >= self._retry_at.get(key, 0.0):
                self._attempt(workspace, key, run_folder)
        with suppress(Exception):
            self._lost.look(workspace)

    def _attempt(self, workspace: Workspace, key: str, work: Launch | Path) -> None:
        try:
            if isinstance(work, Launch):
                _settle_unsupervised(work)
            else:
                complete_end(work, key)
                del self._unsealed[key]
        except Exception as error:  # noqa: BLE001 - one launch that cannot be helped must not cost the others
            self._problems[key] = error_text(error, workspace)
            delay = min(2 * self._delays.get(key, RETRY_S / 2), MAX_RETRY_S)
            self._delays[key], self._retry_at[key] = delay, time.monotonic() + delay
        else:
            for known in (self._problems, self._delays, self._retry_at):
                known.pop(key, None)


def _settle_unsupervised(launch: Launch) -> None:
    # the lock is taken only if there is something to do: whoever takes it looks like a supervisor to others
    if launch.is_supervised():
        launch.continue_stopped()
        return
    if not next_step(launch.facts()):
        return
    if not os.path.lexists(launch.folder):
        return
    with locked(launch.folder / LOCK, wait=False) as lock:
        if lock is not None:
            settle(launch, lock)


CARETAKER = Caretaker()
