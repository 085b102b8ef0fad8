"""A folder that nothing leads out of: every part of every path is opened without following symlinks."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO must not hold anybody up
MAX_OPEN = 64


class InTheWay(Exception):
    """Something other than what a path needs stands on it: a symlink, a file for a folder, a folder for a file."""


class SafeDir:
    """Files below ``path``, by paths relative to it. Raises OSError as the file system does, unless it says otherwise.

    Args:
        path: the root itself; symlinks above it are the owner's own and are followed.
        create: make it where it is missing.
    """

    def __init__(self, path: Path, create: bool = False) -> None:
        if create:
            path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._folders: dict[tuple[str, ...], int] = {(): os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)}

    def below(self, path: str, create: bool = False) -> SafeDir:
        """The folder ``path`` below this one as a root of its own.

        Raises:
            InTheWay: a part of the path is a symlink or no folder.
        """
        inner = SafeDir.__new__(SafeDir)
        inner.path = self.path / path
        inner._folders = {(): os.dup(self.folder(tuple(path.split("/")), create))}
        return inner

    @property
    def handle(self) -> int:
        return self._folders[()]

    def close(self) -> None:
        for handle in self._folders.values():
            os.close(handle)
        self._folders.clear()

    def __enter__(self) -> SafeDir:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def folder(self, parts: tuple[str, ...], create: bool = False) -> int:
        """A descriptor of a folder below; it stays this object's.

        Raises:
            InTheWay: a part of the path is a symlink or no folder.
        """
        if parts in self._folders:
            return self._folders[parts]
        parent = self.folder(parts[:-1], create)
        try:
            handle = self._enter(parent, parts[-1], create)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise InTheWay(f"{'/'.join(parts)} is not a folder") from error
            raise
        self._folders[parts] = handle
        return handle

    def forget(self, above: int = 0) -> None:
        """Close all folders but the root, if more than ``above`` are open: the next use looks at them afresh."""
        if len(self._folders) > above:
            for parts in [parts for parts in self._folders if parts]:
                os.close(self._folders.pop(parts))

    def open_file(self, path: str) -> int:
        """A descriptor for reading a regular file; the caller closes it.

        Raises:
            InTheWay: it is a symlink or no regular file, or lies behind one.
        """
        self.forget(above=MAX_OPEN)
        *parents, name = path.split("/")
        try:
            handle = os.open(name, READ, dir_fd=self.folder(tuple(parents)))
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                raise InTheWay(f"{path} is not a regular file") from error
            raise
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise InTheWay(f"{path} is not a regular file")
        return handle

    def look(self, path: str) -> os.stat_result | None:
        """What stands at ``path``, symlinks not followed; None if nothing does."""
        *parents, name = path.split("/")
        try:
            return os.stat(name, dir_fd=self.folder(tuple(parents)), follow_symlinks=False)
        except FileNotFoundError:
            return None

    def replace(self, source: int, name: str, path: str, aside: str | None = None) -> None:
        """Rename ``name`` in the folder ``source`` to ``path``; a regular file there is replaced at once.

        Args:
            aside: where the replaced file is kept, if it is to be kept.

        Raises:
            InTheWay: a symlink or a folder stands at ``path``, or a part of the path is no folder.
        """
        self.forget(above=MAX_OPEN)
        *parents, last = path.split("/")
        there = self._regular(path, create=True)
        if there and aside is not None:
            *kept, kept_name = aside.split("/")
            os.link(
                last,
                kept_name,
                src_dir_fd=self.folder(tuple(parents)),
                dst_dir_fd=self.folder(tuple(kept), create=True),
                follow_symlinks=False,
            )
        os.rename(name, last, src_dir_fd=source, dst_dir_fd=self.folder(tuple(parents), create=True))

    def remove(self, path: str) -> None:
        """Delete a regular file, and the folders that are empty without it.

        Raises:
            InTheWay: something else stands there.
        """
        self._regular(path, create=False)
        *parents, name = path.split("/")
        os.unlink(name, dir_fd=self.folder(tuple(parents)))
        self.forget()
        while parents:
            try:
                os.rmdir(parents[-1], dir_fd=self.folder(tuple(parents[:-1])))
            except OSError:
                return
            parents.pop()

    def _regular(self, path: str, create: bool) -> os.stat_result | None:
        *parents, _ = path.split("/")
        if create:
            self.folder(tuple(parents), create=True)
        there = self.look(path)
        if there is not None and not stat.S_ISREG(there.st_mode):
            raise InTheWay(
                f"{path} is a {'folder' if stat.S_ISDIR(there.st_mode) else 'symlink or special file'} there"
            )
        return there

    @staticmethod
    def _enter(parent: int, name: str, create: bool) -> int:
        try:
            return os.open(name, FOLDER, dir_fd=parent)
        except FileNotFoundError:
            if not create:
                raise
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=parent)
        return os.open(name, FOLDER, dir_fd=parent)
