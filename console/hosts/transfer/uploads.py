"""Sends the files of the user's own that an experiment names to the host: each content once, under its hash.

On the host ``inputs/<sha256>.jsonl`` holds a file, and ``inputs/<name>/`` the experiment's TOML with the listing of which
is which, so that the engine there can be asked whether it can use them before anything is queued.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from console.hosts.remote.launch_request import EXPERIMENT_FILE, INPUTS_FOLDER
from console.hosts.ssh.channels import HostConnection
from console.hosts.transfer.errors import SyncFailed
from console.hosts.transfer.folder_sync import push
from console.hosts.transfer.request import SyncRequest, notes_of
from engine.contract.bad_input import BadInput
from engine.contract.durable import write_durably
from engine.contract.input_files import INPUTS, HashedFile, encode_input_list, found, remote_name


async def send_inputs(
    connection: HostConnection, host: str, runs_dir: Path, experiment_text: str, files: Mapping[str, HashedFile]
) -> PurePosixPath:
    """Send what the host lacks; returns the path there of the experiment beside its listing.

    What is sent is a copy, kept in ``runs_dir``, so that a file that changes meanwhile is noticed rather than half sent.

    Args:
        host: its name, for the notes of what it has.
        runs_dir: the local folder of the experiment's runs.
        files: by the names that the experiment gives them.

    Raises:
        LinkDown: the link failed; asked for again, it goes on from what arrived.
        BadInput: a file has changed since it was read, or a disk is full; nothing may be launched.
    """
    store = runs_dir / ".inputs"
    try:
        place = await asyncio.to_thread(_gather, store, experiment_text, files)
        notes = notes_of(runs_dir, host, store, INPUTS_FOLDER)
        verdict = await push(connection, SyncRequest(store, INPUTS_FOLDER, notes, host, excludes=()))
    except (SyncFailed, OSError) as error:
        raise BadInput(f"the experiment's files cannot be sent: {error}") from error
    if not verdict.full:
        raise BadInput(f"the experiment's files cannot be sent: {verdict.sentence()}")
    return PurePosixPath(connection.workspace) / INPUTS_FOLDER / place / EXPERIMENT_FILE


def _gather(store: Path, experiment_text: str, files: Mapping[str, HashedFile]) -> str:
    """Fill ``store`` with the files, no others; returns the name of the experiment's folder in it."""
    listing = encode_input_list(files)
    place = hashlib.sha256(experiment_text.encode() + listing).hexdigest()[:16]
    wanted = {remote_name(file.sha256): file for file in files.values()}
    store.mkdir(parents=True, exist_ok=True)
    for there in store.iterdir():
        if there.name not in wanted and there.name != place:
            shutil.rmtree(there) if there.is_dir() else there.unlink()
    for name, file in wanted.items():
        if not (store / name).exists():
            _copy(file, store / name)
    (store / place).mkdir(exist_ok=True)
    write_durably(store / place / EXPERIMENT_FILE, experiment_text.encode())
    write_durably(store / place / INPUTS, listing)
    return place


def _copy(file: HashedFile, target: Path) -> None:
    part = target.with_suffix(".part")
    shutil.copyfile(file.path, part)
    if found(part).sha256 != file.sha256:
        part.unlink()
        raise BadInput("has changed since it was read; open the console again to use what it holds now", file=file.path)
    part.replace(target)
