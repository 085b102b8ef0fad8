"""uv for hosts whose Python is too old for the engine: its wheel, fetched once by pip for the host's platform.

uv installs a Python of its own there (python-build-standalone), without a package manager, a compiler or root.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from pathlib import Path
from typing import NamedTuple

from platformdirs import user_cache_path

from console.sanitize import sanitize_line
from engine.contract.import_path import isolated_python

VERSION = "0.13.9"
FETCH_TIMEOUT_S = 600.0


class UvWheel(NamedTuple):
    """A wheel of uv: the platform that pip is asked for, and the SHA-256 of the file on PyPI."""

    platform: str
    sha256: str


WHEELS = {
    "x86_64": UvWheel("manylinux2014_x86_64", "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19"),
    "aarch64": UvWheel("manylinux2014_aarch64", "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe"),
}
"""The wheel of uv for a host, by the host's machine as ``uname -m`` names it."""


class UvUnavailable(Exception):
    """uv cannot be had for a host; the text says why."""


def cache_folder() -> Path:
    """Where wheels are kept on the operator's machine; one that was put there by hand is used as well."""
    return user_cache_path("qllm-console") / "uv"


async def fetch_wheel(machine: str, cache: Path) -> Path:
    """The wheel for a host's machine, from ``cache`` or else from pip's index; a folder of its own has nothing else.

    Raises:
        UvUnavailable: there is none for that machine, or pip cannot fetch it, or it is another file than expected.
    """
    wheel = WHEELS.get(machine)
    if wheel is None:
        raise UvUnavailable(f"uv {VERSION} has no wheel for {sanitize_line(machine)} here")
    folder = cache / f"{VERSION}-{machine}"
    if (found := await asyncio.to_thread(_checked_wheel, folder, wheel)) is not None:
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as download:
            if error := await _download(wheel.platform, Path(download)):
                raise UvUnavailable(
                    f"uv {VERSION} cannot be fetched: {error}; its wheel can be put into {folder} by hand"
                )
            fetched = await asyncio.to_thread(_checked_wheel, Path(download), wheel)
            if fetched is None:
                raise UvUnavailable(f"what pip fetched is not uv {VERSION} as on PyPI")
            return fetched.replace(folder / fetched.name)
    except OSError as error:
        raise UvUnavailable(f"{folder}: {error.strerror}") from error


def _checked_wheel(folder: Path, wheel: UvWheel) -> Path | None:
    """The wheel in ``folder`` with the expected content; None if there is none. Blocking."""
    for path in sorted(folder.glob(f"uv-{VERSION}-*.whl")):
        if hashlib.sha256(path.read_bytes()).hexdigest() == wheel.sha256:
            return path
    return None


async def _download(platform: str, folder: Path) -> str:
    """Have pip download the wheel; returns its error, "" if it succeeds."""
    options = ["--disable-pip-version-check", "--no-input", "--quiet", "--no-deps", "--only-binary=:all:"]
    pip = await asyncio.create_subprocess_exec(
        *(*isolated_python(), "-m", "pip", "download", *options),  # the current folder may have a pip.py
        *(f"--platform={platform}", f"--dest={folder}", f"uv=={VERSION}"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(FETCH_TIMEOUT_S):
            _, printed = await pip.communicate()
    except TimeoutError:
        return "pip does not end"
    finally:
        if pip.returncode is None:
            pip.kill()
            await pip.wait()
    lines = printed.decode("utf-8", "replace").strip().splitlines()
    error = sanitize_line(lines[-1] if lines else f"pip ended with {pip.returncode}", 300)
    return error.removeprefix("ERROR: ") if pip.returncode else ""
