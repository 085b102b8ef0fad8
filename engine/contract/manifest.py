"""``manifest.json`` as typed records: size and SHA-256 of every file of a capsule, and the capsule's fingerprint."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from engine.contract.bad_input import BadInput
from engine.contract.run_folder import capsule_fingerprint, unsafe_path_reason


class FileEntry(Struct, frozen=True):
    """One file: path relative to the capsule with ``/`` between parts, size in bytes, SHA-256 in hex."""

    path: str
    size: Annotated[int, Meta(ge=0)]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]


class LeftOut(Struct, frozen=True):
    """What lay in the run folder and is no part of the capsule, and why: a symlink, a folder in the place of a file."""

    path: str
    reason: str


class Manifest(Struct, frozen=True):
    """Every file but the manifest itself, sorted by path; ``fingerprint`` is of that list."""

    key: str
    files: tuple[FileEntry, ...]
    fingerprint: str
    left_out: tuple[LeftOut, ...] = ()


def fingerprint(files: tuple[FileEntry, ...]) -> str:
    """Fingerprint of a capsule with these files."""
    return capsule_fingerprint((file.path, file.size, file.sha256) for file in files)


def decode(content: bytes) -> Manifest:
    """Decode and check a manifest.

    Raises:
        BadInput: it is malformed, a path could leave the capsule, or the fingerprint does not match the files.
    """
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        from engine.contract.validation_words import error_in_words  # only here: it delays every start

        raise BadInput(f"manifest: {error_in_words(error)}") from error
    for entry in manifest.files:
        if reason := unsafe_path_reason(entry.path):
            raise BadInput(f"manifest: unsafe file name {entry.path!r}: {reason}")
    if fingerprint(manifest.files) != manifest.fingerprint:
        raise BadInput("manifest: its fingerprint does not match its list of files")
    return manifest
