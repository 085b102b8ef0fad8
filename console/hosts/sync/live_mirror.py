"""Runs at home while they run: their append-only files, followed by offset.

The promise: ``folder/.live/<run>/<launch key>/<file>`` is, byte for byte, the beginning of the host's file under that
launch, as long as it was when last asked. It has no holes, never mixes two launches, and outlives the link and the
console; after either broke, the host is asked whether what is here is still the beginning before more is added. It is
not flushed to the disk each time: what is certain is the sealed capsule, which takes these beginnings over.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from console.hosts.agent.disk import as_full
from console.hosts.agent.files import KEY
from console.hosts.agent.frames import FILE, FILE_HEAD
from console.hosts.reached import Reached
from console.hosts.sync.failure import NoRoom, SyncFailed
from console.hosts.sync.live_look import LiveLook
from console.hosts.sync.transfer_channel import TransferChannel, open_transfer
from engine.contract.experiment import RunId

EVERY_S = 2.0
RETRY_S = 30.0  # after a full disk


class Mirrored(Struct, frozen=True):
    """One run after a look: its launch, bytes at home of each file, and how many of them are new."""

    run: RunId
    key: str
    sizes: dict[str, int]
    new: int


class LiveMirror:
    """What is at home of runs that have not ended.

    Args:
        folder: local folder of the experiment's runs.
        remote: the host's folder of them: a path below its workspace, or an absolute one.
    """

    def __init__(self, folder: Path, remote: str) -> None:
        self._folder = folder / ".live"
        self._remote = remote
        self._keys: dict[RunId, str] = {}
        self._sure: set[RunId] = set()

    def place(self, run: RunId, key: str) -> Path:
        """Where the files of that launch are."""
        return self._folder / str(run) / key

    async def catch_up(self, channel: TransferChannel, runs: Sequence[RunId]) -> tuple[Mirrored, ...]:
        """Bring what was written since the last time: one round trip for all ``runs``, two if one was launched anew.

        Raises:
            LinkDown: the link failed; what came is kept.
            NoRoom: this machine's disk is full; what came is kept.
            SyncFailed: the host cannot, or a file cannot be written here.
        """
        found = await self._look(channel, runs)
        again = [run for run in runs if run in self._keys and all(one.run != run for one in found)]
        return (*found, *await self._look(channel, again)) if again else found

    def settled(self, run: RunId, key: str) -> None:
        """The capsule of that launch is at home, so its beginnings are not needed any more. Blocks."""
        shutil.rmtree(self.place(run, key), ignore_errors=True)

    async def _look(self, channel: TransferChannel, runs: Sequence[RunId]) -> tuple[Mirrored, ...]:
        """One round trip; a run whose launch is not the one expected is left out, and the right one expected next."""
        looks = await asyncio.to_thread(lambda: [self._prepared(run) for run in runs])
        self._sure.difference_update(runs)
        channel.post({"op": "send", "root": self._remote, "files": [file for look in looks for file in look.files]})
        try:
            await channel.answer(_Sorter(looks))
            for look in looks:
                look.finish()
        except OSError as error:
            full = as_full(error, str(self._folder), 0)
            if full is not None:
                raise NoRoom("this machine", full.disk, full.missing) from error
            raise SyncFailed(f"{self._folder}: {error}") from error
        finally:
            for look in looks:
                look.close()
        found = []
        for run, look in zip(runs, looks, strict=True):
            if look.key:
                self._keys[run] = look.key
            else:
                self._keys.pop(run, None)
            if look.confirmed:
                self._sure.add(run)
                found.append(Mirrored(run, look.key, look.sizes, look.new))
        return tuple(found)

    def _prepared(self, run: RunId) -> LiveLook:
        key = self._keys.get(run) or self._newest(run)
        return LiveLook(str(run), key, self.place(run, key) if key else None, sure=run in self._sure)

    def _newest(self, run: RunId) -> str:
        """The launch that an earlier console followed; empty if none did."""
        try:
            known = [folder for folder in (self._folder / str(run)).iterdir() if KEY.match(folder.name)]
        except OSError:
            return ""
        return max(known, key=lambda folder: folder.stat().st_mtime_ns).name if known else ""


async def keep_mirrored(
    reached: Reached,
    mirror: LiveMirror,
    active: Callable[[], Sequence[RunId]],
    tell: Callable[[tuple[Mirrored, ...], str], None],
    every_s: float = EVERY_S,
) -> None:
    """Mirror the runs that are ``active`` as long as the link holds, on one channel.

    Args:
        tell: called after each look with what came, and what keeps the mirror from going on; empty if nothing does.
        every_s: seconds between looks.

    Raises:
        LinkDown: the link does not hold any more.
    """
    while True:
        try:
            async with open_transfer(reached) as channel:
                while True:
                    runs = active()
                    tell(await mirror.catch_up(channel, runs) if runs else (), "")
                    await asyncio.sleep(every_s)
        except SyncFailed as error:
            tell((), str(error))
            await asyncio.sleep(RETRY_S)


class _Sorter:
    """Hands frames to the look that asked for them."""

    def __init__(self, looks: Sequence[LiveLook]) -> None:
        self._slots = [(look, slot) for look in looks for slot in range(len(look.files))]
        self._now: tuple[LiveLook, int] | None = None

    def take(self, kind: int, payload: bytes | memoryview) -> None:
        offset = 0
        if kind == FILE:
            number, offset = FILE_HEAD.unpack(payload)
            self._now = self._slots[number] if number < len(self._slots) else None
        if self._now is not None:
            look, slot = self._now
            look.take(slot, kind, payload, offset)
