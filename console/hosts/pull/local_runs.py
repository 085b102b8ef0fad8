"""Reads the runs of a local folder, and again as another console syncs into it. Asks no host and writes nothing."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from console.hosts.pull.local_copy import RunReader, RunsFolder, read_state
from console.hosts.pull.poll_reply import with_safe_texts
from console.hosts.pull.verify import local_manifest
from console.runs.log_store import LogStore
from console.runs.run_view import RunView
from console.runs.snapshot import SyncState
from console.sanitize import sanitize_line
from engine.contract.manifest import Manifest
from engine.contract.run_folder import EVENTS, LOG, MANIFEST, STATE
from engine.contract.settings import RunId

NO_MANIFEST = "Local copy without a manifest, so it cannot be verified"
_WATCHED = (MANIFEST, STATE, EVENTS, LOG)


class LocalRun:
    """The local copy of one run: of its newest launch that was not sealed, or else its capsule. All methods block.

    Attributes:
        folder: where its files are; None if there are none.
        view, log: made of these files.
        sync: whether they are a synced capsule, a copy of a run that goes on, or nothing.
        error: why a file of it cannot be read; "" if none is at fault.
    """

    def __init__(self, runs_folder: Path, run: RunId) -> None:
        self.run = run
        self.folder: Path | None = None
        self.view = RunView(run)
        self.log = LogStore()
        self.sync = SyncState()
        self.error = ""
        self._runs = RunsFolder(runs_folder, may_write=False)
        self._reader: RunReader | None = None
        self._version: object = None
        self._manifest: tuple[object, Manifest | None] = (None, None)

    def refresh(self) -> bool:
        """Read what is new; True if there was anything."""
        folder, manifest = self._find()
        version = folder and [_stamp(folder / name) for name in _WATCHED]
        if folder == self.folder and version == self._version:
            return False
        if folder != self.folder or self._was_replaced(version):
            self.log.open(folder / LOG if folder else None)
            self.view = RunView(self.run)
            self._reader = RunReader(folder) if folder else None
        self.folder, self._version = folder, version
        self._read()
        self.sync = self._sync_state(manifest)
        return True

    def _find(self) -> tuple[Path | None, Manifest | None]:
        """The folder that is read, and the manifest in it."""
        capsule = self._runs.path / str(self.run)
        key = self._runs.newest_launch(self.run)
        stamp = _stamp(capsule / MANIFEST)
        if stamp != self._manifest[0]:
            self._manifest = stamp, local_manifest(self._runs.path, self.run) if stamp else None
        manifest = self._manifest[1]
        if key and (manifest is None or manifest.key != key):
            return self._runs.live(self.run, key), None
        if manifest is not None or any(_stamp(capsule / name) for name in (STATE, EVENTS)):
            return capsule, manifest
        return None, None

    def _was_replaced(self, version: object) -> bool:
        """Whether a file that has been read is another one now, or shorter."""
        if not isinstance(version, list) or not isinstance(self._version, list):
            return False
        pairs = zip(self._version[2:], version[2:], strict=True)
        return any(old is not None and (new is None or new[0] != old[0] or new[1] < old[1]) for old, new in pairs)

    def _read(self) -> None:
        more, self.error = self._reader is not None, ""
        while more and self._reader is not None:
            try:
                self.view, more = self._reader.read(self.view)
            except OSError as error:
                self.error = sanitize_line(f"{error.filename or self.folder}: {error.strerror}")
                break
        state = read_state(self.folder) if self.folder else None
        if state is not None:
            state = replace(with_safe_texts(state), heartbeat=0)
            if state.ended:
                self.log.end()
        self.view = replace(self.view, state=state)

    def _sync_state(self, manifest: Manifest | None) -> SyncState:
        if manifest is not None:
            files, size = len(manifest.files), sum(entry.size for entry in manifest.files)
            return SyncState("synced", files, files, size, size, self.error, key=manifest.key)
        if self.folder is None:
            return SyncState()
        size = sum(stamp[1] for name in (EVENTS, LOG) if (stamp := _stamp(self.folder / name)))
        if self.folder.parent == self._runs.path:
            return SyncState(note=self.error or NO_MANIFEST, bytes_done=size)
        return SyncState("syncing", bytes_done=size, note=self.error)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Inode, size and modification time, which tell whether a file has grown or is another one; None without one."""
    try:
        status = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
