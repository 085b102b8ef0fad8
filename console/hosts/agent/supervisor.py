"""The supervisor of one run: waits for a slot, runs the job, ends it on request and records the end."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from console.hosts.agent import gpu, process
from console.hosts.agent.launches import GRACE_S, Launch, abort_text, exit_record, settle
from console.hosts.agent.state_file import valid_state
from console.hosts.agent.workspace import ABORT, JOB, LOCK, Workspace, last_line, read_json, write_json
from engine.contract.file_lock import is_locked, locked, take_lock
from engine.contract.run_folder import EXIT, LOG, STATE

QUEUE_POLL_S = 0.2
HEARTBEAT_S = 2.0


class Supervisor:
    """Supervises one job. Its process holds the job's lock from the claim to the end: a free lock means no supervisor."""

    grace = GRACE_S

    def __init__(self, workspace: Workspace, key: str, lock: int) -> None:
        self.workspace = workspace
        self.key = key
        self.lock = lock
        self.job_folder = workspace.job(key)
        spec = read_json(self.job_folder / JOB)
        if spec is None:
            raise SystemExit(f"{self.job_folder / JOB} cannot be read")
        self.spec: dict[str, Any] = spec
        self.run_folder = Path(spec["run_folder"])
        self.state: dict[str, Any] = valid_state(self.run_folder) or {"key": key, "state": "queued"}
        self.job: subprocess.Popen[bytes] | None = None
        self.wake, self._wake_write = os.pipe()
        self._last_beat = time.monotonic()
        self.terminated = False

    def supervise(self) -> None:
        """Queue, run, record. Returns when the run has ended and is sealed."""
        self._handle_signals()
        process.become_subreaper()
        self._write_state("queued", supervisor=process.identity(os.getpid()))
        slots = self._wait_for_slot()
        if slots is None:
            self._end_aborted(process.Termination())
            return
        try:
            self._start(slots)
        except OSError as error:
            self._end("failed", None, f"the job did not start: {error}")
            return
        finally:
            for slot in slots:
                os.close(slot)  # the job inherited it: the slot stays taken until the job's last process is gone
        code = self._wait_for_exit()
        session = self.job.pid if self.job else None
        # also after a normal exit: what the job left in the background would keep the GPU
        termination = process.terminate_job(self.key, os.getpid(), session, self.grace if code is None else 0.5)
        if code is None:
            self._end_aborted(termination)
        else:
            self._end("finished" if code == 0 else "failed", code, self._failure_reason(code))

    def _handle_signals(self) -> None:
        """SIGTERM requests an abort; SIGTERM and SIGCHLD interrupt ``_sleep`` at once."""
        os.set_blocking(self.wake, False)
        os.set_blocking(self._wake_write, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._terminate)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _terminate(self, *_: object) -> None:
        self.terminated = True

    def _sleep(self, seconds: float) -> None:
        """Sleep, but wake at once on a signal."""
        if select.select([self.wake], [], [], seconds)[0]:
            os.read(self.wake, 4096)

    def _abort_requested(self) -> bool:
        # the signal alone is enough: on a full disk there may be no file to say so
        return self.terminated or (self.job_folder / ABORT).exists()

    def _end_aborted(self, termination: process.Termination) -> None:
        outcome = termination.remark + gpu.release_text(termination.pids)
        self._end("aborted", None, abort_text(self.job_folder) + outcome)

    def _wait_for_slot(self) -> list[int] | None:
        """Descriptor of a free slot's lock, first come first served; None if an abort was requested before."""
        while not self._abort_requested():
            slot = self._take_slot()
            if slot is not None:
                return [slot]
            self._beat()
            self._sleep(QUEUE_POLL_S)
        return None

    def _take_slot(self) -> int | None:
        before = self.state
        with locked(self.workspace.queue_lock):
            slots = 0 if self._earlier_run_waits() else int(self.spec["slots"])
            for number in range(slots):
                slot = take_lock(self.workspace.slots / f"{number}.lock", wait=False)
                if slot is None:
                    continue
                try:
                    # before the queue's lock is free: else the next in line still sees this run waiting
                    self._write_state("running", started_at=time.time())
                    return slot
                except OSError as error:  # a full disk: the run stays queued until there is room
                    log_line(f"state not written: {error}")
                    self.state = before
                    os.close(slot)
        return None

    def _earlier_run_waits(self) -> bool:
        """Whether a supervised run with a smaller ticket is still queued."""
        for folder in self.workspace.jobs.iterdir():
            spec = read_json(folder / JOB)
            if spec is None or spec["ticket"] >= self.spec["ticket"]:
                continue
            state = valid_state(Path(spec["run_folder"]))
            waits = state.get("key") == spec["key"] and state.get("state") == "queued"
            if waits and is_locked(folder / LOCK):
                return True
        return False

    def _start(self, slots: list[int]) -> None:
        marks = {process.KEY_VARIABLE: self.key, process.FOLDER_VARIABLE: os.path.realpath(self.run_folder)}
        # A session of its own: an abort that signals the job's session or group must not reach this process. A subreaper:
        # should this process die alone, what the job forks stays below the job.
        with open(self.run_folder / LOG, "ab") as log:
            self.job = subprocess.Popen(
                self.spec["argv"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.workspace.root,
                env={**os.environ, **self.spec.get("env", {}), **marks, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
                preexec_fn=process.become_subreaper,  # noqa: PLW1509 - this process has one thread
                pass_fds=slots,
            )
        # the job runs by now: an error must not end its supervision, and the next heartbeat writes the state again
        self._try_write_state(job=process.identity(self.job.pid))

    def _wait_for_exit(self) -> int | None:
        """The job's exit code; None if an abort was requested first."""
        assert self.job is not None
        while (code := self.job.poll()) is None and not self._abort_requested():
            self._beat()
            self._sleep(HEARTBEAT_S)
        return code

    def _beat(self) -> None:
        """Advance the heartbeat if the last one is long enough ago."""
        if time.monotonic() - self._last_beat > HEARTBEAT_S:
            self._try_write_state(durable=False, heartbeat=self.state.get("heartbeat", 0) + 1)
            self._last_beat = time.monotonic()

    def _try_write_state(self, durable: bool = True, **changes: Any) -> None:
        """Write the state; a full disk must not end the process that records the run's end."""
        try:
            self._write_state(self.state["state"], durable, **changes)
        except OSError as error:
            log_line(f"state not written: {error}")

    def _failure_reason(self, code: int) -> str:
        """Why the job failed: the last line of its log, where programs print their error; "" for exit code 0."""
        if code == 0:
            return ""
        last = last_line(self.run_folder / LOG)
        if code < 0:
            name = signal.Signals(-code).name if -code in list(signal.Signals) else str(-code)
            return f"killed by {name}" + (f"; last line of its log: {last}" if last else "")
        return last or f"exit code {code}"

    def _write_state(self, state: str, durable: bool = True, **more: Any) -> None:
        self.state = {**self.state, **more, "state": state, "key": self.key}
        write_json(self.run_folder / STATE, self.state, durable)

    def _end(self, state: str, code: int | None, reason: str) -> None:
        """Record the end: the exit first, for the rest can be derived from it; the manifest last, for it covers all files."""
        record = exit_record(self.key, state, code, reason)
        self._retry(lambda: write_json(self.run_folder / EXIT, record))
        self._retry(lambda: self._write_state(**record))
        self._retry(lambda: settle(Launch(self.workspace, self.key), self.lock))

    def _retry(self, write: Callable[[], None]) -> None:
        """Repeat ``write`` until the disk takes it: an end is recorded late rather than never, unless the run is deleted."""
        while True:
            try:
                return write()
            except OSError as error:
                if not self.run_folder.is_dir():
                    return None
                log_line(f"not written yet: {error}")
                self._sleep(HEARTBEAT_S)


def log_line(text: str) -> None:
    """Write to the supervisor's own log; its disk may be full."""
    with suppress(OSError):
        os.write(2, f"{text}\n".encode())


def main(root: str, key: str, lock: str) -> None:
    """Supervise the launch ``key`` detached; ``lock`` is the inherited descriptor of its job's lock."""
    process.detach(int(lock))
    Supervisor(Workspace(Path(root)), key, int(lock)).supervise()
