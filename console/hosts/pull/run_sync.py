"""Sync states of all runs, and the pull of every sealed run into the local runs folder."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath

from msgspec.structs import replace

from console.hosts.pull.capsule import Damaged, pull, take_back
from console.hosts.pull.follower import RunFollower
from console.hosts.pull.local_copy import RunsFolder, run_to_end
from console.hosts.pull.verify import local_manifest
from console.hosts.ssh.channels import HostConnection
from console.hosts.transfer.channel import MAX_STALLS
from console.hosts.transfer.errors import NoRoom, RetryLater, Stalled
from console.runs.snapshot import NOT_SEALED, SyncState
from console.sanitize import sanitize_line
from engine.contract.bad_input import BadInput
from engine.contract.run_folder import MANIFEST, SEALED
from engine.contract.settings import RunId
from engine.contract.state import RunState

NO_ROOM_RETRY_S = 30.0
MAX_NAMED = 3  # of what a capsule leaves out
BUSY_RETRY_S = 2.0
INTERRUPTED = "its pull was interrupted and continues once the link is back"


class RunSync:
    """Sync states of the runs; pulls the sealed ones as long as this console writes the runs folder.

    Args:
        folder: the local runs folder.
        remote: the runs' folder on the host, below its workspace.
        follower: what the host says, and the copies of runs that are not sealed yet.
        on_change: called on the event loop after each change.

    Attributes:
        sync_states: of every run.
        damaged_runs: runs whose local capsule was found to differ from its manifest, until it has been pulled again.
    """

    def __init__(
        self,
        folder: RunsFolder,
        remote: PurePosixPath,
        runs: tuple[RunId, ...],
        follower: RunFollower,
        on_change: Callable[[], None],
    ) -> None:
        self.sync_states = dict.fromkeys(runs, SyncState())
        self.damaged_runs: set[RunId] = set()
        self._folder = folder
        self._remote = remote
        self._follower = follower
        self._on_change = on_change
        self._launches: dict[RunId, str] = {}
        self._due: dict[RunId, str] = {}
        self._synced: dict[RunId, str] = {}
        self._stamps: dict[RunId, tuple[int, int]] = {}
        self._refused: set[RunId] = set()
        self._unsealed: dict[RunId, str] = {}
        self._stalls: dict[RunId, int] = {}  # transfer processes in a row that stood still
        self._wake = asyncio.Event()

    def follow(self, runs: tuple[RunId, ...]) -> None:
        """Also keep the sync states of new ``runs``, in this order; what is local of these is taken in by ``load``."""
        self.sync_states = {run: self.sync_states.get(run) or SyncState() for run in runs}

    async def load(self, runs: Iterable[RunId] | None = None) -> None:
        """Take in what is local of ``runs`` (None: of all): capsules, and copies of runs that were not sealed yet."""
        for run in runs if runs is not None else self.sync_states:
            newest = await asyncio.to_thread(self._folder.newest_launch, run)
            if not await self._check_local(run, newest):
                self.sync_states[run] = await self._state_of_copy(run, newest)

    async def update(self) -> bool:
        """After a poll: renew the sync states; True if one has changed."""
        before = dict(self.sync_states)
        for run, state in (self._follower.host_states or {}).items():
            if not state.key:  # the host cannot read which launch it is: what is known of the last one stays
                continue
            if self._launches.get(run) != state.key:
                if run in self._launches:  # launched again: the damaged capsule is that of the launch before
                    self.damaged_runs.discard(run)
                self._launches[run] = state.key
                self._refused.discard(run)
                self._stalls.pop(run, None)
                if self._synced.get(run) != state.key and not await self._take_back(run, state.key):
                    self.sync_states[run] = await self._state_of_copy(run, state.key)
            if not self._folder.writable:
                await self._watch_writer(run)
            elif self._synced.get(run) != state.key and self._is_growing(run, state):
                size = self._follower.copy_size(run, state.key)
                note = self._follower.file_errors.get(run) or self._follower.disk_error
                self.sync_states[run] = SyncState("syncing", bytes_done=size, as_of=time.monotonic(), note=note)
        self._note_unsealed()
        due = {
            run: key
            for run, key in self._follower.sealed.items()
            if key and self._folder.writable and self._follower.has_all_events(run, key)
        }
        if due != self._due:
            self._due = due
            self._wake.set()
        return before != self.sync_states

    def _note_unsealed(self) -> None:
        """Note at which runs the host has ended without sealing them: nothing of them is pulled before it does."""
        unsealed = {
            run: state
            for run, state in (self._follower.host_states or {}).items()
            if state.state in SEALED and self._follower.sealed.get(run) != state.key != self._synced.get(run)
        }
        for run, state in unsealed.items():
            if self._unsealed.get(run) == state.key:  # not at once: a manifest comes a moment after the end
                note = state.reason if NOT_SEALED in state.reason else NOT_SEALED
                self.sync_states[run] = replace(self.sync_states[run], note=note)
        self._unsealed = {run: state.key for run, state in unsealed.items()}

    def mark_damaged(self, run: RunId, key: str, why: str) -> None:
        """The local capsule of that launch differs from its manifest; it does not matter once the run was launched again."""
        if self._synced.get(run) == key == self._launches.get(run, key):
            del self._synced[run]
            self.damaged_runs.add(run)
            self._refused.add(run)
            self._stamps[run] = _stamp(self._folder.path / str(run) / MANIFEST) or (0, 0)
            self._set(run, key, replace(self.sync_states[run], status="damaged", note=why))

    def pull_again(self) -> tuple[RunId, ...]:
        """Pull damaged and waiting runs now; returns them.

        Raises:
            BadInput: there are some, but this console does not write the runs folder.
        """
        wanted = tuple(run for run, key in self._follower.sealed.items() if key and self._synced.get(run) != key)
        if wanted and not self._folder.writable:
            raise BadInput(f"{self._folder.other_writer or 'nobody'} writes this runs folder")
        for run in self._refused.intersection(wanted):
            self._refused.discard(run)
            self._set(run, self._follower.sealed[run], SyncState())
        self._wake.set()
        return wanted

    async def pull_sealed(self, connection: HostConnection) -> None:
        """Pull every sealed run that is not synced, one after the other, as long as the link holds.

        Raises:
            LinkDown: it does not.
        """
        retry_s: float | None = None
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(retry_s):
                        await self._wake.wait()
                self._wake.clear()
                retries = []
                for run, key in list(self._due.items()):
                    if run in self._refused:
                        continue
                    if self._synced.get(run) != key:
                        retries.append(await self._pull_one(connection, run, key))
                    if self._synced.get(run) == key:
                        await self._follower.remove_copies(run, key)
                retry_s = min((seconds for seconds in retries if seconds is not None), default=None)
        finally:
            self._due = {}  # the next connection pulls what its own polls report: runs may be launched again meanwhile

    async def _pull_one(self, connection: HostConnection, run: RunId, key: str) -> float | None:
        """Pull one run; returns after how many seconds to try again, None for never."""
        damaged = run in self.damaged_runs
        report = partial(self._set, run, key)
        try:
            if damaged or not await self._check_local(run, key):
                await self._follower.release(run, key)
                remote = PurePosixPath(connection.workspace) / self._remote / str(run)
                live_copy = self._folder.live(run, key)
                await pull(connection, remote, self._folder.path, run, key, report, live_copy, again=damaged)
                self.damaged_runs.discard(run)
                await self._check_local(run, key)
            self._stalls.pop(run, None)
        except Stalled as error:
            self._stalls[run] = self._stalls.get(run, 0) + 1
            if self._stalls[run] < MAX_STALLS:
                note = f"{error}; a new one continues the pull"
                report(replace(self.sync_states[run], status="not synced", left=None, note=note))
                return BUSY_RETRY_S
            self._refuse(
                run, key, f"{error}, {self._stalls.pop(run)} times in a row; look at the host, then sync again"
            )
        except RetryLater as error:
            report(replace(self.sync_states[run], status="not synced", left=None, note=str(error)))
            return NO_ROOM_RETRY_S if isinstance(error, NoRoom) else BUSY_RETRY_S
        except Damaged as error:
            self._refuse(run, key, str(error))
        finally:
            if self.sync_states[run].status == "pulling":
                report(replace(self.sync_states[run], status="not synced", left=None, note=INTERRUPTED))
        return None

    def _refuse(self, run: RunId, key: str, why: str) -> None:
        """Pull that launch no more until somebody asks for it."""
        if self._launches.get(run) == key:
            self._refused.add(run)
        self._set(run, key, SyncState("damaged", note=why))

    async def _check_local(self, run: RunId, key: str) -> bool:
        """Whether a capsule, of launch ``key`` unless that is empty, is local; it is read and shown as synced then."""
        manifest = await asyncio.to_thread(local_manifest, self._folder.path, run)
        if manifest is None or key not in ("", manifest.key):
            return False
        await self._follower.use_capsule(run, manifest.key)
        self._synced[run] = manifest.key
        files, size = len(manifest.files), sum(entry.size for entry in manifest.files)
        left_out = "; ".join(f"{one.path}: {one.reason}" for one in manifest.left_out[:MAX_NAMED])
        note = sanitize_line(f"left out: {left_out}") if left_out else ""
        self._set(run, manifest.key, SyncState("synced", files, files, size, size, note, key=manifest.key))
        return True

    async def _take_back(self, run: RunId, key: str) -> bool:
        """Whether the capsule of launch ``key`` is in place again, because a restored run's was still in ``.previous``."""
        if not self._folder.writable or run in self.damaged_runs:
            return False
        with suppress(OSError):  # it is pulled then
            if await run_to_end(asyncio.to_thread(take_back, self._folder.path, run, key)):
                return await self._check_local(run, key)
        return False

    def _is_growing(self, run: RunId, state: RunState) -> bool:
        """Whether its copy still grows; of a sealed run that is until all its events are local, then it is pulled."""
        if self._follower.sealed.get(run) == state.key:
            return not self._follower.has_all_events(run, state.key)
        return state.state != "queued"

    async def _watch_writer(self, run: RunId) -> None:
        """Take in what the console that writes the runs folder has put in place."""
        key = self._launches[run]
        if self._synced.get(run) == key:
            return
        stamp = await asyncio.to_thread(_stamp, self._folder.path / str(run) / MANIFEST)
        if stamp is not None and self._stamps.get(run) != stamp:
            self._stamps[run] = stamp
            if await self._check_local(run, key):
                self.damaged_runs.discard(run)
                return
        if run in self.damaged_runs:
            return
        if self._folder.write_error and self._follower.sealed.get(run) == key:
            # no console will pull it: whoever waits for it to be synced would wait for ever
            self.sync_states[run] = SyncState("damaged", note=self._folder.write_error)
        else:
            self.sync_states[run] = await self._state_of_copy(run, key)

    async def _state_of_copy(self, run: RunId, key: str) -> SyncState:
        """What is local of a launch that is not sealed, whoever wrote it."""
        size = await asyncio.to_thread(self._folder.live_size, run, key) if key else None
        return SyncState() if size is None else SyncState("syncing", bytes_done=size)

    def _set(self, run: RunId, key: str, state: SyncState) -> None:
        """``state`` is of launch ``key``: ignored if the run was launched again meanwhile."""
        if self._launches.get(run, key) == key:
            self.sync_states[run] = state
            self._on_change()


def _stamp(path: Path) -> tuple[int, int] | None:
    """Inode and modification time of a file, which tell whether it was replaced; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
