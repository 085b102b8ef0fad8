"""Files, folders and their locks on the simulated host, behind the functions and the ``Path`` that the agent's code uses."""

from __future__ import annotations

import errno
import fnmatch
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from console.hosts.agent.workspace import BrokenFile
from tests.console.hosts.agent.simulated_host import HOST, Broken, File, Folder, Killed, Machine, here


def path_of(text: Any) -> SimPath:
    """The path that ``text`` names."""
    if isinstance(text, SimPath):
        return text
    found = HOST.paths.get(text)
    if found is None:
        found = HOST.paths[text] = SimPath(tuple(part for part in text.split("/") if part))
    return found


def _missing(path: SimPath) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


class SimPath:
    """A path on the simulated host, as far as the agent uses ``pathlib.Path``."""

    __slots__ = ("below", "name", "parts", "text")

    def __new__(cls, *values: Any) -> SimPath:
        if type(values[0]) is not tuple:
            return path_of(values[0])
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
            found = self.below[name] = path_of(f"{self.text}/{name}")
        return found

    def __lt__(self, other: SimPath) -> bool:
        return self.parts < other.parts

    @property
    def parent(self) -> SimPath:
        return path_of("/" + "/".join(self.parts[:-1]))

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
    node = path.node
    if node is None:
        folder = path.folder()
        HOST.need_space(for_a_name=True)
        node = folder[path.name] = File()
    assert type(node) is File
    return _lock(node, wait)


def take_folder_lock(path: SimPath, wait: bool) -> int | None:
    HOST.step()
    node = path.node
    if type(node) is not Folder:
        raise _missing(path)
    return _lock(node, wait)


def _lock(file: File | Folder, wait: bool) -> int | None:
    thread = HOST.current
    assert thread is not None
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
    if node is None:
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
    holder = path.node.holder if path.node is not None else None
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


def open_file(path: SimPath, flags: int, mode: int = 0) -> int:
    HOST.step(change=True)
    folder = path.folder()
    if path.name not in folder:
        HOST.need_space(for_a_name=True)
        folder[path.name] = File()
    found = folder[path.name]
    assert type(found) is File
    return HOST.open_lock(found, here())
