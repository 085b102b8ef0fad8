"""The supervisor of one run: waits for a slot, runs the job, ends it on request and records the end."""

from __future__ import annotations

import os
import select
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from console.hosts.agent import gpu, job_processes, notify, process
from console.hosts.agent.disk import FULL_ERRNOS, disk_space
from console.hosts.agent.gpu_slots import GpuBusy, GpuRefused, GpuSlots
from console.hosts.agent.job_environment import job_environment
from console.hosts.agent.launches import GRACE_S, Launch, abort_text, settle
from console.hosts.agent.lifecycle import owns_run
from console.hosts.agent.locks import queue_locked, run_locked
from console.hosts.agent.lost_watch import LostWatch
from console.hosts.agent.oom import OutOfMemoryWatch
from console.hosts.agent.run_record import exit_record, is_capsule
from console.hosts.agent.state_file import valid_state
from console.hosts.agent.workspace import ABORT, JOB, LOCK, Workspace, error_line, read_json, write_json
from engine.contract.file_lock import is_locked, take_lock
from engine.contract.run_folder import EXIT, LOG, STATE

QUEUE_POLL_S, MAX_QUEUE_POLL_S = 0.2, 1.0
LOCK_TIMEOUT_S = 3.0  # heartbeats and abort requests wait as long
HEARTBEAT_S = 2.0
LOOK_FOR_LOST_S = 30.0


class CannotStart(Exception):
    """The job can never be started; the text says why."""


class Replaced(Exception):
    """Nothing may be written to the run folder: it is another launch's by now, or another supervisor has this one."""


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
        self._memory: OutOfMemoryWatch | None = None  # from the job's start
        self._gpus: GpuSlots | None = None  # None: the run is not bound to a GPU here
        if spec.get("gpu"):
            environ = {**os.environ, **spec.get("env", {})}
            self._gpus = GpuSlots(workspace, spec["gpu"], int(spec["slots"]), environ)
        self._exit: dict[str, Any] | None = None  # as this supervisor records it
        self._log: int | None = None  # descriptor of the job's log, until the job has started
        self._launches: dict[str, tuple[int, Path]] = {}  # key -> ticket and run folder, of those in the queue
        self.wake, self._wake_write = os.pipe()
        self._last_beat = time.monotonic()
        self.terminated = False
        self._lost = LostWatch(LOOK_FOR_LOST_S, asks_slurm=False)

    def supervise(self) -> None:
        """Queue, run, record. Returns when the run has ended and is sealed, or its folder is another's before it began."""
        self._handle_signals()
        process.become_subreaper()
        self.state["supervisor"] = process.identity(os.getpid())
        try:
            self._enter_queue()
            self._run()
        except Replaced as replaced:
            log_line(str(replaced))

    def _enter_queue(self) -> None:
        """Record this supervisor; of two of one launch, the first one."""
        try:
            with queue_locked(self.workspace, LOCK_TIMEOUT_S):
                self._try_write_state()
        except OSError as error:
            log_line(f"state not written: {error}")

    def _run(self) -> None:
        slots: list[int] | None = []
        try:
            slots = self._wait_for_slot()
            if slots is not None:
                self._start(slots)
        except (CannotStart, OSError, subprocess.SubprocessError) as error:
            self._end("failed", None, f"the job did not start: {error}")
            return
        finally:
            for descriptor in (*(slots or ()), *(() if self._log is None else (self._log,))):
                with suppress(OSError):
                    os.close(descriptor)  # the job inherited them: its slot is taken until its last process is gone
        if slots is None:
            self._end_aborted(job_processes.Termination())
            return
        self._try_write_state()
        code = self._wait_for_exit()
        session = self.job.pid if self.job else None
        # also after a normal exit: what the job left in the background would keep the GPU
        termination = job_processes.terminate_job(self.key, os.getpid(), session, self.grace if code is None else 0.5)
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

    def _end_aborted(self, termination: job_processes.Termination) -> None:
        outcome = termination.remark + gpu.release_text(termination.pids)
        self._end("aborted", None, abort_text(self.job_folder) + outcome)

    def _wait_for_slot(self) -> list[int] | None:
        """Descriptors of the locks on a free slot and its GPU, first come first served; None if an abort was requested before.

        Raises:
            CannotStart: waiting would not help.
        """
        began = time.monotonic()
        while not self._abort_requested():
            try:
                slot = self._take_slot()
                problem = ""
            except GpuBusy as busy:
                slot, problem = None, str(busy)
            except OSError as error:  # the run stays queued until that is over
                slot, problem = None, self._problem(error)
            if slot is not None:
                return slot
            if problem != self.state.get("reason", ""):
                self._try_write_state(reason=problem)
            self._beat()
            # every queued run asks: where they wait for long, each of them does so less often
            self._sleep(min(QUEUE_POLL_S + (time.monotonic() - began) / 100, MAX_QUEUE_POLL_S))
        return None

    def _take_slot(self) -> list[int] | None:
        """Take a free slot, and a GPU for it, if this run is the next; it is recorded as running then."""
        paths = [self.workspace.slots / f"{number}.lock" for number in range(int(self.spec["slots"]))]
        # cheap questions first: nobody reads the queue while all slots are taken, and nvidia-smi is slow
        if disk_space(self.workspace.root).is_full or all(is_locked(path) for path in paths):
            return None
        if self._gpus is not None:
            if self._earlier_run_waits():
                return None
            self._gpus.ask()
        with queue_locked(self.workspace, LOCK_TIMEOUT_S):
            if self._earlier_run_waits():
                return None
            number, slot = next(
                ((at, slot) for at, path in enumerate(paths) if (slot := take_lock(path, wait=False)) is not None),
                (0, None),
            )
            if slot is None:
                return None
            held = [slot]
            try:
                held += self._gpus.take(number) if self._gpus is not None else []
                # before the queue's lock is free: else the next in line still sees this run waiting
                self._record_start()
            except BaseException as error:
                for descriptor in held:
                    os.close(descriptor)
                if isinstance(error, GpuRefused):
                    raise CannotStart(str(error)) from error
                raise
        return held

    def _record_start(self) -> None:
        """Make the job's log and record the run as running: a full disk keeps it in the queue.

        Raises:
            OSError: there is no room.
            CannotStart: something else has the log's name.
            Replaced: the run is another's.
        """
        before = self.state
        self._open_log()
        try:
            gpu_record = self._gpus.record if self._gpus is not None else {}
            self._write_state("running", started_at=time.time(), reason="", **gpu_record)
        except OSError:
            self.state = before
            raise

    def _open_log(self) -> int:
        """Descriptor of the job's log."""
        if self._log is None:
            path = self.run_folder / LOG
            if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
                raise CannotStart(f"{path} is no regular file")
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            self._log = os.open(path, flags, 0o644)
        return self._log

    def _problem(self, error: OSError) -> str:
        """Why the run does not start, for its state; nothing of a full disk, which the host reports by itself."""
        with suppress(OSError):
            self.workspace.prepare()  # its folders may have been deleted
        return "" if error.errno in FULL_ERRNOS else f"does not start yet: {error}"

    def _earlier_run_waits(self) -> bool:
        """Whether a supervised run with a smaller ticket is still queued; not one whose supervisor a signal has stopped."""
        for folder in self.workspace.jobs.iterdir():
            key = folder.name
            if key not in self._launches and self.workspace.is_key(key):
                launch = Launch(self.workspace, key)
                if launch.run_folder is not None:
                    self._launches[key] = launch.ticket, launch.run_folder  # read once: it never changes
            ticket, run_folder = self._launches.get(key, (None, None))
            if ticket is None or run_folder is None or ticket >= self.spec["ticket"]:
                continue
            state = valid_state(run_folder)
            queued = state.get("key") == key and state.get("state") == "queued"
            with suppress(OSError):  # a lock of another launch that is no file must not end this one
                if queued and is_locked(folder / LOCK) and not process.stopped(state.get("supervisor")):
                    return True
        return False

    def _start(self, slots: list[int]) -> None:
        """Start the job; if this raises OSError, it did not start."""
        marks = {process.KEY_VARIABLE: self.key, process.FOLDER_VARIABLE: os.path.realpath(self.run_folder)}
        gpu_variables = self._gpus.environment if self._gpus is not None else {}
        # A session of its own: an abort that signals the job's session or group must not reach this process. A subreaper:
        # should this process die alone, what the job forks stays below the job.
        self._memory = OutOfMemoryWatch()
        self.job = subprocess.Popen(
            self.spec["argv"],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd=self.workspace.root,
            env={**job_environment(self.spec), **gpu_variables, **marks},
            start_new_session=True,
            preexec_fn=process.become_subreaper,  # noqa: PLW1509 - this process has one thread
            pass_fds=slots,
        )

    def _record_job(self) -> None:
        """Record the job's process; an error must not end its supervision, and the next heartbeat tries again."""
        if self.job is not None and not self.state.get("job"):
            with suppress(OSError):
                self.state = {**self.state, "job": process.identity(self.job.pid)}

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
            self._look_for_lost()
            if self._memory is not None:
                self._memory.look()

    def _look_for_lost(self) -> None:
        """Tell of other runs that are lost: while no console is there, nobody else does."""
        with suppress(Exception):
            self._lost.look(self.workspace)

    def _try_write_state(self, durable: bool = True, **changes: Any) -> None:
        """Write the state; a full disk must not end the process that records the run's end.

        Raises:
            Replaced: the run is another's, and its job has not started. One that runs is supervised to its end.
        """
        self._record_job()
        try:
            self._write_state(self.state["state"], durable, **changes)
        except OSError as error:
            log_line(f"state not written: {error}")
        except Replaced:
            if self.job is None:
                raise

    def _failure_reason(self, code: int) -> str:
        """Why the job failed: the line of its log that is its error; "" for exit code 0."""
        if code == 0:
            return ""
        last = error_line(self.run_folder / LOG)
        memory = self._memory.evidence(self.job.pid) if self._memory and self.job else ""
        if memory:
            return memory + (f"; its log ends with: {last}" if last else "")
        if code < 0:
            name = signal.Signals(-code).name if -code in list(signal.Signals) else str(-code)
            return f"killed by {name}" + (f"; its log ends with: {last}" if last else "")
        return last or f"exit code {code}"

    def _write_state(self, state: str, durable: bool = True, **more: Any) -> None:
        self.state = {**self.state, **more, "state": state, "key": self.key}
        self._write(STATE, self.state, durable)

    def _write(self, name: str, content: dict[str, Any], durable: bool = True) -> None:
        """Replace a file of the run's.

        Raises:
            OSError: it cannot be written now.
            Replaced: the run is another's.
        """
        with run_locked(self.run_folder, LOCK_TIMEOUT_S):
            recorded = valid_state(self.run_folder)
            lives = process.alive(recorded.get("supervisor"))
            if self._has_other_end():
                raise Replaced(f"not written: the end of {self.run_folder} is recorded already")
            if not owns_run(self.key, self.state["supervisor"], recorded, lives):
                raise Replaced(f"not written: {self.run_folder} is {recorded['state']} under {recorded['key']}")
            write_json(self.run_folder / name, content, durable)

    def _has_other_end(self) -> bool:
        """Whether somebody else has recorded the run's end, or sealed it."""
        exit_there = read_json(self.run_folder / EXIT) or {}
        ended = exit_there.get("key") == self.key and exit_there != self._exit
        return ended or is_capsule(self.run_folder, self.key)

    def _end(self, state: str, code: int | None, reason: str) -> None:
        """Record the end: the exit first, for the rest can be derived from it; the manifest last, for it covers all files."""
        record = self._exit = exit_record(self.key, state, code, reason)
        self._retry(
            lambda: self._write(EXIT, record), lambda: notify.tell_full(Launch(self.workspace, self.key), record)
        )
        self._retry(lambda: self._write_state(**record))
        self._retry(lambda: settle(Launch(self.workspace, self.key), self.lock))

    def _retry(self, write: Callable[[], None], tell_full: Callable[[], None] | None = None) -> None:
        """Repeat ``write`` until the disk takes it: an end is recorded late rather than never, unless the run is deleted.

        ``tell_full`` is called once if the disk is full: nobody may look at the host before that has cost hours.
        """
        while True:
            try:
                return write()
            except Replaced as replaced:
                return log_line(str(replaced))
            except OSError as error:
                if not self.run_folder.is_dir():
                    return None
                log_line(f"not written yet: {error}")
                if tell_full is not None and error.errno in FULL_ERRNOS:
                    tell_full()
                    tell_full = None
                self._sleep(HEARTBEAT_S)


def log_line(text: str) -> None:
    """Write to the supervisor's own log; its disk may be full."""
    with suppress(OSError):
        os.write(2, f"{text}\n".encode())


def main(root: str, key: str, lock: str) -> None:
    """Supervise the launch ``key`` detached; ``lock`` is the inherited descriptor of its job's lock."""
    process.detach(int(lock))
    Supervisor(Workspace(Path(root)), key, int(lock)).supervise()
