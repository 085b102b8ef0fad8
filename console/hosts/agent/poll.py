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
from console.hosts.agent.disk import disk_space
from console.hosts.agent.file_index import hash_prefix
from console.hosts.agent.state_file import Remembered, valid_state
from console.hosts.agent.workspace import KEY, BrokenFile, Refused, Workspace, load_json
from engine.contract.run_folder import EVENTS, LOG, MANIFEST, open_regular

LIMIT = 256 * 1024
MAX_LIMIT = 4 << 20  # of one reply: memory on both sides is bounded by it
MAX_HASHED = 256 << 20  # bytes hashed for one reply, or one file if that is larger: the console waits for the reply
MAX_RUNS = 2000  # of one reply, whose size is bounded by it: no state has more than 24 KiB
CHECK_EVERY_S = 0.1
FILES = {"events": EVENTS, "log": LOG}  # in this order: curves do not wait for a long log


def _manifest_key(path: Path) -> str:
    try:
        key = load_json(path).get("key")
    except BrokenFile:
        return ""
    return key if isinstance(key, str) and KEY.match(key) else ""


SEALED_KEYS = Remembered(_manifest_key, bool)


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
    """States of an experiment's runs, and new bytes of their files; waits up to ``wait`` seconds for there to be any news.

    Args:
        request: ``folder``; ``runs``: names of the runs, all by default; ``digest`` of the report that is known; ``files``:
            what the console has of the files that it wants, each the fields of ``LocalFile``; ``limit``: bytes of content
            in the reply.

    Returns:
        ``digest`` of the report, and the report itself if that is another one: ``states``; ``sealed``: run -> key of its
        manifest; ``unnamed``: number of other runs in the folder.

        ``sizes``: [run, key, file, bytes on the host] of each file whose local bytes are confirmed or replaced, -1 if it
        cannot be read; ``chunks``: [run, key, file, offset, base64]. A chunk goes on where the local file ends, or begins
        at 0: then the local file is not the beginning of the host's.

        ``disk_free``: bytes that are left on the workspace's disk, None if that cannot be told; ``disk_full``: too few for a
        run to start.
    """
    deadline = time.monotonic() + float(request.get("wait", 0.0))
    folder, runs = str(request["folder"]), request.get("runs")
    if runs is not None and len(runs) > MAX_RUNS:
        raise Refused(f"{len(runs):,} runs are followed at once, more than {MAX_RUNS:,}")
    limit = max(0, min(int(request.get("limit", LIMIT)), MAX_LIMIT))
    states = run_states.current_states(workspace, folder, runs)
    files = [LocalFile(*file) for file in request.get("files", ())]
    files = [file for file in files if states.get(file.run, {}).get("key") == file.key]
    wanted = _starts(workspace, folder, files)
    # a console that waits to hear that its bytes are the host's is told at once
    compared = any(file.sha256 and file.size and start is not None for file, start in wanted)
    unnamed = 0 if runs is None else _count_unnamed(workspace, folder, set(runs))
    while True:
        sizes, chunks, unreadable = _new_bytes(workspace, folder, wanted, limit)
        report = {
            "states": {run: _with_remark(state, unreadable.get(run, "")) for run, state in states.items()},
            "sealed": {
                run: _sealed_key(workspace, folder, run) for run, state in states.items() if "ended_at" in state
            },
            "unnamed": unnamed,
        }
        digest = _digest(report)
        if chunks or compared or digest != request.get("digest") or time.monotonic() >= deadline:
            break
        time.sleep(CHECK_EVERY_S)
        states = run_states.current_states(workspace, folder, runs)
    # a run that was launched again while its files were read: whose bytes these are is not known
    keys = {file.run: _key_now(workspace, folder, file.run) for file, _ in wanted}
    return {
        **(report if digest != request.get("digest") else {}),
        "digest": digest,
        "sizes": [size for size in sizes if size[1] == keys[size[0]]],
        "chunks": [chunk for chunk in chunks if chunk[1] == keys[chunk[0]]],
        **_disk(workspace),
    }


def _digest(report: dict[str, Any]) -> str:
    """Changes when the report does; a heartbeat alone is no news."""
    states = {
        run: {name: value for name, value in state.items() if name != "heartbeat"}
        for run, state in report["states"].items()
    }
    return hashlib.sha256(json.dumps({**report, "states": states}, sort_keys=True).encode()).hexdigest()


def _with_remark(state: dict[str, Any], remark: str) -> dict[str, Any]:
    return {**state, "reason": "; ".join(filter(None, (state.get("reason"), remark)))} if remark else state


def _key_now(workspace: Workspace, folder: str, run: str) -> str:
    return str(valid_state(workspace.run(folder, run)).get("key", ""))


def _sealed_key(workspace: Workspace, folder: str, run: str) -> str:
    """Key of a run's manifest; "" if there is none that can be read."""
    try:
        return SEALED_KEYS.get(workspace.run(folder, run) / MANIFEST)
    except OSError:
        return ""


def _count_unnamed(workspace: Workspace, folder: str, runs: set[str]) -> int:
    """Runs in the folder that are not among ``runs``, such as those of a seed that the experiment had before."""
    try:
        return sum(entry.name not in runs for entry in os.scandir(workspace.runs(folder)) if entry.name[0] != ".")
    except OSError:
        return 0


def _disk(workspace: Workspace) -> dict[str, Any]:
    try:
        space = disk_space(workspace.root)
    except OSError:
        return {"disk_free": None, "disk_full": False}
    return {"disk_free": space.free, "disk_full": space.is_full}


def _starts(workspace: Workspace, folder: str, files: list[LocalFile]) -> list[tuple[LocalFile, int | None]]:
    """Each file with the offset to read it from: its local size, 0 where the local bytes are not the host's.

    None where they cannot be compared.
    """
    starts: list[tuple[LocalFile, int | None]] = []
    hashed = 0
    for file in files:
        start: int | None = file.size
        if file.sha256 and file.size:
            if hashed and hashed + file.size > MAX_HASHED:
                continue  # left for the next poll
            hashed += file.size
            try:
                start = file.size if _begins_with(_path(workspace, folder, file), file.size, file.sha256) else 0
            except OSError:
                start = None
        starts.append((file, start))
    return starts


def _begins_with(path: Path, size: int, sha256: str) -> bool:
    try:
        with open_regular(path) as file:
            length, digest = hash_prefix(file.fileno(), size)
    except FileNotFoundError:
        return False
    return length == size and digest.hexdigest() == sha256


def _new_bytes(
    workspace: Workspace, folder: str, wanted: list[tuple[LocalFile, int | None]], limit: int
) -> tuple[list[list[Any]], list[list[Any]], dict[str, str]]:
    """Sizes and chunks of the reply, and of each run with a file that cannot be read, why.

    All events go before all logs; within each, every file has an equal share of ``limit``.
    """
    sizes: list[list[Any]] = []
    chunks: list[list[Any]] = []
    unreadable: dict[str, str] = {}
    for name, file_name in FILES.items():
        files = [(file, start) for file, start in wanted if file.file == name]
        for number, (file, start) in enumerate(files):
            try:
                share = limit // (len(files) - number)
                size, offset, content = _read(
                    _path(workspace, folder, file), file.size if start is None else start, share
                )
            except OSError as error:
                sizes.append([file.run, file.key, name, -1])
                unreadable[file.run] = f"{file_name} cannot be read: {error.strerror}"
                continue
            if start is None:
                continue  # it can be read by now: compared at the next poll
            sizes.append([file.run, file.key, name, size])
            if content or offset != file.size:
                chunks.append([file.run, file.key, name, offset, base64.b64encode(content).decode()])
            limit -= len(content)
    return sizes, chunks, unreadable


def _path(workspace: Workspace, folder: str, file: LocalFile) -> Path:
    return workspace.run(folder, file.run) / FILES[file.file]


def _read(path: Path, start: int, limit: int) -> tuple[int, int, bytes]:
    """Size, offset and up to ``limit`` bytes from there: ``start``, or 0 for a file that has become shorter than that."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            offset = start if start <= size else 0
            file.seek(offset)
            return size, offset, file.read(limit)
    except FileNotFoundError:
        return 0, 0, b""
