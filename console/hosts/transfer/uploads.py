"""Uploads the user's files that an experiment names to the host: each content once, under its hash.

On the host ``inputs/<sha256>.jsonl`` is one file, and ``inputs/<hash>/`` holds the experiment's TOML and the listing of
its files, so that the engine there can check them before anything is queued.
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
from console.hosts.transfer.request import SyncRequest, records_folder
from engine.contract.bad_input import BadInput
from engine.contract.durable import write_durably
from engine.contract.input_files import INPUTS, HashedFile, encode_input_list, hash_file, remote_name


async def send_inputs(
    connection: HostConnection, host: str, runs_dir: Path, experiment_text: str, files: Mapping[str, HashedFile]
) -> PurePosixPath:
    """Send the files that the host lacks; returns the host's path of the experiment's TOML.

    A local copy in ``runs_dir`` is sent, so that a file that changes meanwhile is noticed instead of half sent.

    Args:
        host: the host's name.
        runs_dir: the experiment's runs folder.
        files: by the names that the experiment uses.

    Raises:
        LinkDown: the link failed; a second call continues from what arrived.
        BadInput: a file has changed since it was read, or a disk is full; nothing may be launched.
    """
    upload_dir = runs_dir / ".inputs"
    try:
        name = await asyncio.to_thread(_copy_inputs, upload_dir, experiment_text, files)
        records = records_folder(runs_dir, host, upload_dir, INPUTS_FOLDER)
        verdict = await push(connection, SyncRequest(upload_dir, INPUTS_FOLDER, records, host, excludes=()))
    except (SyncFailed, OSError) as error:
        raise BadInput(f"the experiment's files cannot be sent: {error}") from error
    if not verdict.full:
        raise BadInput(f"the experiment's files cannot be sent: {verdict.sentence()}")
    return PurePosixPath(connection.workspace) / INPUTS_FOLDER / name / EXPERIMENT_FILE


def _copy_inputs(upload_dir: Path, experiment_text: str, files: Mapping[str, HashedFile]) -> str:
    """Make ``upload_dir`` hold exactly these files; returns the name of the experiment's folder in it."""
    listing = encode_input_list(files)
    name = hashlib.sha256(experiment_text.encode() + listing).hexdigest()[:16]
    by_remote_name = {remote_name(file.sha256): file for file in files.values()}
    upload_dir.mkdir(parents=True, exist_ok=True)
    for path in upload_dir.iterdir():
        if path.name not in by_remote_name and path.name != name:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for remote, file in by_remote_name.items():
        if (upload_dir / remote).exists():
            continue
        part = (upload_dir / remote).with_suffix(".part")
        shutil.copyfile(file.path, part)
        if hash_file(part).sha256 != file.sha256:
            part.unlink()
            text = "has changed since it was read; open the console again to use the new content"
            raise BadInput(text, file=file.path)
        part.replace(upload_dir / remote)
    (upload_dir / name).mkdir(exist_ok=True)
    write_durably(upload_dir / name / EXPERIMENT_FILE, experiment_text.encode())
    write_durably(upload_dir / name / INPUTS, listing)
    return name
