"""Runs at home while they run: their append-only files, followed by offset.

The promise: ``folder/.live/<run>/<launch key>/<file>`` is, byte for byte, the beginning of the host's file under that
launch, as long as it was when last asked. It has no holes, never mixes two launches, and outlives the link and the
console; after either broke, the host is asked whether what is here is still the beginning before more is added. It is
not flushed to the disk each time: what is certain is the sealed capsule, which takes these beginnings over. Consoles
that share a home take turns, run by run, and each goes on where the other stopped.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from console.hosts.agent.disk import disk_full_error
from console.hosts.agent.frames import FILE, FILE_HEAD
from console.hosts.agent.workspace import KEY
from console.hosts.pull.shielded_thread import shielded_thread
from console.hosts.pull.tail import GROWING, HeldPlace, LiveLook
from console.hosts.ssh.channels import HostConnection
from console.hosts.transfer.channel import TransferChannel, open_transfer
from console.hosts.transfer.errors import NoRoom, SyncFailed
from engine.contract.settings import RunId

EVERY_S = 2.0
RETRY_S = 30.0  # after a full disk
LOOK_ENDS_S = 5.0  # a look of another console lasts a round trip, unless that console stands still


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

    def size(self, run: RunId, key: str) -> int | None:
        """Bytes at home of that launch, whoever brought them; None if it was never looked at. Blocks."""
        place = self.place(run, key)
        if not place.is_dir():
            return None
        try:
            return sum((place / name).stat().st_size for name in GROWING if (place / name).exists())
        except OSError:
            return None

    async def catch_up(self, channel: TransferChannel, runs: Sequence[RunId]) -> tuple[Mirrored, ...]:
        """Bring what was written since the last time: one round trip for all ``runs``, two if one was launched anew.

        A run that another console looks at in this moment is left out.

        Raises:
            LinkDown: the link failed; what came is kept.
            NoRoom: this machine's disk is full; what came is kept.
            SyncFailed: the host cannot, or a file cannot be written here.
        """
        before = dict(self._keys)
        found = await self._look(channel, runs)
        seen = {one.run for one in found}
        again = [run for run in runs if run not in seen and self._keys.get(run) not in (None, before.get(run))]
        return (*found, *await self._look(channel, again)) if again else found

    def settled(self, run: RunId, key: str) -> None:
        """The capsule of that launch, the last, is at home: its beginnings are not needed any more. Blocks.

        Those of launches before it, whose capsules never came, are set aside in ``folder/.previous``.
        """
        try:
            left = list((self._folder / str(run)).iterdir())
        except OSError:
            return
        for place in left:
            try:
                with HeldPlace(place, LOOK_ENDS_S):
                    aside = self._folder.parent / ".previous" / f"{run}-{place.name}"
                    if place.name == key or aside.exists():  # its capsule is at home
                        shutil.rmtree(place)
                    else:
                        aside.parent.mkdir(exist_ok=True)
                        place.rename(aside)
            except OSError:
                continue  # it stays where it is, until the next capsule comes
        for folder in (self._folder / str(run), self._folder):
            with suppress(OSError):  # not empty: another run, or another console, needs it
                folder.rmdir()

    async def _look(self, channel: TransferChannel, runs: Sequence[RunId]) -> tuple[Mirrored, ...]:
        """One round trip; a run whose launch is not the one expected is left out, and the right one expected next."""
        looks: dict[RunId, LiveLook] = {}
        try:
            await shielded_thread(self._open, runs, looks)
            files = [file for look in looks.values() for file in look.files]
            if files:
                channel.send_request({"op": "send", "root": self._remote, "files": files})
                await channel.read_reply(_Sorter(list(looks.values())))
            for look in looks.values():
                look.finish()
        except OSError as error:
            full = disk_full_error(error, str(self._folder), 4096)
            if full is not None:
                raise NoRoom("this machine", full.disk, full.missing) from error
            raise SyncFailed(f"{self._folder}: {error}") from error
        finally:
            for look in looks.values():
                look.close()
        return tuple(one for run, look in looks.items() if (one := self._learned(run, look)) is not None)

    def _open(self, runs: Sequence[RunId], looks: dict[RunId, LiveLook]) -> None:
        """Open a look at each of ``runs`` that no other console looks at."""
        for run in runs:
            key = self._keys.get(run) or self._newest(run)
            place = self.place(run, key) if key else None
            look = looks[run] = LiveLook(str(run), key, place, sure=run in self._sure)
            self._sure.discard(run)
            if not look.open():
                look.close()
                del looks[run]

    def _learned(self, run: RunId, look: LiveLook) -> Mirrored | None:
        if look.key:
            self._keys[run] = look.key
        else:
            self._keys.pop(run, None)
        if not look.confirmed:
            return None
        if not look.shrank:
            self._sure.add(run)
        return Mirrored(run, look.key, look.sizes, look.new)

    def _newest(self, run: RunId) -> str:
        """The launch that an earlier console followed; empty if none did."""
        try:
            known = [folder for folder in (self._folder / str(run)).iterdir() if KEY.match(folder.name)]
        except OSError:
            return ""
        return max(known, key=lambda folder: folder.stat().st_mtime_ns).name if known else ""


async def keep_mirrored(
    connection: HostConnection,
    mirror: LiveMirror,
    active: Callable[[], Sequence[RunId]],
    tell: Callable[[tuple[Mirrored, ...], str], None],
    every_s: float = EVERY_S,
) -> None:
    """Mirror the runs that are ``active`` as long as the link holds, on one channel; on none while there are none.

    Args:
        tell: called after each look with what came, and what keeps the mirror from going on; empty if nothing does.
        every_s: seconds between looks.

    Raises:
        LinkDown: the link does not hold any more.
    """
    while True:
        try:
            if active():
                async with open_transfer(connection) as channel:
                    while runs := active():
                        tell(await mirror.catch_up(channel, runs), "")
                        await asyncio.sleep(every_s)
        except SyncFailed as error:
            tell((), str(error))
            await asyncio.sleep(RETRY_S)
        await asyncio.sleep(every_s)


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
