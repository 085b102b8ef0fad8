"""Answers the console's polls: states of runs and new bytes of their growing files."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

from console.hosts.agent import run_states
from console.hosts.agent.file_index import hash_prefix
from console.hosts.agent.workspace import Workspace, read_json
from engine.contract.run_folder import EVENTS, LOG, MANIFEST, STATE

LIMIT = 256 * 1024
MAX_LIMIT = 4 << 20  # of one reply: memory on both sides is bounded by it
MAX_HASHED = 256 << 20  # bytes hashed for one reply, or one file if that is larger: the console waits for the reply
CHECK_EVERY_S = 0.1
FILES = {"events": EVENTS, "log": LOG}  # in this order: curves do not wait for a long log


class LocalFile(NamedTuple):
    """What the console has of a run's file: the first ``size`` bytes, of launch ``key``.

    ``sha256`` is of these bytes; "" if they were compared before on this connection.
    """

    run: str
    key: str
    file: str
    size: int
    sha256: str


def poll(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """States of a folder's runs, and new bytes of their files; waits up to ``wait`` seconds for there to be any news.

    Args:
        request: ``folder``; ``digest`` of the states that are known; ``files``: what the console has of the files that it
            wants, each the fields of ``LocalFile``; ``limit``: bytes of content in the reply.

    Returns:
        ``states``; their ``digest``; ``sealed``: run -> key of its manifest; ``sizes``: [run, key, file, bytes on the host]
        of each file whose local bytes are confirmed or replaced; ``chunks``: [run, key, file, offset, base64]. A chunk goes
        on where the local file ends, or begins at 0: then the local file is not the beginning of the host's.
    """
    deadline = time.monotonic() + float(request.get("wait", 0.0))
    folder = str(request["folder"])
    limit = min(int(request.get("limit", LIMIT)), MAX_LIMIT)
    states = run_states.current_states(workspace, folder)
    files = [LocalFile(*file) for file in request.get("files", ())]
    files = [file for file in files if states.get(file.run, {}).get("key") == file.key]
    wanted = _starts(workspace, folder, files)
    while True:
        digest = _digest(states)
        sizes, chunks = _new_bytes(workspace, folder, wanted, limit)
        if chunks or digest != request.get("digest") or time.monotonic() >= deadline:
            break
        time.sleep(CHECK_EVERY_S)
        states = run_states.current_states(workspace, folder)
    sealed = {run: _key_in(workspace, folder, run, MANIFEST) for run, state in states.items() if "ended_at" in state}
    # a run that was launched again while its files were read: whose bytes these are is not known
    keys = {file.run: _key_in(workspace, folder, file.run, STATE) for file, _ in wanted}
    return {
        "states": states,
        "digest": digest,
        "sizes": [size for size in sizes if size[1] == keys[size[0]]],
        "chunks": [chunk for chunk in chunks if chunk[1] == keys[chunk[0]]],
        "sealed": sealed,
    }


def _digest(states: dict[str, dict[str, Any]]) -> str:
    """Changes when a state does; a heartbeat alone is no news."""
    without_heartbeat = {
        run: {name: value for name, value in state.items() if name != "heartbeat"} for run, state in states.items()
    }
    return hashlib.sha256(json.dumps(without_heartbeat, sort_keys=True).encode()).hexdigest()


def _key_in(workspace: Workspace, folder: str, run: str, file: str) -> str:
    return str((read_json(workspace.run(folder, run) / file) or {}).get("key", ""))


def _starts(workspace: Workspace, folder: str, files: list[LocalFile]) -> list[tuple[LocalFile, int]]:
    """Each file with the offset to read it from: its local size, or 0 where the local bytes are not the host's."""
    starts = []
    hashed = 0
    for file in files:
        start = file.size
        if file.sha256 and file.size:
            if hashed and hashed + file.size > MAX_HASHED:
                continue  # left for the next poll
            hashed += file.size
            start = file.size if _begins_with(_path(workspace, folder, file), file.size, file.sha256) else 0
        starts.append((file, start))
    return starts


def _begins_with(path: Path, size: int, sha256: str) -> bool:
    try:
        with open(path, "rb") as file:
            length, digest = hash_prefix(file.fileno(), size)
    except FileNotFoundError:
        return False
    return length == size and digest.hexdigest() == sha256


def _new_bytes(
    workspace: Workspace, folder: str, wanted: list[tuple[LocalFile, int]], limit: int
) -> tuple[list[list[Any]], list[list[Any]]]:
    """Sizes and chunks of the reply. All events go before all logs; within each, every file has an equal share."""
    sizes: list[list[Any]] = []
    chunks: list[list[Any]] = []
    for name in FILES:
        files = [(file, start) for file, start in wanted if file.file == name]
        for number, (file, start) in enumerate(files):
            size, offset, content = _read(_path(workspace, folder, file), start, limit // (len(files) - number))
            sizes.append([file.run, file.key, name, size])
            if content or offset != file.size:
                chunks.append([file.run, file.key, name, offset, base64.b64encode(content).decode()])
            limit -= len(content)
    return sizes, chunks


def _path(workspace: Workspace, folder: str, file: LocalFile) -> Path:
    return workspace.run(folder, file.run) / FILES[file.file]


def _read(path: Path, start: int, limit: int) -> tuple[int, int, bytes]:
    """Size, offset and up to ``limit`` bytes from there: ``start``, or 0 for a file that has become shorter than that."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            offset = start if start <= size else 0
            file.seek(offset)
            return size, offset, file.read(limit)
    except FileNotFoundError:
        return 0, 0, b""
