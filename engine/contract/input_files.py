"""The user's own files that an experiment names: their role, and their content by SHA-256.

On the console's side they lie beside the experiment's TOML under the names in it, in which ``~`` and variables are that
machine's. On a host they lie in one folder under their hashes, and ``inputs.json`` beside the TOML maps names to hashes.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from engine.contract.bad_input import BadInput
from engine.contract.local_paths import expand

INPUTS = "inputs.json"

Role = Literal[
    "bundles", "dev", "development_retrieval", "development_coherence", "retrieval", "coherence", "attention", "killers"
]
FileName = Annotated[str, Meta(min_length=1, max_length=1000)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]


class InputFile(Struct, frozen=True):
    """One file in a run's settings: its role, name as in the TOML, SHA-256 in hex, size in bytes.

    ``development`` names the development set that it belongs to, if it does to one.
    """

    role: Role
    name: str
    sha256: str
    size: int
    development: str = ""


class UserEvaluation(Struct, frozen=True, forbid_unknown_fields=True):
    """The user's evaluation files, in place of the built evaluation; names are relative to the experiment's file.

    Without ``attention`` some queries are the probes; without ``killers`` they are those of frozen mean pooling.
    """

    retrieval: FileName
    coherence: FileName
    attention: FileName | None = None
    killers: FileName | None = None

    def files(self) -> Iterator[tuple[Role, str]]:
        """Role and name of each file."""
        roles: tuple[Role, ...] = ("retrieval", "coherence", "attention", "killers")
        yield from ((role, name) for role in roles if (name := getattr(self, role)) is not None)


class DevelopmentFiles(Struct, frozen=True, forbid_unknown_fields=True):
    """The files of one development set, at least one, by whose scores a run's best measurement is chosen.

    Names are relative to the experiment's file.
    """

    retrieval: FileName | None = None
    coherence: FileName | None = None

    def files(self) -> Iterator[tuple[Role, str]]:
        """Role and name of each file."""
        if self.retrieval is not None:
            yield "development_retrieval", self.retrieval
        if self.coherence is not None:
            yield "development_coherence", self.coherence


class HashedFile(Struct, frozen=True):
    """A file's path, SHA-256 in hex, and size in bytes."""

    path: Path
    sha256: str
    size: int


def find_file(name: str, experiment_file: Path, folder: Path | None) -> HashedFile:
    """Find and hash a named file, beside the experiment's file, or in ``folder`` by ``inputs.json``.

    Raises:
        BadInput: it is missing or unreadable, is not listed, or its content does not match its hash.
    """
    if folder is None:
        try:
            return hash_file(experiment_file.parent / expand(name))
        except ValueError as error:
            raise BadInput(f"{name}: {error}") from error
    listing = experiment_file.parent / INPUTS
    sha256 = read_input_list(listing).get(name)
    if sha256 is None:
        raise BadInput("is not listed", file=listing, field=name)
    file = hash_file(folder / remote_name(sha256))
    if file.sha256 != sha256:
        raise BadInput("is not the file that was uploaded (its SHA-256 differs)", file=file.path)
    return file


def hash_file(path: Path) -> HashedFile:
    """``path`` with its hash and size.

    Raises:
        BadInput: there is no such file, it cannot be read, or it is a folder, a device or a pipe.
    """
    import hashlib  # not at the top: loading OpenSSL delays the console's first paint

    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadInput("is a folder" if stat.S_ISDIR(status.st_mode) else "is not a regular file", file=path)
        with open(path, "rb") as file:
            return HashedFile(path, hashlib.file_digest(file, "sha256").hexdigest(), status.st_size)
    except FileNotFoundError:
        raise BadInput("no such file", file=path) from None
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot be read: {error}", file=path) from error


def remote_name(sha256: str) -> str:
    """The file's name on a host."""
    return f"{sha256}.jsonl"


def encode_input_list(files: Mapping[str, HashedFile]) -> bytes:
    """The content of ``inputs.json``: the SHA-256 of each file by its name in the experiment."""
    return msgspec.json.encode({name: file.sha256 for name, file in sorted(files.items())})


def read_input_list(path: Path) -> dict[str, str]:
    """Read ``inputs.json``.

    Raises:
        BadInput: missing or malformed.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Sha256])
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", file=path) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        from engine.contract.validation_words import error_in_words  # only here: it delays every start

        raise BadInput(f"not a list of files with their SHA-256: {error_in_words(error)}", file=path) from error
