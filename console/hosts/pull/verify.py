"""Verifies local capsules: every file is hashed again and compared with its manifest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from console.hosts.agent.safe_dir import SafeDir, UnexpectedFile
from console.sanitize import sanitize_line
from engine.contract import manifest as manifests
from engine.contract.bad_input import BadInput
from engine.contract.run_folder import MANIFEST, open_regular
from engine.contract.settings import RunId

MAX_MANIFEST = 64 << 20  # bytes
READ_SIZE = 8 << 20  # bytes between two reports


class DifferingFile(Struct, frozen=True):
    """A local file, of launch ``key`` of ``run``, that differs from its manifest, and why; both texts are safe to show."""

    run: RunId
    key: str
    path: str
    why: str


class VerifyResult(Struct, frozen=True):
    """Progress and result: ``files`` with ``bytes`` in all match so far, ``bytes_read`` of ``bytes_total`` were read."""

    runs: int
    files: int = 0
    files_total: int = 0
    bytes: int = 0
    bytes_read: int = 0
    bytes_total: int = 0
    differing: tuple[DifferingFile, ...] = ()


def local_manifest(folder: Path, run: RunId) -> manifests.Manifest | None:
    """Manifest of a run's local capsule; None if there is none."""
    try:
        with open_regular(folder / str(run) / MANIFEST) as file:
            return manifests.decode(file.read(MAX_MANIFEST))
    except (OSError, BadInput):
        return None


def verify_runs(folder: Path, runs: Iterable[RunId]) -> Iterator[VerifyResult]:
    """Verify the capsules of ``runs`` in ``folder``; yields the progress, at last the result. Blocks at each step.

    A capsule that is replaced meanwhile is verified as it was when its turn came.
    """
    capsules = {run: manifest for run in runs if (manifest := local_manifest(folder, run)) is not None}
    entries = [entry for manifest in capsules.values() for entry in manifest.files]
    total = sum(entry.size for entry in entries)
    result = VerifyResult(len(capsules), files_total=len(entries), bytes_total=total)
    yield result
    for run, manifest in capsules.items():
        for entry, step in _checked(folder / str(run), manifest):
            if isinstance(step, int):
                result = replace(result, bytes_read=result.bytes_read + step)
            elif step:
                file = DifferingFile(run, manifest.key, sanitize_line(entry.path), sanitize_line(step))
                result = replace(result, differing=(*result.differing, file))
            else:
                result = replace(result, files=result.files + 1, bytes=result.bytes + entry.size)
            yield result


def capsule_error(capsule: Path, manifest: manifests.Manifest) -> str:
    """Why the folder ``capsule`` is not what ``manifest`` says; "" if every file is. Blocks while it reads them."""
    steps = _checked(capsule, manifest)
    return next((f"{entry.path}: {step}" for entry, step in steps if isinstance(step, str) and step), "")


def _checked(capsule: Path, manifest: manifests.Manifest) -> Iterator[tuple[manifests.FileEntry, int | str]]:
    """Of each file: numbers of bytes as they are read, then why it differs; empty if it does not."""
    try:
        root = SafeDir(capsule)
    except OSError as error:
        yield from ((entry, f"it cannot be read: {error.strerror}") for entry in manifest.files)
        return
    with root:
        for entry in manifest.files:
            try:
                yield from ((entry, step) for step in _compared(root, entry))
            except FileNotFoundError:
                yield entry, "it is missing"
            except (OSError, UnexpectedFile) as error:
                yield entry, f"it cannot be read: {error}"


def _compared(root: SafeDir, entry: manifests.FileEntry) -> Iterator[int | str]:
    with open(root.open_file(entry.path), "rb", buffering=0) as file:
        if (size := os.fstat(file.fileno()).st_size) != entry.size:
            yield f"it has {size:,} bytes instead of {entry.size:,}"
            return
        digest = hashlib.sha256()
        while piece := file.read(READ_SIZE):
            digest.update(piece)
            yield len(piece)
        yield "" if digest.hexdigest() == entry.sha256 else "its SHA-256 differs"
