"""A run's supervisor inside an allocation of Slurm: there is no queue to wait in, and SIGTERM may come from Slurm."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
from pathlib import Path

from console.hosts.agent.process import Sweep
from console.hosts.agent.run_end import as_recorded
from console.hosts.agent.slurm import commands as slurm
from console.hosts.agent.slurm.queue import array_keys
from console.hosts.agent.supervisor import Supervisor, complain
from console.hosts.agent.workspace import Workspace, read_json
from engine.contract.file_lock import take_lock
from engine.contract.run_folder import ENDED, LOG, STATE

LIFE_WAIT_S = 120.0  # the launch holds the life's lock until Slurm has told it the job's id
FIRST_HEARD_S = 0.5  # by so much may the job hear of the allocation's end before its supervisor does
ENDED_BY = re.compile(r"CANCELLED AT \S+(?: DUE TO (?P<why>[^*]+?))? \*\*\*")


class AllocatedSupervisor(Supervisor):
    """The life of one job in one allocation; put back in the queue by Slurm, it has another life in another one."""

    grace = 2.0  # Slurm kills what is left some seconds after its SIGTERM, and the end must be recorded before

    def __init__(self, workspace: Workspace, key: str, slurm_log: Path) -> None:
        super().__init__(workspace, key)
        self.slurm_log = slurm_log
        self._said_before = slurm_log.stat().st_size if slurm_log.exists() else 0  # of attempts before
        self.terminated = False
        self.restart = int(os.environ.get("SLURM_RESTART_COUNT") or 0)
        place = {"job": os.environ.get("SLURM_JOB_ID", ""), "node": socket.gethostname(), "restart": self.restart}
        self.state = {**self.state, "reason": "", "job": None, "slurm": place}

    def _listen(self) -> None:
        super()._listen()
        signal.signal(signal.SIGTERM, self._terminate)

    def _terminate(self, *_: object) -> None:
        self.terminated = True

    def _wait_for_slot(self) -> list[int] | None:
        if self._told_to_end():
            return None
        self._follow_on()
        self._say("running", started_at=time.time())
        return []

    def _told_to_end(self) -> bool:
        return self.terminated or super()._told_to_end()

    def _watch(self) -> int | None:
        """The exit of a job that ended by itself. Slurm signals all processes of an allocation: the job may die first."""
        code = super()._watch()
        deadline = time.monotonic() + FIRST_HEARD_S
        while code is not None and not self._told_to_end() and (left := deadline - time.monotonic()) > 0:
            self._pause(left)
        return None if self._told_to_end() and not (code == 0 and not self.terminated) else code

    def _end_as_told(self, swept: Sweep) -> None:
        if super()._told_to_end():
            super()._end_as_told(swept)
            return
        why = self._slurms_reason()
        if why == "job requeue" or slurm.restarts(os.environ.get("SLURM_JOB_ID", "")) > self.restart:
            self._say("queued", supervisor=None, job=None, reason=f"Slurm puts it back in its queue: {why}")
        else:
            self._end("failed", None, f"Slurm ended it: {why}{swept.remark}")

    def _slurms_reason(self) -> str:
        """Why Slurm ended the allocation, as it says in the job's log: time limit, preemption, node failure, job requeue."""
        try:
            said = self.slurm_log.read_bytes()[self._said_before :].decode("utf-8", "replace")
        except OSError:
            said = ""
        found = list(ENDED_BY.finditer(said))
        return (found[-1]["why"] or "cancelled").lower() if found else "terminated"

    def _follow_on(self) -> None:
        """After an attempt that Slurm cut off: go on from its checkpoint, else set what it left aside and start over."""
        left = [path for path in self.run_folder.iterdir() if path.name != STATE and path.name[0] != "."]
        if not left:
            return
        again = self.spec.get("restart") or {}
        checkpoint = again.get("checkpoint")
        if checkpoint and (self.run_folder / Path(checkpoint).name).exists():
            words = [word for word in again.get("argv", []) if word not in self.spec["argv"]]
            if not words and not self.restart:
                return  # it was launched to go on from there
            self.spec["argv"] = [*self.spec["argv"], *words]
            how = "it goes on from its checkpoint"
        else:
            aside = self._aside()
            for path in left:
                path.rename(aside / path.name)
            how = f"it starts over; what it left before is in {aside}"
        with open(self.run_folder / LOG, "a", encoding="utf-8") as log:
            log.write(f"--- Slurm started this run again on {socket.gethostname()}: {how} ---\n")

    def _aside(self) -> Path:
        previous = self.run_folder.parent / ".previous"
        number = 1
        while True:
            aside = previous / f"{self.run_folder.name}-{self.key}-attempt{number}"
            try:
                aside.mkdir(parents=True, mode=0o700)
                return aside
            except FileExistsError:
                number += 1


def main(root: str, name: str, index: str | None = None) -> None:
    """Supervise the run ``name``, or the one at ``index`` of the array ``name``, here and now.

    A job too many for a run ends without touching it: one life at a time, and none after the end.
    """
    workspace = Workspace(Path(root))
    key = name if index is None else array_keys(workspace.arrays, name)[int(index)]
    job = workspace.job(key)
    log = job / "slurm.log" if index is None else workspace.arrays / f"{name}_{int(index)}.log"
    life = _take_life(job / "lock")
    if life is None:
        print("this run is supervised elsewhere", file=sys.stderr)
        return
    spec = read_json(job / "job.json") or {}
    run_folder = Path(spec.get("run_folder", job))
    state = as_recorded(run_folder, read_json(run_folder / STATE) or {})
    if state.get("key") != key or state.get("state") in ENDED:
        print(f"nothing to do: {run_folder} is {state.get('state')} under {state.get('key')}", file=sys.stderr)
        return
    with open(job / "supervisor.log", "ab") as own:
        os.dup2(own.fileno(), 1)
        os.dup2(own.fileno(), 2)
    try:
        AllocatedSupervisor(workspace, key, log).live()
    except BaseException as error:
        complain(repr(error))
        raise


def _take_life(path: Path) -> int | None:
    """The life's lock, held until this process ends; None if somebody else keeps it."""
    deadline = time.monotonic() + LIFE_WAIT_S
    while (life := take_lock(path, wait=False)) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return life
