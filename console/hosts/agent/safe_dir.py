"""Directory handle that refuses paths outside its root: every part of a path is opened without following symlinks."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from engine.contract.run_folder import unsafe_path_reason

RESERVED = ".qllm-sync"  # a sync's own folder, at the root of the folder that it writes to
MAX_OPEN = 64  # folders held open at once, far below the usual limit of 1024 descriptors

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: opening a FIFO would block


class UnexpectedFile(Exception):
    """A path leads to something else than expected: a symlink, a special file, a folder, or a file that changed."""


def unsafe_reason(path: str) -> str:
    """Why ``path``, relative and with ``/`` between parts, must not be synced; empty if it may."""
    if RESERVED in path.casefold().split("/"):
        return f"{RESERVED} is kept for syncs"
    return unsafe_path_reason(path)


class SafeDir:
    """Access to the files below ``path`` by relative paths. Errors of the file system are raised as OSError.

    Checking a path first and opening it by name later would leave time to replace a folder by a symlink in between.
    Here each folder is opened relative to the descriptor of the one above it, so that no later change leads outside.

    Args:
        path: the root; symlinks above it are the owner's own and are followed.
        create: make it if it is missing.
    """

    def __init__(self, path: Path, create: bool = False) -> None:
        if create:
            path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._folders: dict[tuple[str, ...], int] = {(): os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)}

    def subdir(self, path: str, create: bool = False) -> SafeDir:
        """The folder ``path`` below this one as a root of its own.

        Raises:
            UnexpectedFile: a part of the path is a symlink or no folder.
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
        """Descriptor of a folder below; this object closes it.

        Raises:
            UnexpectedFile: a part of the path is a symlink or no folder.
        """
        if parts in self._folders:
            return self._folders[parts]
        parent = self.folder(parts[:-1], create)
        if create:
            with suppress(FileExistsError):
                os.mkdir(parts[-1], dir_fd=parent)
        try:
            handle = os.open(parts[-1], FOLDER_FLAGS, dir_fd=parent)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise UnexpectedFile(f"{'/'.join(parts)} is not a folder") from error
            raise
        self._folders[parts] = handle
        return handle

    def close_folders(self, above: int = 0) -> None:
        """Close all folders but the root if more than ``above`` are open; they are opened again when needed."""
        if len(self._folders) > above:
            for parts in [parts for parts in self._folders if parts]:
                os.close(self._folders.pop(parts))

    def open_file(self, path: str) -> int:
        """Descriptor for reading a regular file; the caller closes it.

        Raises:
            UnexpectedFile: it is a symlink or no regular file, or a folder of its path is a symlink.
        """
        self.close_folders(above=MAX_OPEN)
        parent, name = self._parent(path)
        try:
            handle = os.open(name, READ_FLAGS, dir_fd=parent)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                raise UnexpectedFile(f"{path} is not a regular file") from error
            raise
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise UnexpectedFile(f"{path} is not a regular file")
        return handle

    def stat(self, path: str) -> os.stat_result | None:
        """Status of ``path``, symlinks not followed; None if it does not exist."""
        parent, name = self._parent(path)
        try:
            return os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def replace(self, source: int, name: str, path: str, aside: str | None = None) -> None:
        """Rename ``name`` in the folder ``source`` to ``path``, atomically replacing a regular file there.

        Args:
            aside: where the replaced file is kept; None: nowhere.

        Raises:
            UnexpectedFile: ``path`` is a symlink or a folder, or a part of it is no folder.
        """
        self.close_folders(above=MAX_OPEN)
        parent, last = self._parent(path, create=True)
        if self._check_regular(path) and aside is not None:
            kept_in, kept_name = self._parent(aside, create=True)
            # a second name, not a rename: at no moment is the file missing from its path
            os.link(last, kept_name, src_dir_fd=parent, dst_dir_fd=kept_in, follow_symlinks=False)
        os.rename(name, last, src_dir_fd=source, dst_dir_fd=parent)

    def remove(self, path: str) -> None:
        """Delete a regular file, and the folders that become empty.

        Raises:
            UnexpectedFile: it is something else.
        """
        self._check_regular(path)
        parent, name = self._parent(path)
        os.unlink(name, dir_fd=parent)
        *folders, _ = path.split("/")
        with suppress(OSError):
            while folders:
                os.rmdir(folders[-1], dir_fd=self.folder(tuple(folders[:-1])))
                folders.pop()
        self.close_folders()  # else the descriptor of a deleted folder is used for a new one of that name

    def _parent(self, path: str, create: bool = False) -> tuple[int, str]:
        """Descriptor of the folder that holds ``path``, and the name in it."""
        *parents, name = path.split("/")
        return self.folder(tuple(parents), create), name

    def _check_regular(self, path: str) -> bool:
        """Whether ``path`` exists, if it is a regular file then."""
        status = self.stat(path)
        if status is not None and not stat.S_ISREG(status.st_mode):
            kind = "folder" if stat.S_ISDIR(status.st_mode) else "symlink or special file"
            raise UnexpectedFile(f"{path} exists as a {kind}")
        return status is not None
