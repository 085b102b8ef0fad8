"""A host in memory, on which the agent's own code runs: processes, threads, signals, open files and a clock.

Each thread of a simulated process is a thread of this process, but only one runs at a time, and it can be held, killed or
left for good between any two of its steps: a look at the disk, a change to it, a lock, a signal, a sleep.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.console.hosts.agent.simulated_files import SimPath

ANY_STEPS = 1 << 60


class Killed(BaseException):
    """Unwinds a thread of a process that is dead."""


class Broken(BaseException):
    """An invariant does not hold; nothing in between may catch it."""


class Machine(SimpleNamespace):
    """Stands for a module of the standard library; what is missing is an error that nothing catches."""

    def __getattr__(self, name: str) -> Any:
        raise Broken(f"not simulated: {name}")


class File:
    """A file: its content, and what holds its lock."""

    __slots__ = ("content", "holder", "shared")

    def __init__(self, content: Any = b"") -> None:
        self.content = content
        self.holder: OpenFile | None = None
        self.shared: set[OpenFile] = set()


class OpenFile:
    """An open file, the process that opened it, and those that have it open."""

    __slots__ = ("file", "opener", "owners")

    def __init__(self, file: File | Folder, owner: Process) -> None:
        self.file = file
        self.opener = owner
        self.owners = {owner}


class Folder(dict[str, "File | Folder"]):
    """A folder: its entries by name, and what holds its lock."""

    __hash__ = object.__hash__  # type: ignore[assignment]
    holder: OpenFile | None = None

    def __init__(self) -> None:
        super().__init__()
        self.shared: set[OpenFile] = set()


class Process:
    """A process of the simulated host. A job's processes have no threads: rules decide what they do."""

    def __init__(self, host: Host, kind: str, parent: int, session: int | None = None) -> None:
        host.last_pid += 1
        host.last_start += 1
        self.host, self.kind, self.parent = host, kind, parent
        self.pid, self.start, self.boot = host.last_pid, host.last_start, host.boot
        self.session = self.pid if session is None else session
        self.key = self.folder = self.supervises = ""
        self.dead = self.stopped = self.stubborn = False
        self.code = 0
        self.threads: list[Thread] = []
        self.own: dict[object, Any] = {}
        self.handlers: dict[int, Any] = {}
        self.pending: list[int] = []
        host.processes[self.pid] = self

    @property
    def identity(self) -> dict[str, Any]:
        return {"pid": self.pid, "start": self.start, "boot": self.boot}


class Worker(threading.Thread):
    """A thread of this process that runs one simulated thread after another."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.go = threading.Lock()
        self.go.acquire()
        self.thread: Thread | None = None
        self.start()

    def run(self) -> None:
        while True:
            self.go.acquire()
            assert self.thread is not None
            self.thread.work()
            idle, host, self.thread = self, self.thread.host, None
            WORKERS.append(idle)
            host.back.release()


WORKERS: list[Worker] = []


class Thread:
    """A simulated thread: what it does, and what it waits for."""

    def __init__(self, process: Process, name: str, target: Callable[[], None]) -> None:
        self.process, self.host, self.name, self.target = process, process.host, name, target
        self.worker: Worker | None = None
        self.wake_at = 0.0
        self.blocked: Callable[[], bool] | None = None
        self.done = self.crashed = False
        self.error: BaseException | None = None
        process.threads.append(self)
        process.host.threads.append(self)

    def work(self) -> None:
        try:
            if not self.process.dead:
                self.target()
        except Killed:
            pass
        except Broken as error:
            self.error = error  # raised where the thread was resumed
        except BaseException as error:  # noqa: BLE001 - an error that nothing catches ends its process
            self.host.crashes.append(f"{self.name}: {error!r}")
            self.crashed = True
        self.done = True

    @property
    def ready(self) -> bool:
        """Whether it can go on: it is not stopped, and what it waits for has happened."""
        return not self.process.stopped and (self.blocked is None or not self.blocked())


class Host:
    """The simulated host. ``watch`` is told of what the invariants are about, as it happens."""

    def __init__(self) -> None:
        self.root = Folder()
        self.paths: dict[str, SimPath] = {}  # by text: one object for each path
        self.processes: dict[int, Process] = {}
        self.threads: list[Thread] = []
        self.descriptors: dict[int, OpenFile | None] = {}
        self.last_pid, self.last_start, self.last_descriptor = 100, 0, 10
        self.boots = 1
        self.now = 1000.0
        self.clock_offset = 1.7e9
        self.full = self.no_files = False
        self.back = threading.Lock()
        self.back.acquire()
        self.current: Thread | None = None
        self.budget = 0
        self.until_change = False
        self.changes = 0
        self.crashes: list[str] = []
        self.on_start: Callable[[Process], None] = lambda job: None
        self.on_rename: Callable[[SimPath, SimPath, Folder | File], None] = lambda *_: None
        self.on_delete: Callable[[SimPath, File], None] = lambda *_: None
        self.on_write: Callable[[SimPath, Any], None] = lambda *_: None
        self.start_supervisor: Callable[[str, str, int], None] = lambda *_: None

    @property
    def boot(self) -> str:
        return f"boot{self.boots}"

    # what rules do

    def resume(self, thread: Thread, steps: int = ANY_STEPS, until_change: bool = False) -> None:
        """Let ``thread`` make up to ``steps`` steps, or go on until its next change that outlives it."""
        if thread.done or not thread.ready:
            return
        if not thread.process.dead:
            self.now = max(self.now, thread.wake_at)
        thread.wake_at, thread.blocked = 0.0, None
        self.budget, self.until_change = steps, until_change
        self._switch(thread)
        while dead := [one for one in self.threads if one.process.dead and not one.done]:
            self._switch(dead[0])
        self.threads = [one for one in self.threads if not one.done]
        for finished in [one for one in thread.process.threads if one.done]:
            thread.process.threads.remove(finished)
        if thread.error is not None:
            raise AssertionError(*thread.error.args)
        if thread.crashed or (thread.process.kind == "supervisor" and not thread.process.threads):
            self.exit(thread.process)

    def _switch(self, thread: Thread) -> None:
        self.current = thread
        if thread.worker is None:
            thread.worker = WORKERS.pop() if WORKERS else Worker()
            thread.worker.thread = thread
        thread.worker.go.release()
        self.back.acquire()
        self.current = None

    def exit(self, process: Process, code: int = 0) -> None:
        """End a process: its locks are free, its children are orphans."""
        if process.dead:
            return
        process.dead, process.code = True, code
        self.processes.pop(process.pid, None)
        for number, opened in list(self.descriptors.items()):
            if opened is not None and process in opened.owners:
                self._drop(number, opened, process)
        for child in self.processes.values():
            if child.parent == process.pid:
                child.parent = 1
                if process.parent in self.processes:
                    child.parent = process.parent
        if self.current is None:
            for thread in list(process.threads):
                if not thread.done:
                    self._switch(thread)
            self.threads = [one for one in self.threads if not one.done]

    def signal(self, process: Process, number: int) -> None:
        """Deliver a signal."""
        if process.dead:
            return
        if number == signal.SIGKILL:
            self.exit(process, -number)
        elif number == signal.SIGSTOP:
            process.stopped = True
        elif number == signal.SIGCONT:
            process.stopped = False
            if signal.SIGTERM in process.pending and not callable(process.handlers.get(signal.SIGTERM)):
                self.exit(process, -signal.SIGTERM)
        elif callable(process.handlers.get(number)):
            process.pending.append(number)
            for thread in process.threads:
                thread.wake_at = 0.0
        elif number == signal.SIGTERM and not process.stubborn:
            if process.stopped:
                process.pending.append(number)
            else:
                self.exit(process, -number)

    def reboot(self) -> None:
        for process in list(self.processes.values()):
            self.exit(process)
        self.boots += 1
        self.last_pid = 100

    def open_lock(self, file: File | Folder, process: Process) -> int:
        self.last_descriptor += 1
        self.descriptors[self.last_descriptor] = OpenFile(file, process)
        return self.last_descriptor

    def _drop(self, number: int, opened: OpenFile, process: Process) -> None:
        opened.owners.discard(process)
        if not opened.owners:
            if opened.file.holder is opened:
                opened.file.holder = None
            opened.file.shared.discard(opened)
            del self.descriptors[number]

    # what simulated processes do

    def step(self, change: bool = False) -> None:
        """One step of the current thread: here it may be held, or end because its process was killed."""
        thread = self.current
        assert thread is not None
        if thread.process.dead:
            raise Killed
        self.budget -= 1
        if self.budget < 0 or (change and self.until_change):
            self.park(thread)
        if change:
            self.changes += 1

    def park(self, thread: Thread) -> None:
        worker = thread.worker
        assert worker is not None
        self.back.release()
        worker.go.acquire()
        self._resumed(thread)

    @staticmethod
    def _resumed(thread: Thread) -> None:
        process = thread.process
        if process.dead:
            raise Killed
        while process.pending and thread is process.threads[0]:
            number = process.pending.pop(0)
            process.handlers[number](number, None)

    def sleep(self, seconds: float) -> None:
        thread = self.current
        assert thread is not None
        if thread.process.dead:
            raise Killed
        thread.wake_at = self.now + seconds
        self.park(thread)

    def wait_while(self, condition: Callable[[], bool]) -> None:
        thread = self.current
        assert thread is not None
        while condition():
            thread.blocked = condition
            self.park(thread)

    def need_space(self, for_a_name: bool = False) -> None:
        if self.no_files if for_a_name else self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def lookup(self, parts: tuple[str, ...]) -> Folder | File | None:
        node: Folder | File | None = self.root
        for part in parts:
            if type(node) is not Folder:
                return None
            node = node.get(part)
        return node


HOST = Host()


def new_host() -> Host:
    """HOST, as if it were new; the same object, which the agent's code reaches through functions without an argument for it."""
    vars(HOST).update(vars(Host()))
    return HOST


def here() -> Process:
    """The process that runs now."""
    assert HOST.current is not None
    return HOST.current.process
