"""Keeps the runs at home in step with the host: mirrored while they grow, pulled once they are sealed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath

from msgspec.structs import replace

from console.hosts.pull.capsule import Damaged, pull
from console.hosts.pull.live_mirror import LiveMirror, Mirrored, keep_mirrored
from console.hosts.pull.shielded_thread import shielded_thread
from console.hosts.pull.verify import local_manifest
from console.hosts.ssh.channels import HostConnection
from console.hosts.transfer.errors import NoRoom, NotNow
from console.runs.run_view import RunView
from console.runs.snapshot import SyncState
from engine.contract.settings import RunId

ROOM_AGAIN_S = 30.0  # when a full disk kept a run from coming home
TURN_AGAIN_S = 2.0  # when another console brings it home
CUT_OFF = "its way home was cut off; it goes on with the link"


class RunSync:
    """What is at home of each run, and how the rest comes.

    Args:
        runs_dir: local folder in which experiments come home.
        folder: the experiment's folder, there and in the host's ``runs``.
        runs: the runs of interest.
        tell: called after each change.

    Attributes:
        homes: how far each run is home.
        spoiled: runs whose capsules at home were found to differ from their manifests, until they have come again.
    """

    def __init__(self, runs_dir: Path, folder: str, runs: tuple[RunId, ...], tell: Callable[[], None]) -> None:
        self.sync_states = dict.fromkeys(runs, SyncState())
        self.damaged_runs: set[RunId] = set()
        self._folder = runs_dir / folder
        self._remote = PurePosixPath("runs") / folder
        self._mirror = LiveMirror(self._folder, str(self._remote))
        self._tell = tell
        self._views: dict[RunId, RunView] = {}
        self._launches: dict[RunId, str] = {}
        self._sealed: dict[RunId, str] = {}
        self._synced: dict[RunId, str] = {}
        self._refused: set[RunId] = set()
        self._whole: set[RunId] = set()
        self._settled: dict[RunId, str] = {}
        self._news = asyncio.Event()

    async def look(self) -> None:
        """See what lies at home already."""
        for run in self.sync_states:
            await self._look_at(run)

    def heard(self, views: Mapping[RunId, RunView], sealed: Mapping[RunId, str]) -> None:
        """The host says how each run is, and which launches of them are sealed."""
        self._views = dict(views)
        for run, view in views.items():
            if view.state is not None and self._launches.get(run) != view.state.key:
                self._launches[run] = view.state.key
                self._refused.discard(run)
                self._whole.discard(run)
                if self._synced.get(run) != view.state.key:
                    self._set(run, self._beginnings(run))
        if sealed != self._sealed:
            self._sealed = dict(sealed)
            self._news.set()

    def mark_damaged(self, run: RunId, key: str, why: str) -> None:
        """What is at home of that launch is not what its manifest says any more."""
        if self._synced.get(run) == key:
            del self._synced[run]
            self.damaged_runs.add(run)
            self._refused.add(run)
            self._set(run, replace(self.sync_states[run], status="damaged", note=why))

    def again(self) -> tuple[RunId, ...]:
        """Ask again, and at once, for what came damaged or waits; returns those runs."""
        wanted = tuple(run for run, key in self._sealed.items() if key and self._synced.get(run) != key)
        for run in self._refused.intersection(wanted):
            self._refused.discard(run)
            self._set(run, SyncState())
        self._news.set()
        return wanted

    async def mirror(self, connection: HostConnection) -> None:
        """Bring what runs write while they run, as long as the link holds.

        Raises:
            LinkDown: it does not.
        """
        await keep_mirrored(connection, self._mirror, self._growing, self._mirrored)

    async def bring(self, connection: HostConnection) -> None:
        """Pull whatever is sealed and not at home, as long as the link holds.

        Raises:
            LinkDown: it does not.
        """
        self._news.set()
        pause: float | None = None
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._news.wait()
            self._news.clear()
            pause = None
            for run, key in list(self._sealed.items()):
                if not key or run in self._refused:
                    continue
                if self._synced.get(run) != key and (later := await self._bring_one(connection, run, key)) is not None:
                    pause = later if pause is None else min(pause, later)
                await self._settle(run, key)

    async def _bring_one(self, connection: HostConnection, run: RunId, key: str) -> float | None:
        """Pull one run; returns after how many seconds to try again, or None if it is settled."""
        damaged_runs = run in self.damaged_runs
        report = partial(self._set_of, run, key)
        try:
            if damaged_runs or not await self._look_at(run, key):
                place = PurePosixPath(connection.workspace) / self._remote / str(run)
                mirrored = partial(self._mirror.place, run)
                await pull(connection, place, self._folder, run, report, mirrored=mirrored, again=damaged_runs)
                self.damaged_runs.discard(run)
                await self._look_at(run)
        except NotNow as error:
            report(replace(self.sync_states[run], status="not synced", left=None, note=str(error)))
            return ROOM_AGAIN_S if isinstance(error, NoRoom) else TURN_AGAIN_S
        except Damaged as error:
            if self._launches.get(run) == key:
                self._refused.add(run)
            report(SyncState("damaged", note=str(error)))
        finally:
            if self.sync_states[run].status == "pulling":
                report(replace(self.sync_states[run], status="not synced", left=None, note=CUT_OFF))
        return None

    async def _look_at(self, run: RunId, key: str | None = None) -> bool:
        """Whether a capsule, of launch ``key`` if that is given, is at home."""
        manifest = await asyncio.to_thread(local_manifest, self._folder, run)
        if manifest is None or key not in (None, manifest.key):
            return False
        self._synced[run] = manifest.key
        files, size = len(manifest.files), sum(entry.size for entry in manifest.files)
        self._set_of(run, manifest.key, SyncState("synced", files, files, size, size, key=manifest.key))
        return True

    async def _settle(self, run: RunId, key: str) -> None:
        """The capsule of the present launch is at home: what was mirrored is not needed any more."""
        if self._synced.get(run) == key == self._launches.get(run) and self._settled.get(run) != key:
            await shielded_thread(self._mirror.settled, run, key)
            self._settled[run] = key

    def _growing(self) -> tuple[RunId, ...]:
        """Runs that write and those that ended without a seal, until the last they wrote is here."""
        return tuple(run for run, view in self._views.items() if self._grows(run, view))

    def _grows(self, run: RunId, view: RunView) -> bool:
        if view.state is None or self._sealed.get(run) or view.state_name == "queued":
            return False
        return not (view.state.ended and run in self._whole)

    def _mirrored(self, found: Iterable[Mirrored], trouble: str) -> None:
        now = time.monotonic()
        for one in found:
            view = self._views[one.run]
            if one.key == self._launches[one.run] and self._grows(one.run, view):
                if view.state is not None and view.state.ended and not one.new:
                    self._whole.add(one.run)
                self.sync_states[one.run] = SyncState("syncing", bytes_done=sum(one.sizes.values()), as_of=now)
        if trouble:
            for run in self._growing():
                self.sync_states[run] = replace(self.sync_states[run], status="syncing", note=trouble)
        self._tell()

    def _beginnings(self, run: RunId) -> SyncState:
        """What earlier, or other, consoles brought of a run's present launch."""
        size = self._mirror.size(run, self._launches[run])
        return SyncState() if size is None else SyncState("syncing", bytes_done=size)

    def _set_of(self, run: RunId, key: str, runs_dir: SyncState) -> None:
        """``runs_dir`` is of launch ``key``: no news if the run was launched anew meanwhile."""
        if self._launches.get(run, key) == key:
            self._set(run, runs_dir)

    def _set(self, run: RunId, runs_dir: SyncState) -> None:
        self.sync_states[run] = runs_dir
        self._tell()
