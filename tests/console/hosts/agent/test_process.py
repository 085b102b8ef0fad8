"""Processes of a job: found by tree, marks and open files; ended, or named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from console.hosts.agent import job_processes, process
from console.hosts.agent.job_processes import JobProcesses, ProcessCounts

KEY = uuid.uuid4().hex  # another one in each worker: processes of a job are found on the whole machine
SLEEP = "import time\nprint('ready', flush=True)\ntime.sleep(600)"


class Job:
    """A job without a supervisor: its main process, and what it has forked."""

    def __init__(self, folder: Path, code: str) -> None:
        self.folder = folder
        marks = {process.KEY_VARIABLE: KEY, process.FOLDER_VARIABLE: str(folder)}
        folder.mkdir()
        self.log = folder / "log.txt"
        with open(self.log, "ab") as log:
            self.main = subprocess.Popen(
                [sys.executable, "-c", code],
                stdout=log,
                env={"PATH": os.environ["PATH"], **marks},
                start_new_session=True,
                preexec_fn=process.become_subreaper,  # noqa: PLW1509 - as the supervisor
            )


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.01)


def living(pids: set[int] | frozenset[int]) -> set[int]:
    return {pid for pid in pids if (stat := process.read_stat(pid)) is not None and stat.living}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Job]]:
    """Starts a job, ready when it has written to its log; it is ended after the test with all that is found of it."""
    started: list[Job] = []

    def start(code: str) -> Job:
        job = Job(tmp_path / "run", code)
        started.append(job)
        wait_until(lambda: job.log.read_text() != "")
        return job

    yield start
    for job in started:
        JobProcesses(KEY, None, job.main.pid, job.folder).terminate(0.0)
        job.main.wait()


DAEMONS = """
import subprocess, sys, time
daemon = "import time; open({log!r}, 'a').write('daemon '); time.sleep(600)"
# in a session of its own, with an empty environment, and an orphan: the process between ends at once
between = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {{daemon!r}}], start_new_session=True)"
for _ in range({count}):
    subprocess.run([sys.executable, "-c", between], env={{}}, stdout={stdout})
time.sleep(600)
"""


def daemons(job: Job) -> set[int]:
    """The job's processes below it, those among them that end at once too."""
    return {child.pid for child in psutil.Process(job.main.pid).children(recursive=True)}


def test_orphans_without_any_mark_stay_below_the_job_that_is_their_subreaper(
    tmp_path: Path, start: Callable[[str], Job]
) -> None:
    job = start(DAEMONS.format(log=str(tmp_path / "run/log.txt"), count=3, stdout="subprocess.DEVNULL"))
    wait_until(lambda: job.log.read_text().count("daemon") == 3 and len(daemons(job)) == 3)
    orphans = daemons(job)
    ended = JobProcesses(KEY, None, job.main.pid).terminate(5.0)
    assert ended.pids == orphans | {job.main.pid}
    assert not living(ended.pids) and ended.survivors == ()


def test_orphans_of_a_job_that_is_gone_are_found_by_the_log_that_they_write(
    tmp_path: Path, start: Callable[[str], Job]
) -> None:
    job = start(DAEMONS.format(log=str(tmp_path / "run/log.txt"), count=2, stdout=None))
    wait_until(lambda: job.log.read_text().count("daemon") == 2 and len(daemons(job)) == 2)
    orphans = daemons(job)
    with open(job.log) as log, subprocess.Popen(["/usr/bin/tail", "-f", "-"], stdin=log, cwd=job.folder) as reader:
        job.main.kill()
        job.main.wait()
        assert set(JobProcesses(KEY, None, None).find()) == set(), "their environment is empty, and the tree is broken"
        assert JobProcesses(KEY, None, None, job.folder).terminate(5.0).pids == orphans
        assert not living(orphans)
        assert reader.poll() is None, "who only reads the log, or stands in the folder, is no part of the job"
        reader.kill()


def test_what_a_job_forks_while_it_is_being_ended_is_ended_too(tmp_path: Path, start: Callable[[str], Job]) -> None:
    command = ["/bin/sleep", f"600.{os.getpid()}"]
    code = (
        "import subprocess\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        f"    subprocess.Popen({command}, env={{}}, start_new_session=True, stdout=subprocess.DEVNULL)\n"
    )
    job = start(code)
    ended = JobProcesses(KEY, None, job.main.pid).terminate(0.0)
    assert not living(ended.pids) and not ended.survivors
    assert not [one.pid for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == command]


def test_what_may_not_be_signalled_is_named(
    tmp_path: Path, start: Callable[[str], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = start(SLEEP)
    monkeypatch.setattr(job_processes, "KILL_TIMEOUT_S", 0.2)
    monkeypatch.setattr(job_processes, "FREEZE_TIMEOUT_S", 0.1)
    with monkeypatch.context() as refusing:

        def refuse(*_: object) -> None:
            raise PermissionError

        refusing.setattr("os.kill", refuse)
        refusing.setattr("signal.pidfd_send_signal", refuse)
        ended = JobProcesses(KEY, None, None).terminate(0.0)
    pid = job.main.pid
    name = (process.read_stat(pid) or pytest.fail("it lives")).name
    assert ended.survivors == ((name, pid),)
    assert ended.remark == f"; could not be ended: {name} ({pid})"


def test_names_group_the_pids_of_a_program() -> None:
    assert process.named([("sh", 3), ("python3", 2), ("sh", 1)]) == "python3 (2), sh (1, 3)"


def test_living_jobs_of_a_run_are_found_without_any_file(tmp_path: Path, start: Callable[[str], Job]) -> None:
    start(SLEEP)
    assert job_processes.jobs_of(tmp_path / "run") == {KEY}
    assert job_processes.jobs_of(tmp_path / "other") == frozenset()
    (tmp_path / "run").rename(tmp_path / "away")
    assert job_processes.jobs_of(tmp_path / "run") == {KEY}, "it may come back"
    (tmp_path / "away").rename(tmp_path / "run")


def test_a_stopped_process_is_told_from_a_working_one(tmp_path: Path, start: Callable[[str], Job]) -> None:
    job = start(SLEEP)
    identity = process.identity(job.main.pid)
    assert not process.stopped(identity)
    process.send_signal(identity, signal.SIGSTOP)
    wait_until(lambda: process.stopped(identity))
    assert not process.stopped({**identity, "start": identity["start"] - 1}), "another process"
    process.send_signal(identity, signal.SIGCONT)
    wait_until(lambda: not process.stopped(identity))
    assert not process.stopped(None)


def test_counts_of_living_processes_are_kept_for_a_while_but_never_count_the_dead(
    tmp_path: Path, start: Callable[[str], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = ProcessCounts(scan_every=3600.0)
    job = start(SLEEP)
    identity = process.identity(job.main.pid)
    assert counts.count(KEY, identity, job.folder) == 1
    monkeypatch.setattr(job_processes, "ProcessTable", lambda: pytest.fail("/proc is not read again so soon"))
    assert counts.count(KEY, identity, job.folder) == 1
    assert counts.count(KEY, {**identity, "boot": "before"}, job.folder) == 0, "before a reboot"
    job.main.kill()
    job.main.wait()
    assert counts.count(KEY, identity, job.folder) == 0


def test_a_starter_that_stands_still_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program.py"
    program.write_text("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)")
    monkeypatch.setattr(process, "stored_program", lambda _: program)
    monkeypatch.setattr(process, "START_TIMEOUT_S", 0.5)
    with open(tmp_path / "lock", "w") as lock:
        assert not process.start_detached(tmp_path, "supervise", "key", lock.fileno(), tmp_path / "log")
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(program) in (one.info["cmdline"] or [])]
