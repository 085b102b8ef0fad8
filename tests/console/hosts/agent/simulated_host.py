"""A host in memory, on which the agent's own code runs: files, locks, processes, signals and a clock.

Each thread of a simulated process is a thread of this process, but only one runs at a time, and it can be held, killed or
left for good between any two of its steps: a look at the disk, a change to it, a lock, a signal, a sleep.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from console.hosts.agent import process as real_process
from console.hosts.agent.process import FOLDER_VARIABLE, KEY_VARIABLE, ProcessStat
from console.hosts.agent.workspace import BrokenFile

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

    def __init__(self, file: File, owner: Process) -> None:
        self.file = file
        self.opener = owner
        self.owners = {owner}


class Folder(dict[str, "File | Folder"]):
    """A folder: its entries by name."""

    __hash__ = object.__hash__  # type: ignore[assignment]


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
        self.paths: dict[str, SimPath] = {}
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

    def open_lock(self, file: File, process: Process) -> int:
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

    def path(self, text: Any) -> SimPath:
        if isinstance(text, SimPath):
            return text
        found = self.paths.get(text)
        if found is None:
            found = self.paths[text] = SimPath(tuple(part for part in text.split("/") if part))
        return found


HOST = Host()


def new_host() -> Host:
    """A new host, on which everything that is simulated happens from now on."""
    global HOST  # noqa: PLW0603 - the agent's code reaches it through functions that have no argument for it
    HOST = Host()
    return HOST


def _missing(path: SimPath) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


class SimPath:
    """A path on the simulated host, as far as the agent uses ``pathlib.Path``."""

    __slots__ = ("below", "name", "parts", "text")

    def __new__(cls, *values: Any) -> SimPath:
        if type(values[0]) is not tuple:
            return HOST.path(values[0])
        return super().__new__(cls)

    def __init__(self, parts: Any) -> None:
        if type(parts) is tuple:
            self.parts: tuple[str, ...] = parts
            self.name = parts[-1] if parts else ""
            self.below: dict[str, SimPath] = {}
            self.text = "/" + "/".join(parts)

    def __str__(self) -> str:
        return self.text

    __fspath__ = __repr__ = __str__

    def __truediv__(self, name: str) -> SimPath:
        found = self.below.get(name)
        if found is None:
            found = self.below[name] = HOST.path(f"{self.text}/{name}")
        return found

    def __lt__(self, other: SimPath) -> bool:
        return self.parts < other.parts

    @property
    def parent(self) -> SimPath:
        return HOST.path("/" + "/".join(self.parts[:-1]))

    @property
    def node(self) -> Folder | File | None:
        return HOST.lookup(self.parts)

    def folder(self) -> Folder:
        """The folder that holds it."""
        folder = HOST.lookup(self.parts[:-1])
        if type(folder) is not Folder:
            raise _missing(self)
        return folder

    def with_name(self, name: str) -> SimPath:
        return self.parent / name

    def exists(self) -> bool:
        HOST.step()
        return self.node is not None

    def is_dir(self) -> bool:
        HOST.step()
        return type(self.node) is Folder

    def is_file(self) -> bool:
        HOST.step()
        return type(self.node) is File

    def is_symlink(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        raise Broken(f"not simulated: Path.{name}")

    def lstat(self) -> Any:
        HOST.step()
        node = self.node
        if node is None:
            raise _missing(self)
        return Machine(st_ino=id(node), st_mtime_ns=0, st_size=0, st_mode=0o100600 if type(node) is File else 0o40700)

    def iterdir(self) -> Iterator[SimPath]:
        HOST.step()
        node = self.node
        if type(node) is not Folder:
            raise _missing(self)
        return iter([self / name for name in node])

    def glob(self, pattern: str) -> Iterator[SimPath]:
        HOST.step()
        found = [self]
        for part in pattern.split("/"):
            entries = ((path, path.node) for path in found)
            found = [
                path / name
                for path, node in entries
                if type(node) is Folder
                for name in list(node)
                if fnmatch.fnmatchcase(name, part)
            ]
        return iter(found)

    def mkdir(self, mode: int = 0, parents: bool = False, exist_ok: bool = False) -> None:
        HOST.step()
        if parents and self.parts and self.parent.node is None:
            self.parent.mkdir(parents=True, exist_ok=True)
        if self.node is None:
            HOST.step(change=True)  # another thread may make it here
        folder = self.folder()
        if self.name in folder:
            if not exist_ok:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self))
            return
        HOST.need_space(for_a_name=True)
        folder[self.name] = Folder()

    def rename(self, target: SimPath) -> None:
        HOST.step(change=True)
        node, folder = self.node, target.folder()
        if node is None:
            raise _missing(self)
        existing = folder.get(target.name)
        if existing is node:
            return
        if type(node) is Folder and existing:
            code = errno.ENOTEMPTY if type(existing) is Folder else errno.ENOTDIR
            raise OSError(code, os.strerror(code), str(target))
        HOST.on_rename(self, target, node)
        del self.folder()[self.name]
        folder[target.name] = node

    replace = rename

    def touch(self) -> None:
        HOST.step(change=True)
        HOST.need_space(for_a_name=True)
        self.folder().setdefault(self.name, File())

    def unlink(self) -> None:
        HOST.step(change=True)
        node = self.node
        if type(node) is not File:
            raise _missing(self)
        HOST.on_delete(self, node)
        del self.folder()[self.name]


def write(path: SimPath, value: Any) -> None:
    """Replace a file whole."""
    HOST.step(change=True)
    folder = path.folder()
    HOST.need_space()
    HOST.on_write(path, value)
    folder[path.name] = File(value)  # a new inode, as a rename of a temporary file makes it


def write_json(path: SimPath, value: Any, durable: bool = True) -> None:
    write(path, dict(value))


def write_durably(path: SimPath, content: bytes, wait: bool = True) -> None:
    write(path, content)


def read_json(path: SimPath) -> dict[str, Any] | None:
    HOST.step()
    node = path.node
    return dict(node.content) if type(node) is File and type(node.content) is dict else None


def load_json(path: SimPath, limit: int = 0) -> dict[str, Any]:
    found = read_json(path)
    if found is None:
        raise _missing(path) if path.node is None else BrokenFile(f"{path.name} is no JSON")
    return found


def exchange(one: SimPath, other: SimPath) -> None:
    """Exchange the names of two folders at once."""
    HOST.step(change=True)
    first, second = one.node, other.node
    if first is None or second is None:
        raise _missing(one)
    HOST.on_rename(other, one, second)
    one.folder()[one.name], other.folder()[other.name] = second, first


def rmtree(path: SimPath, ignore_errors: bool = False, **_: Any) -> None:
    """Delete a folder entry by entry, so that a part of it is left if the process is killed."""
    HOST.step()
    node = path.node
    if type(node) is not Folder:
        if ignore_errors:
            return
        raise _missing(path)
    for name in list(node):
        if type(node[name]) is Folder:
            rmtree(path / name)
        else:
            (path / name).unlink()
    HOST.step(change=True)
    path.folder().pop(path.name, None)


def take_lock(path: SimPath, wait: bool, dir_fd: int | None = None) -> int | None:
    HOST.step()
    thread = HOST.current
    assert thread is not None
    node = path.node
    if node is None:
        folder = path.folder()
        HOST.need_space(for_a_name=True)
        node = folder[path.name] = File()
    assert type(node) is File
    file = node
    number = HOST.open_lock(file, thread.process)
    opened = HOST.descriptors[number]
    if wait:
        HOST.wait_while(lambda: file.holder is not None or bool(file.shared))
    elif file.holder is not None or file.shared:
        close(number)
        return None
    file.holder = opened
    return number


def is_locked(path: SimPath) -> bool:
    HOST.step()
    thread, node = HOST.current, path.node
    assert thread is not None
    if type(node) is not File:
        return False
    if node.holder is not None:
        return True
    number = HOST.open_lock(node, thread.process)
    opened = HOST.descriptors[number]
    assert opened is not None
    node.shared.add(opened)  # for a moment, it keeps others from locking the file
    HOST.step()
    close(number)
    return False


def lock_holders(path: SimPath) -> list[dict[str, Any]]:
    """The kernel knows the process that took a lock, not those that inherited it."""
    HOST.step()
    holder = path.node.holder if type(path.node) is File else None
    return [holder.opener.identity] if holder is not None and holder.opener in holder.owners else []


@contextmanager
def locked(path: SimPath, wait: bool = True) -> Iterator[int | None]:
    handle = take_lock(path, wait)
    try:
        yield handle
    finally:
        if handle is not None:
            close(handle)


def close(number: int) -> None:
    thread = HOST.current
    assert thread is not None
    if thread.process.dead:
        raise Killed
    opened = HOST.descriptors.get(number)
    if opened is not None:
        HOST._drop(number, opened, thread.process)


# processes


def here() -> Process:
    """The process that runs now."""
    assert HOST.current is not None
    return HOST.current.process


def read_stat(pid: int) -> ProcessStat | None:
    HOST.step()
    found = HOST.processes.get(pid)
    if found is None:
        return None
    return ProcessStat(found.kind, "T" if found.stopped else "S", found.parent, found.session, found.start)


def send_signal(identity: dict[str, Any] | None, number: int) -> bool:
    HOST.step(change=True)
    if not real_process.alive(identity):
        return False
    assert identity is not None
    HOST.signal(HOST.processes[identity["pid"]], number)
    return True


class ProcessTable(real_process.ProcessTable):
    """The simulated processes as /proc would show them."""

    def __init__(self) -> None:
        HOST.step()
        self.stats = {pid: stat for pid in list(HOST.processes) if (stat := read_stat(pid)) is not None}

    def having(self, variable: str) -> dict[str, set[int]]:
        name = {KEY_VARIABLE: "key", FOLDER_VARIABLE: "folder"}[variable]
        found: dict[str, set[int]] = {}
        for process in HOST.processes.values():
            if value := getattr(process, name):
                found.setdefault(value, set()).add(process.pid)
        return found

    def writing_below(self, folder: Any) -> set[int]:
        return set()


def command_line(pid: int, name: str) -> list[str]:
    found = HOST.processes.get(pid)
    return ["supervise", found.supervises] if found and found.supervises else []


def start_detached(root: SimPath, program: str, name: str, lock: int, log: SimPath, *_: str) -> bool:
    HOST.step(change=True)
    if log.node is None:
        HOST.need_space(for_a_name=True)
        log.folder()[log.name] = File()
    HOST.start_supervisor(str(root), name, lock)
    HOST.step(change=True)  # it runs, but whoever started it may not learn that
    return True


class Job:
    """A job's main process as its supervisor sees it; stands for ``subprocess.Popen``."""

    def __init__(self, argv: Any, *, env: dict[str, str], pass_fds: list[int] = (), **_: Any) -> None:  # type: ignore[assignment]
        HOST.step(change=True)
        self.process = Process(HOST, "job", here().pid)
        self.process.key, self.process.folder = env[KEY_VARIABLE], env.get(FOLDER_VARIABLE, "")
        for number in pass_fds:
            opened = HOST.descriptors[number]
            assert opened is not None
            opened.owners.add(self.process)
        self.pid = self.process.pid
        HOST.on_start(self.process)
        HOST.step(change=True)

    def poll(self) -> int | None:
        HOST.step()
        return self.process.code if self.process.dead else None


def open_file(path: SimPath, flags: int, mode: int = 0) -> int:
    HOST.step(change=True)
    folder = path.folder()
    if path.name not in folder:
        HOST.need_space(for_a_name=True)
        folder[path.name] = File()
    found = folder[path.name]
    assert type(found) is File
    return HOST.open_lock(found, here())


def select(readers: Any, _w: Any, _x: Any, seconds: float) -> tuple[list[int], list[int], list[int]]:
    process = here()
    if not process.pending:
        HOST.sleep(seconds)
    else:
        HOST._resumed(HOST.current)  # type: ignore[arg-type]
    return [], [], []


class PerProcess:
    """Stands for a global object of a module, of which each simulated process has its own."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def _mine(self) -> Any:
        own = here().own
        if self not in own:
            own[self] = self._make()
        return own[self]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mine(), name)

    def __contains__(self, key: object) -> bool:
        return key in self._mine()

    def __getitem__(self, key: object) -> Any:
        return self._mine()[key]

    def __setitem__(self, key: object, value: Any) -> None:
        self._mine()[key] = value

    def __delitem__(self, key: object) -> None:
        del self._mine()[key]


class Mutex:
    """Stands for ``threading.Lock`` between threads of a simulated process."""

    def __init__(self) -> None:
        self.held = False

    def __enter__(self) -> None:
        HOST.step()
        HOST.wait_while(lambda: self.held)
        self.held = True

    def __exit__(self, *_: object) -> None:
        self.held = False
