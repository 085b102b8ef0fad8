"""Brings a sealed run home: every file checked against the manifest, and in place all at once or not at all."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from console.hosts.agent.census import Entry
from console.hosts.agent.files import sync_folder
from console.hosts.agent.names import RESERVED
from console.hosts.agent.staging import STAGING, staged_name
from console.hosts.reached import Reached
from console.hosts.sync.failure import NotNow, SyncFailed
from console.hosts.sync.host_file import read_host_file
from console.hosts.sync.inbound import fetch
from console.hosts.sync.transfer_channel import open_transfer
from console.hosts.sync.verdict import Progress
from console.sanitize import sanitize_line
from console.snapshot import Home
from engine.contract import manifest as manifests
from engine.contract.bad_input import BadInput
from engine.contract.durable import write_durably
from engine.contract.experiment import RunId
from engine.contract.run_folder import MANIFEST

MAX_MANIFEST = 4 << 20


class Damaged(Exception):
    """What came over the link is not what the manifest says, or the local disk refused it."""


def manifest_at_home(folder: Path, run: RunId) -> manifests.Manifest | None:
    """The manifest of the sealed capsule that lies at home; None if there is none."""
    try:
        return manifests.decode((folder / str(run) / MANIFEST).read_bytes())
    except (OSError, BadInput):
        return None


async def pull(
    reached: Reached,
    remote: PurePosixPath,
    folder: Path,
    run: RunId,
    report: Callable[[Home], None],
    *,
    mirrored: Callable[[str], Path | None] = lambda _: None,
) -> None:
    """Bring the capsule ``remote`` to ``folder/run``. An older one there is set aside in ``folder/.previous``.

    A pull that was cut off is gone on with from the byte it came to.

    Args:
        report: told how far it is.
        mirrored: launch key -> folder with the beginnings of its files, which are moved here and not asked for again.

    Raises:
        LinkDown: the link failed; nothing at home has changed.
        NotNow: this machine's disk is full, or another console pulls the same run; nothing at home has changed.
        Damaged: a file is not what the manifest says, or cannot be written; nothing at home has changed.
    """
    staging = folder / ".incoming" / str(run)
    report(Home("pulling"))
    try:
        async with open_transfer(reached) as channel:
            content = await read_host_file(channel, str(remote), MANIFEST, MAX_MANIFEST)
            manifest = manifests.decode(content)
            files = [Entry(entry.path, entry.size, entry.sha256, False) for entry in manifest.files]
            await asyncio.to_thread(_prepare, staging, files, mirrored(manifest.key))
            moved = await fetch(channel, str(remote), files, staging, lambda progress: report(_home(progress)))
        for path, why in sorted(moved.failures.items()):
            raise Damaged(sanitize_line(f"{path} is not what its manifest says: {why}"))
        await asyncio.to_thread(shutil.rmtree, staging / RESERVED)
        await asyncio.to_thread(write_durably, staging / MANIFEST, content)
        await asyncio.to_thread(_put_in_place, staging, folder, run)
    except NotNow:
        raise
    except (SyncFailed, BadInput, OSError) as error:
        raise Damaged(sanitize_line(str(error))) from error


def _home(progress: Progress) -> Home:
    whole = progress.bytes_done == progress.bytes
    return Home("pulling", progress.files if whole else 0, progress.files, progress.bytes_done, progress.bytes)


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
    if mirror is None:
        return
    for entry in files:
        beginning, target = mirror / entry.path, staging.joinpath(*STAGING, staged_name(entry))
        usable = beginning.is_file() and not beginning.is_symlink() and beginning.stat().st_size <= entry.size
        if usable and not target.exists():
            beginning.replace(target)


def _put_in_place(staging: Path, folder: Path, run: RunId) -> None:
    target = folder / str(run)
    if target.exists():
        previous = folder / ".previous"
        previous.mkdir(exist_ok=True)
        manifest = manifest_at_home(folder, run)
        name = f"{run}-{manifest.key if manifest else 'unsealed'}"
        number = 0
        while (aside := previous / (f"{name}.{number}" if number else name)).exists():
            number += 1
        target.rename(aside)
    staging.rename(target)
    sync_folder(folder)
