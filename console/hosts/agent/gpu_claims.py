"""Which workspace has a GPU, where all workspaces of a user on a host find it: two of them never take the same one at a time.

A claim is a lock on a file in a folder of the user's own, held by a run and by what it has left running. Other users cannot see
it: they see the processes of the run on the GPU, as this user sees theirs.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from console.hosts.agent.workspace import Workspace
from engine.contract.file_lock import is_locked, take_lock
from engine.contract.run_folder import open_regular

PLACE = Path("/tmp")  # noqa: S108 - sticky, and one for all sessions and logins: TMPDIR and XDG_RUNTIME_DIR are not
MAX_PATH = 4096  # bytes of the path in a claim's file


class GpuClaims:
    """Claims of GPUs by ``workspace``, and by the others of its user.

    Where the folder of the claims is not this user's alone, such as when somebody else has made it first, there are none:
    others are then known by their processes only.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def other(self, uuid: str) -> str:
        """Path of another workspace that has the GPU, or the MIG device, with this UUID; "" if none has it."""
        with suppress(OSError):
            own = self._own_id()
            for path in self._files(uuid):
                if path.name.split(".")[1] != own and is_locked(path):
                    return _workspace_of(path) or "another one"
        return ""

    def take(self, uuid: str) -> int | None:
        """Descriptor of a claim of this workspace on a GPU; None where claims cannot be made."""
        with suppress(OSError):
            folder = _folder()
            if folder is None:
                return None
            _tidy(folder)
            for number in itertools.count():
                lock = take_lock(folder / f"{_name(uuid)}.{self._own_id()}.{number}", wait=False)
                if lock is not None:
                    with suppress(OSError):  # a full disk: the claim holds, but does not say whose it is
                        os.ftruncate(lock, 0)
                        os.pwrite(lock, os.fsencode(self._workspace.root)[:MAX_PATH], 0)
                    return lock
        return None

    def _own_id(self) -> str:
        """Of this workspace, whatever path leads to it."""
        status = self._workspace.root.stat()
        return f"{status.st_dev:x}-{status.st_ino:x}"

    def _files(self, uuid: str) -> Iterator[Path]:
        folder = _folder()
        yield from sorted(folder.glob(f"{_name(uuid)}.*.*")) if folder is not None else ()


def _tidy(folder: Path) -> None:
    """Delete the claims on any GPU that nobody holds and whose workspace was deleted: nobody else does."""
    for path in folder.glob("*.*.*"):
        with suppress(OSError):  # another process tidies up as well
            if (root := _workspace_of(path)) and not os.path.lexists(root) and not is_locked(path):
                path.unlink()


def _folder() -> Path | None:
    """Folder of this user's claims, made if missing; None if it is not this user's alone."""
    folder = PLACE / f"qllm-gpus-{os.geteuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()  # nobody else can replace it afterwards: the folder above is sticky
    own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
    return folder if own else None


def _name(uuid: str) -> str:
    return uuid.replace("/", "_")


def _workspace_of(path: Path) -> str:
    """Path of the workspace in a claim's file; "" if it cannot be read."""
    with suppress(OSError), open_regular(path) as file:
        return os.fsdecode(file.read(MAX_PATH))
    return ""
