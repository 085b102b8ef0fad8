"""What the console reads of the host: runs' new bytes by offset, and the host's facts."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import shutil
import socket
import time
from pathlib import Path
from typing import Any

from console.hosts.agent import gpu, jobs
from console.hosts.agent.workspace import Workspace, read_json
from engine.contract.run_folder import EVENTS, LOG, MANIFEST

CHUNK = 256 * 1024
LOOK_EVERY_S = 0.1
FILES = {"events": EVENTS, "log": LOG}


def poll(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """States of a folder's runs and their new bytes; waits up to ``wait`` seconds for there to be something new.

    Args:
        request: ``folder``; ``digest`` of the states known; ``offsets``: run -> {"key", "events", "log"}, where a
            negative offset asks for that many bytes from the end, from a line's beginning.

    Returns:
        ``states``, their ``digest``, ``sealed``: run -> key of its manifest, ``chunks``: [run, key, file, offset, base64].
    """
    deadline = time.monotonic() + float(request.get("wait", 0.0))
    folder = str(request["folder"])
    while True:
        states = jobs.states(workspace, folder)
        digest = _digest(states)
        chunks = _new_bytes(workspace, folder, states, dict(request.get("offsets", {})))
        if chunks or digest != request.get("digest") or time.monotonic() >= deadline:
            sealed = {run: _sealed_key(workspace, folder, run) for run, state in states.items() if "ended_at" in state}
            return {"states": states, "digest": digest, "chunks": chunks, "sealed": sealed}
        time.sleep(LOOK_EVERY_S)


def _digest(states: dict[str, dict[str, Any]]) -> str:
    """Changes when a state does; a heartbeat alone is no news."""
    still = {
        run: {name: value for name, value in state.items() if name != "heartbeat"} for run, state in states.items()
    }
    return hashlib.sha256(json.dumps(still, sort_keys=True).encode()).hexdigest()


def _sealed_key(workspace: Workspace, folder: str, run: str) -> str:
    return str((read_json(workspace.run(folder, run) / MANIFEST) or {}).get("key", ""))


def _new_bytes(
    workspace: Workspace, folder: str, states: dict[str, dict[str, Any]], known: dict[str, dict[str, Any]]
) -> list[list[Any]]:
    chunks: list[list[Any]] = []
    for run, state in states.items():
        have = known.get(run, {})
        same = have.get("key") == state["key"]
        for file, name in FILES.items():
            wanted = int(have[file]) if same and file in have else (0 if file == "events" else -CHUNK)
            chunk = _read(workspace.run(folder, run) / name, wanted)
            if chunk is not None:
                offset, content = chunk
                chunks.append([run, state["key"], file, offset, base64.b64encode(content).decode()])
    return chunks


def _read(path: Path, wanted: int) -> tuple[int, bytes] | None:
    """Up to 256 KiB from ``wanted``; None if there is nothing new. A file that shrank is read from its beginning."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if wanted < 0:
                start = max(0, size + wanted)
                file.seek(start)
                if start:
                    file.readline(CHUNK)
                start = file.tell()
            else:
                start = wanted if wanted <= size else 0
                file.seek(start)
            content = file.read(CHUNK)
    except FileNotFoundError:
        return None
    return (start, content) if content else None


def facts(workspace: Workspace, _request: dict[str, Any]) -> dict[str, Any]:
    """The host as it is now; sizes in bytes."""
    workspace.prepare()
    memory = _memory()
    disk = shutil.disk_usage(workspace.root)
    gpus, note = gpu.gpus()
    return {
        "hostname": socket.gethostname(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpus": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "memory_total": memory.get("MemTotal", 0),
        "memory_available": memory.get("MemAvailable", 0),
        "disk_total": disk.total,
        "disk_free": disk.free,
        "python": platform.python_version(),
        "workspace": str(workspace.root),
        "gpus": gpus,
        "gpu_note": note,
    }


def _memory() -> dict[str, int]:
    found = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        found[name] = int(rest.split()[0]) * 1024
    return found
