"""A capsule's manifest: the SHA-256 and size of every file of a run, and the capsule's fingerprint."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from engine.contract.bad_input import BadInput


class FileEntry(Struct, frozen=True):
    """One file: path relative to the capsule with ``/`` between parts, size in bytes, SHA-256 in hex."""

    path: str
    size: Annotated[int, Meta(ge=0)]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class Manifest(Struct, frozen=True):
    """Every file but the manifest itself, sorted by path; ``fingerprint`` is of that list."""

    key: str
    files: tuple[FileEntry, ...]
    fingerprint: str


def fingerprint(files: tuple[FileEntry, ...]) -> str:
    """SHA-256 over ``sha256  size  path`` lines in path order."""
    digest = hashlib.sha256()
    for entry in sorted(files, key=lambda file: file.path):
        digest.update(f"{entry.sha256}  {entry.size}  {entry.path}\n".encode())
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def safe_path(path: str) -> PurePosixPath:
    """A relative path that stays inside its root.

    Raises:
        BadInput: it is absolute, climbs out, or holds characters no run file has.
    """
    pure = PurePosixPath(path)
    bad = not pure.parts or pure.is_absolute() or any(part in ("..", "") or part.startswith("-") for part in pure.parts)
    if bad or not path.isprintable() or "\\" in path or str(pure) != path:
        raise BadInput(f"unsafe file name {path!r} in a manifest")
    return pure


def decode(content: bytes) -> Manifest:
    """Decode and check a manifest.

    Raises:
        BadInput: malformed, with an unsafe name, or its fingerprint is not that of its list.
    """
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        raise BadInput(f"manifest: {error}") from error
    for entry in manifest.files:
        safe_path(entry.path)
    if fingerprint(manifest.files) != manifest.fingerprint:
        raise BadInput("manifest: its fingerprint does not match its list of files")
    return manifest
