"""Brings a sealed run home: every file checked against the manifest, and in place all at once or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import asyncssh

from console.hosts.connection import LinkDown
from console.sanitize import sanitize_line
from console.snapshot import Home
from engine.contract import manifest as manifests
from engine.contract.bad_input import BadInput
from engine.contract.durable import write_durably
from engine.contract.experiment import RunId
from engine.contract.run_folder import MANIFEST

READ_SIZE = 128 * 1024  # below the limit every server grants a read
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
    connection: asyncssh.SSHClientConnection,
    remote: PurePosixPath,
    folder: Path,
    run: RunId,
    report: Callable[[Home], None],
) -> None:
    """Copy the capsule ``remote`` to ``folder/run``. An older one there is set aside in ``folder/.previous``.

    Raises:
        LinkDown: the link failed; nothing at home has changed.
        Damaged: a file is not what the manifest says, or cannot be written; nothing at home has changed.
    """
    staging = folder / ".incoming" / str(run)
    try:
        async with connection.start_sftp_client() as sftp:
            await asyncio.to_thread(_fresh, staging)
            content = await _read_manifest(sftp, remote / MANIFEST)
            manifest = manifests.decode(content)
            await _copy_all(sftp, remote, staging, manifest, report)
        await asyncio.to_thread(write_durably, staging / MANIFEST, content)
        await asyncio.to_thread(_put_in_place, staging, folder, run)
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPFailure, BadInput, OSError) as error:
        raise Damaged(sanitize_line(str(error))) from error
    except asyncssh.Error as error:
        raise LinkDown(sanitize_line(str(error))) from error


async def _read_manifest(sftp: asyncssh.SFTPClient, path: PurePosixPath) -> bytes:
    async with sftp.open(str(path), "rb") as file:
        content = await file.read(MAX_MANIFEST + 1)
    assert isinstance(content, bytes)
    if len(content) > MAX_MANIFEST:
        raise Damaged(f"the manifest is larger than {MAX_MANIFEST >> 20} MiB")
    return content


async def _copy_all(
    sftp: asyncssh.SFTPClient,
    remote: PurePosixPath,
    staging: Path,
    manifest: manifests.Manifest,
    report: Callable[[Home], None],
) -> None:
    total = sum(entry.size for entry in manifest.files)
    done = 0
    for number, entry in enumerate(manifest.files):
        report(Home("pulling", number, len(manifest.files), done, total))
        await _copy(sftp, remote / entry.path, staging / manifests.safe_path(entry.path), entry)
        done += entry.size
    report(Home("pulling", len(manifest.files), len(manifest.files), done, total))


async def _copy(sftp: asyncssh.SFTPClient, source: PurePosixPath, target: Path, entry: manifests.FileEntry) -> None:
    """Copy one file, hashed while it moves; more bytes than the manifest says are not even written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    size = 0
    copy = await asyncio.to_thread(open, target, "xb")
    with copy:
        async with sftp.open(str(source), "rb") as file:
            while chunk := await file.read(READ_SIZE):
                assert isinstance(chunk, bytes)
                size += len(chunk)
                if size > entry.size:
                    break
                digest.update(chunk)
                await asyncio.to_thread(copy.write, chunk)
    if size != entry.size or digest.hexdigest() != entry.sha256:
        raise Damaged(f"{entry.path} is not what its manifest says")


def _fresh(staging: Path) -> None:
    """An empty staging folder; what an interrupted pull left there is of no use to anybody."""
    if staging.exists():
        shutil.rmtree(staging)
    staging.mkdir(parents=True)


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
