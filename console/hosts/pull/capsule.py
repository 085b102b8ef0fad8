"""Brings a sealed run home: every file checked against the manifest, and in place all at once or not at all."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from os import close
from pathlib import Path, PurePosixPath

from console.hosts.agent.disk import disk_full_error
from console.hosts.agent.file_index import Entry
from console.hosts.agent.receive import STAGING, staged_name
from console.hosts.agent.safe_dir import RESERVED
from console.hosts.pull.shielded_thread import shielded_thread
from console.hosts.pull.tail import HeldPlace
from console.hosts.pull.verify import local_manifest
from console.hosts.ssh.channels import HostConnection
from console.hosts.transfer.batch import fetch, read_host_file
from console.hosts.transfer.channel import open_transfer
from console.hosts.transfer.errors import NoRoom, NotNow, SyncFailed
from console.hosts.transfer.verdict import Progress
from console.runs.snapshot import SyncState
from console.sanitize import sanitize_line
from engine.contract import manifest as manifests
from engine.contract.bad_input import BadInput
from engine.contract.durable import sync_folder, write_durably
from engine.contract.file_lock import take_lock
from engine.contract.run_folder import MANIFEST
from engine.contract.settings import RunId

MAX_MANIFEST = 4 << 20
LOOK_ENDS_S = 10.0  # a look at the beginnings lasts a round trip; from a console that stands still they are not taken


class Damaged(Exception):
    """What came over the link is not what the manifest says, or the local disk refused it."""


async def pull(
    connection: HostConnection,
    remote: PurePosixPath,
    folder: Path,
    run: RunId,
    report: Callable[[SyncState], None],
    *,
    mirrored: Callable[[str], Path | None] = lambda _: None,
    again: bool = False,
) -> None:
    """Bring the capsule ``remote`` to ``folder/run``. Another one there is set aside in ``folder/.previous``.

    A pull that was cut off is gone on with from the byte it came to.

    Args:
        report: told how far it is.
        mirrored: launch key -> folder with the beginnings of its files, which are moved here and not asked for again.
        again: even where that very capsule is at home: it is not what its manifest says any more.

    Raises:
        LinkDown: the link failed; nothing at home has changed.
        NotNow: this machine's disk is full, or another console pulls the same run; nothing at home has changed.
        Damaged: a file is not what the manifest says, or cannot be written; nothing at home has changed.
    """
    staging = folder / ".incoming" / str(run)
    try:
        with _alone(staging):
            report(SyncState("pulling"))
            async with open_transfer(connection) as channel:
                content = await read_host_file(channel, str(remote), MANIFEST, MAX_MANIFEST)
                manifest = manifests.decode(content)
                if not again and local_manifest(folder, run) == manifest:
                    return  # another console was quicker
                files = [Entry(entry.path, entry.size, entry.sha256, False) for entry in manifest.files]
                await shielded_thread(_prepare, staging, files, mirrored(manifest.key))
                moved = await fetch(channel, str(remote), files, staging, _Pace(report).take)
            for path, why in sorted(moved.failures.items()):
                raise Damaged(sanitize_line(f"{path} is not what its manifest says: {why}"))
            await shielded_thread(_put_in_place, staging, content, folder, run)
    except NotNow:
        raise
    except (SyncFailed, BadInput, OSError) as error:
        if isinstance(error, OSError) and (full := disk_full_error(error, str(folder), 4096)):
            raise NoRoom("this machine", full.disk, full.missing) from error
        raise Damaged(sanitize_line(str(error))) from error


@contextmanager
def _alone(staging: Path) -> Iterator[None]:
    """The one pull into ``staging``, of whatever console; the lock's file stays, for there is always a next pull.

    Raises:
        NotNow: there is another.
    """
    staging.parent.mkdir(parents=True, exist_ok=True)
    lock = take_lock(staging.with_name(f"{staging.name}.lock"), wait=False)
    if lock is None:
        raise NotNow("another console on this machine brings it home")
    try:
        yield
    finally:
        close(lock)


class _Pace:
    """Reports progress with the time that is left, at the pace since it began."""

    def __init__(self, report: Callable[[SyncState], None]) -> None:
        self._report = report
        self._began = time.monotonic()
        self._first: int | None = None

    def take(self, progress: Progress) -> None:
        done, total = progress.bytes_done, progress.bytes
        if self._first is None:
            self._first = done
        rate = (done - self._first) / max(time.monotonic() - self._began, 1e-6)
        left = (total - done) / rate if rate else None
        files = progress.files if done == total else 0
        self._report(SyncState("pulling", files, progress.files, done, total, left=left))


def _prepare(staging: Path, files: list[Entry], mirror: Path | None) -> None:
    """A staging folder with nothing in it but what can be gone on from."""
    (staging / Path(*STAGING)).mkdir(parents=True, exist_ok=True)
    for left in staging.iterdir():
        if left.name == RESERVED:
            continue
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()
    if mirror is not None:
        with suppress(FileNotFoundError, BlockingIOError), HeldPlace(mirror, LOOK_ENDS_S):
            _take_over(mirror, staging, files)


def _take_over(mirror: Path, staging: Path, files: list[Entry]) -> None:
    """Beginnings of files become files on their way."""
    for entry in files:
        beginning, target = mirror / entry.path, staging.joinpath(*STAGING, staged_name(entry))
        usable = beginning.is_file() and not beginning.is_symlink() and beginning.stat().st_size <= entry.size
        if usable and not target.exists():
            beginning.replace(target)


def _put_in_place(staging: Path, manifest: bytes, folder: Path, run: RunId) -> None:
    shutil.rmtree(staging / RESERVED)
    write_durably(staging / MANIFEST, manifest)
    target = folder / str(run)
    if target.exists():
        previous = folder / ".previous"
        previous.mkdir(exist_ok=True)
        older = local_manifest(folder, run)
        name = f"{run}-{older.key if older else 'unsealed'}"
        number = 0
        while (aside := previous / (f"{name}.{number}" if number else name)).exists():
            number += 1
        target.rename(aside)
    staging.rename(target)
    sync_folder(folder)
