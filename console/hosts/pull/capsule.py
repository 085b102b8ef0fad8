"""Pulls a sealed run from the host: every file is checked against the manifest, then all are put in place at once."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from console.format import seconds_left
from console.hosts.agent.disk import disk_full_error
from console.hosts.agent.file_index import Entry
from console.hosts.agent.receive import STAGING, staged_name
from console.hosts.agent.safe_dir import RESERVED
from console.hosts.pull.local_copy import run_to_end
from console.hosts.pull.verify import capsule_error, local_manifest
from console.hosts.ssh.channels import HostConnection
from console.hosts.transfer.batch import fetch, read_host_file
from console.hosts.transfer.channel import open_transfer
from console.hosts.transfer.errors import NoRoom, RetryLater, SyncFailed
from console.hosts.transfer.verdict import Progress
from console.runs.snapshot import SyncState
from console.sanitize import sanitize_line
from engine.contract import manifest as manifests
from engine.contract.bad_input import BadInput
from engine.contract.durable import sync_folder, write_durably, writing_durably
from engine.contract.run_folder import EVENTS, MANIFEST
from engine.contract.settings import RunId

MAX_MANIFEST = 4 << 20


class Damaged(Exception):
    """A pulled file is not what the manifest says, or the local disk refused it."""


async def pull(
    connection: HostConnection,
    remote: PurePosixPath,
    folder: Path,
    run: RunId,
    key: str,
    report: Callable[[SyncState], None],
    live_copy: Path | None = None,
    *,
    again: bool = False,
) -> None:
    """Pull the capsule ``remote`` of launch ``key`` to ``folder/run``; one that is replaced goes to ``folder/.previous``.

    A pull that was interrupted continues from the byte it came to.

    Args:
        report: called with the progress.
        live_copy: folder with the first bytes of its files, which are taken over and not transferred again.
        again: pull even if the local capsule has the same manifest, because its files differ from it.

    Raises:
        LinkDown: the link failed.
        RetryLater: this machine's disk is full, another pull writes into the same folder, or the capsule is of another launch.
        Damaged: a file is not what the manifest says, or cannot be written.
        In each case the local capsule, if there is one, is as before.
    """
    staging = folder / ".incoming" / str(run)
    try:
        report(SyncState("pulling"))
        async with open_transfer(connection) as channel:
            content = await read_host_file(channel, str(remote), MANIFEST, MAX_MANIFEST)
            manifest = manifests.decode(content)
            if manifest.key != key:  # the live copy and the state to report are those of ``key``
                raise RetryLater("the run was launched again meanwhile")
            if not again and local_manifest(folder, run) == manifest:
                return
            files = [Entry(entry.path, entry.size, entry.sha256, False) for entry in manifest.files]
            await run_to_end(asyncio.to_thread(_prepare, staging, files, live_copy))
            fetched = await fetch(channel, str(remote), files, staging, _progress_reporter(report))
        for path, why in sorted(fetched.failures.items()):
            raise Damaged(sanitize_line(f"{path} is not what its manifest says: {why}"))
        await run_to_end(asyncio.to_thread(_put_in_place, staging, content, folder, run))
    except RetryLater:
        raise
    except (SyncFailed, BadInput, OSError) as error:
        if isinstance(error, OSError) and (full := disk_full_error(error, str(folder), 4096)):
            raise NoRoom(full) from error
        raise Damaged(sanitize_line(str(error))) from error


def _progress_reporter(report: Callable[[SyncState], None]) -> Callable[[Progress], None]:
    """Reports a pull's progress with the seconds left, at the mean pace since its first progress."""
    started, first = time.monotonic(), None

    def on_progress(progress: Progress) -> None:
        nonlocal first
        done, total = progress.bytes_done, progress.bytes
        first = done if first is None else first  # what earlier attempts fetched took no time in this one
        left = seconds_left(done - first, total - first, time.monotonic() - started)
        files = progress.files if done == total else 0
        report(SyncState("pulling", files, progress.files, done, total, left=left))

    return on_progress


def _prepare(staging: Path, files: list[Entry], live_copy: Path | None) -> None:
    """Leave in the staging folder only what the pull can continue from, and add the bytes of the live copy."""
    (staging / Path(*STAGING)).mkdir(parents=True, exist_ok=True)
    for path in staging.iterdir():
        if path.name == RESERVED:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    if live_copy is None:
        return
    for entry in files:
        source, target = live_copy / entry.path, staging.joinpath(*STAGING, staged_name(entry))
        usable = source.is_file() and not source.is_symlink() and source.stat().st_size <= entry.size
        if not usable or target.exists():
            continue
        if entry.path == EVENTS:  # small, and kept until the capsule is in place: views are made of it after a restart
            with suppress(OSError), writing_durably(target, wait=False) as copy, open(source, "rb") as file:
                shutil.copyfileobj(file, copy)
        if not target.exists():  # no room for two of them
            source.replace(target)


def _put_in_place(staging: Path, manifest: bytes, folder: Path, run: RunId) -> None:
    shutil.rmtree(staging / RESERVED)
    write_durably(staging / MANIFEST, manifest)
    _replace(staging, folder, run)


def take_back(folder: Path, run: RunId, key: str) -> bool:
    """Put the capsule of launch ``key`` back from ``folder/.previous``, if it is there as its manifest says. Blocks.

    The present capsule takes its place there.

    Raises:
        OSError: it cannot be moved; both are where they were, or in ``.previous``.
    """
    for capsule in sorted((folder / ".previous").glob(f"{run}-{key}*")):
        try:
            manifest = manifests.decode((capsule / MANIFEST).read_bytes())
        except (OSError, BadInput):
            continue
        if manifest.key == key and not capsule_error(capsule, manifest):
            _replace(capsule, folder, run)
            return True
    return False


def _replace(capsule: Path, folder: Path, run: RunId) -> None:
    """Give the folder ``capsule`` the run's name; the present one goes to ``folder/.previous``."""
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
    capsule.rename(target)
    sync_folder(folder)
