"""One run's supervisor: waits its turn, runs the job, ends it when told to, and records the end whoever watches."""

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
from console.hosts.agent.workspace import Workspace, last_lines, read_json, seal, write_json
from engine.contract.file_lock import is_locked, locked, take_lock
from engine.contract.run_folder import EXIT, LOG, STATE

QUEUE_POLL_S = 0.2
HEARTBEAT_S = 2.0
GRACE_S = 5.0


class Supervisor:
    """The life of one job. Holds ``lock`` from the claim to the end, so that a free lock means nobody supervises."""

    grace = GRACE_S

    def __init__(self, workspace: Workspace, key: str) -> None:
        self.workspace = workspace
        self.key = key
        self.job_folder = workspace.job(key)
        spec = read_json(self.job_folder / "job.json")
        if spec is None:
            raise SystemExit(f"{self.job_folder}/job.json cannot be read")
        self.spec: dict[str, Any] = spec
        self.run_folder = Path(spec["run_folder"])
        self.state: dict[str, Any] = read_json(self.run_folder / STATE) or {"key": key, "state": "queued"}
        self.job: subprocess.Popen[bytes] | None = None
        self.wake, self._wake_write = os.pipe()

    def live(self) -> None:
        """Queue, run, record. Returns when the run has ended and its capsule is sealed."""
        self._listen()
        process.become_subreaper()
        self._say("queued", supervisor=process.identity(os.getpid()))
        slots = self._wait_for_slot()
        if slots is None:
            self._end_as_told(process.Sweep(True, frozenset()))
            return
        try:
            self._start(slots)
        except OSError as error:
            self._end("failed", None, f"the job did not start: {error}")
            return
        finally:
            for slot in slots:
                os.close(slot)  # the job holds it now: it stays taken until the job's last process is gone
        code = self._watch()
        session = self.job.pid if self.job else None
        swept = process.end_all(self.key, os.getpid(), session, self.grace if code is None else 0.5)
        if code is None:
            self._end_as_told(swept)
        else:
            self._end("finished" if code == 0 else "failed", code, self._why(code))

    def _listen(self) -> None:
        """SIGTERM asks for an abort; SIGCHLD and SIGTERM both wake the watch at once."""
        os.set_blocking(self.wake, False)
        os.set_blocking(self._wake_write, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _pause(self, seconds: float) -> None:
        """Sleep, but wake at once on a signal."""
        if select.select([self.wake], [], [], seconds)[0]:
            os.read(self.wake, 4096)

    def _told_to_end(self) -> bool:
        return (self.job_folder / "abort.json").exists()

    def _end_as_told(self, swept: process.Sweep) -> None:
        told = read_json(self.job_folder / "abort.json") or {}
        outcome = swept.remark + gpu.verdict(swept.pids)
        self._end("aborted", None, f"aborted by {told.get('by', 'somebody')}{outcome}")

    def _wait_for_slot(self) -> list[int] | None:
        """A free slot, first come first served; None if told to abort before one was free."""
        beat = time.monotonic()
        while not self._told_to_end():
            with locked(self.workspace.queue_lock):
                if not self._somebody_before():
                    for number in range(int(self.spec["slots"])):
                        slot = take_lock(self.workspace.slots / f"{number}.lock", wait=False)
                        if slot is not None:
                            self._say("running", started_at=time.time())  # under the lock: the next in line sees it
                            return [slot]
            if time.monotonic() - beat > HEARTBEAT_S:
                beat = time.monotonic()
                self._say("queued", durable=False, heartbeat=self.state.get("heartbeat", 0) + 1)
            self._pause(QUEUE_POLL_S)
        return None

    def _somebody_before(self) -> bool:
        """Whether a supervised run with a smaller ticket still waits."""
        for folder in self.workspace.jobs.iterdir():
            spec = read_json(folder / "job.json")
            if spec is None or spec["ticket"] >= self.spec["ticket"]:
                continue
            state = read_json(Path(spec["run_folder"]) / STATE) or {}
            waits = state.get("key") == spec["key"] and state.get("state") == "queued"
            if waits and is_locked(folder / "lock"):
                return True
        return False

    def _start(self, slots: list[int]) -> None:
        """Start the job in a session of its own: a signal to it never reaches its recorder."""
        with open(self.run_folder / LOG, "ab") as log:
            self.job = subprocess.Popen(
                self.spec["argv"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.workspace.root,
                env={**os.environ, **self.spec.get("env", {}), process.MARK: self.key, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
                pass_fds=slots,
            )
        self._say("running", job=process.identity(self.job.pid))

    def _watch(self) -> int | None:
        """Wait for the job's exit; None if told to abort before it came."""
        assert self.job is not None
        beat = time.monotonic()
        while True:
            code = self.job.poll()
            if code is not None:
                return code
            if self._told_to_end():
                return None
            if time.monotonic() - beat > HEARTBEAT_S:
                beat = time.monotonic()
                self._say("running", durable=False, heartbeat=self.state.get("heartbeat", 0) + 1)
            self._pause(HEARTBEAT_S)

    def _why(self, code: int | None) -> str:
        """The reason of a failure: the last line of the log, where a program says why it ended."""
        if code == 0:
            return ""
        last = last_lines(self.run_folder / LOG)
        if code is not None and code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = str(-code)
            return f"killed by {name}" + (f"; its last words: {last}" if last else "")
        return last or f"exit code {code}"

    def _say(self, state: str, durable: bool = True, **more: Any) -> None:
        """Write the state. A heartbeat that cannot be written is let go: a full disk must not end the run's recorder."""
        self.state = {**self.state, **more, "state": state, "key": self.key}
        try:
            write_json(self.run_folder / STATE, self.state, durable)
        except OSError as error:
            if durable:
                raise
            complain(f"no heartbeat: {error}")

    def _end(self, state: str, code: int | None, reason: str) -> None:
        """Record the end: the exit first, since all else can be told from it; the seal last, since it covers all."""
        ended = time.time()
        record = {"key": self.key, "state": state, "exit_code": code, "reason": reason, "ended_at": ended}
        self._insist(lambda: write_json(self.run_folder / EXIT, record))
        self._insist(lambda: self._say(state, exit_code=code, reason=reason, ended_at=ended))
        self._insist(lambda: seal(self.run_folder, self.key))

    def _insist(self, write: Callable[[], None]) -> None:
        """Write until the disk takes it: an end is recorded late rather than never, unless somebody deleted the run."""
        while True:
            try:
                return write()
            except OSError as error:
                if not self.run_folder.is_dir():
                    return None
                complain(f"not written yet: {error}")
                self._pause(HEARTBEAT_S)


def complain(what: str) -> None:
    """A line in the supervisor's own log, which may lie on the very disk that is full."""
    with suppress(OSError):
        os.write(2, f"{what}\n".encode())


def main(root: str, key: str, lock: str) -> None:
    """Leave the launcher behind (its parent waits only for the first fork), keep the claim's lock, live."""
    os.set_inheritable(int(lock), False)
    if os.fork():
        os._exit(0)
    try:
        Supervisor(Workspace(Path(root)), key).live()
    except BaseException as error:
        complain(repr(error))
        raise
