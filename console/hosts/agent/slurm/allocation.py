"""The supervisor of a run inside a Slurm allocation: Slurm is its queue, and may send it SIGTERM."""

from __future__ import annotations

import itertools
import os
import re
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

from console.hosts.agent import notify
from console.hosts.agent.disk import disk_space
from console.hosts.agent.job_processes import Termination
from console.hosts.agent.run_record import with_recorded_exit
from console.hosts.agent.slurm import commands as slurm
from console.hosts.agent.slurm.queue import array_keys, recorded_job
from console.hosts.agent.slurm.state import mark_submitted
from console.hosts.agent.state_file import valid_state
from console.hosts.agent.supervisor import HEARTBEAT_S, Supervisor, log_line
from console.hosts.agent.workspace import ABORT, JOB, LOCK, Workspace, read_json
from engine.contract.file_lock import take_lock
from engine.contract.run_folder import ENDED, STATE

LOCK_TIMEOUT_S = 120.0  # the launch holds the job's lock until Slurm has returned the job's id
NOTIFY_LIMIT_S = 15.0  # Slurm ends what is left of an allocation with its supervisor
SIGNAL_SKEW_S = 0.5  # how much later than the job its supervisor may get Slurm's SIGTERM
END_MESSAGE = re.compile(r"CANCELLED AT \S+(?: DUE TO (?P<why>[^*]+?))? \*\*\*")


class AllocatedSupervisor(Supervisor):
    """Supervises one attempt of a run. A run that Slurm requeues has another attempt in another allocation."""

    grace = 2.0  # Slurm sends SIGKILL some seconds after its SIGTERM; the end must be recorded before

    def __init__(self, workspace: Workspace, key: str, lock: int, slurm_log: Path) -> None:
        super().__init__(workspace, key, lock)
        self.slurm_log = slurm_log
        self._log_start = slurm_log.stat().st_size if slurm_log.exists() else 0  # after the output of earlier attempts
        self.restart = int(os.environ.get("SLURM_RESTART_COUNT") or 0)
        allocation = {"job": os.environ.get("SLURM_JOB_ID", ""), "node": socket.gethostname(), "restart": self.restart}
        self.state = {**self.state, "reason": "", "job": None, "slurm": allocation}

    def _look_for_lost(self) -> None:
        """Leave that to agents: from a node nothing is known of processes on other machines."""

    def _wait_for_slot(self) -> list[int] | None:
        remark: str | None = None
        while not self._abort_requested():
            try:
                if not disk_space(self.workspace.root).is_full:
                    remark = self._resume_or_start_over() if remark is None else remark
                    self._record_start()
                    with suppress(OSError):
                        os.write(self._open_log(), remark.encode())
                    return []
            except OSError as error:  # such as a full disk: the allocation waits for room
                log_line(f"not started yet: {error}")
            self._beat()
            self._sleep(HEARTBEAT_S)
        return None

    def _wait_for_exit(self) -> int | None:
        code = super()._wait_for_exit()
        # Slurm signals all processes of an allocation: the job may die of it before the signal arrives here, and must
        # not count as failed by itself then
        deadline = time.monotonic() + SIGNAL_SKEW_S
        while code is not None and not self._abort_requested() and (left := deadline - time.monotonic()) > 0:
            self._sleep(left)
        return None if self._abort_requested() and not (code == 0 and not self.terminated) else code

    def _end_aborted(self, termination: Termination) -> None:
        if (self.job_folder / ABORT).exists():  # else it was Slurm that sent SIGTERM
            super()._end_aborted(termination)
            return
        reason = self._end_reason()
        if reason == "job requeue" or slurm.restarts(os.environ.get("SLURM_JOB_ID", "")) > self.restart:
            requeued = f"requeued by Slurm: {reason}"
            self._retry(lambda: self._write_state("queued", supervisor=None, job=None, reason=requeued))
        else:
            self._end("failed", None, f"Slurm ended it: {reason}{termination.remark}")

    def _end_reason(self) -> str:
        """Why Slurm ended the allocation, from its log of the job: time limit, preemption, node failure, job requeue."""
        try:
            output = self.slurm_log.read_bytes()[self._log_start :].decode("utf-8", "replace")
        except OSError:
            output = ""
        found = list(END_MESSAGE.finditer(output))
        return (found[-1]["why"] or "cancelled").lower() if found else "terminated"

    def _resume_or_start_over(self) -> str:
        """After an attempt that Slurm interrupted: resume from its checkpoint, else set its files aside and start over.

        Returns the line for the log that says so; "" for a first attempt.
        """
        left = [path for path in self.run_folder.iterdir() if path.name != STATE and path.name[0] != "."]
        if not left:
            return ""
        restart = self.spec.get("restart") or {}
        checkpoint = restart.get("checkpoint")
        if checkpoint and (self.run_folder / Path(checkpoint).name).exists():
            options = [option for option in restart.get("argv", []) if option not in self.spec["argv"]]
            if not options and not self.restart:
                return ""  # the first attempt of a run that was launched to resume: the checkpoint was copied for it
            self.spec["argv"] = [*self.spec["argv"], *options]
            how = "it resumes from its checkpoint"
        else:
            aside = self._make_aside()
            for path in left:
                path.rename(aside / path.name)
            how = f"it starts over; the files of the attempt before are in {aside}"
        return f"--- Slurm started this run again on {socket.gethostname()}: {how} ---\n"

    def _make_aside(self) -> Path:
        name = f"{self.run_folder.name}-{self.key}-attempt"
        paths = (self.run_folder.parent / ".previous" / f"{name}{number}" for number in itertools.count(1))
        aside = next(path for path in paths if not path.exists())
        aside.mkdir(parents=True, mode=0o700)
        return aside


def main(root: str, name: str, index: str | None = None) -> None:
    """Supervise the launch ``name``, or the one at ``index`` of the array ``name``, in this process.

    Slurm may start a second job for a run: that one ends without touching it.
    """
    workspace = Workspace(Path(root))
    key = name if index is None else array_keys(workspace.arrays, name)[int(index)]
    job = workspace.job(key)
    log = job / "slurm.log" if index is None else workspace.arrays / f"{name}_{int(index)}.log"
    lock = _hold_lock(job / LOCK)
    if lock is None:
        print("this run is supervised elsewhere", file=sys.stderr)
        return
    spec = read_json(job / JOB) or {}
    run_folder = Path(spec.get("run_folder", job))
    state = with_recorded_exit(run_folder, valid_state(run_folder))
    if state.get("key") != key or state.get("state") in ENDED:
        print(f"nothing to do: {run_folder} is {state.get('state')} under {state.get('key')}", file=sys.stderr)
        return
    with suppress(OSError):
        if not recorded_job(job):  # the process that submitted it died, or was not told the id
            mark_submitted(job, _job_id(index), log)
    with suppress(OSError), open(job / "supervisor.log", "ab") as own:  # else Slurm's own log gets the messages
        os.dup2(own.fileno(), 1)
        os.dup2(own.fileno(), 2)
    AllocatedSupervisor(workspace, key, lock, log).supervise()
    os.close(lock)  # the run has ended: whoever launches it again does not wait for a service
    notify.wait_for_senders(NOTIFY_LIMIT_S)


def _job_id(index: str | None) -> str:
    """This allocation's id as ``squeue`` lists it."""
    if index is None:
        return os.environ.get("SLURM_JOB_ID", "")
    return f"{os.environ.get('SLURM_ARRAY_JOB_ID', '')}_{int(index)}"


def _hold_lock(path: Path) -> int | None:
    """Take the job's lock until this process ends; None if another process keeps it."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while (taken := take_lock(path, wait=False)) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return taken
