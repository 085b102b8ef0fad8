"""Launches on a host whose files are not all local: its workspace compared, byte for byte, with the local capsules."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from console.hosts.agent.workspace import NAME
from console.hosts.pull.verify import MAX_MANIFEST, capsule_error
from console.sanitize import sanitize_line
from engine.contract import manifest as manifests
from engine.contract.bad_input import BadInput
from engine.contract.run_folder import MANIFEST, SEALED, open_regular


class HostLaunch(Struct, frozen=True):
    """One launch in the host's workspace, as the agent's ``list_launches`` reports it."""

    folder: str
    run: str
    key: str
    state: str
    manifest: str
    problem: str
    set_aside: bool


class _Reply(Struct):
    launches: tuple[HostLaunch, ...]


def decode_launches(reply: dict[str, Any]) -> tuple[HostLaunch, ...]:
    """The launches in a reply of the agent; raises ``msgspec.ValidationError`` if it is none."""
    return msgspec.convert(reply, _Reply).launches


def unsynced(runs_dir: Path, launches: Iterable[HostLaunch]) -> tuple[str, ...]:
    """Why not every byte of ``launches`` is below ``runs_dir``, a line for each launch; empty if all are. Blocks.

    Every local file is hashed again and compared with the manifest, and the manifest with the host's. Hence nothing that
    another process did to the local files goes unseen.
    """
    found = []
    for launch in launches:
        if reason := _reason(runs_dir, launch):
            where = f" ({'set aside, ' if launch.set_aside else ''}{launch.key[:8]})" if launch.key else ""
            found.append(sanitize_line(f"{launch.folder}/{launch.run}{where}: {reason}"))
    return tuple(found)


def _reason(runs_dir: Path, launch: HostLaunch) -> str:
    if launch.problem:
        return launch.problem
    if launch.state not in SEALED:
        return f"is {launch.state}" if launch.state else "its state cannot be read"
    if not (NAME.match(launch.folder) and NAME.match(launch.run)):
        return "it has no name of a run"
    experiment = runs_dir / launch.folder
    reasons = [
        reason
        for capsule in (
            experiment / launch.run,
            *sorted((experiment / ".previous").glob(f"{launch.run}-{launch.key}*")),
        )
        if (reason := _difference(capsule, launch.manifest)) is not None
    ]
    return "" if "" in reasons else next(iter(reasons), "not synced")


def _difference(capsule: Path, digest: str) -> str | None:
    """Why the local ``capsule`` is not the one whose manifest has this SHA-256; None if it is another or there is none."""
    try:
        with open_regular(capsule / MANIFEST) as file:
            content = file.read(MAX_MANIFEST)
        if hashlib.sha256(content).hexdigest() != digest:
            return None
        manifest = manifests.decode(content)
    except (OSError, BadInput):
        return None
    if manifest.left_out:
        first = manifest.left_out[0]
        return f"its capsule leaves out {first.path}: {first.reason}"
    return capsule_error(capsule, manifest)
