"""The project's wheel for hosts, built from the installed source files; the same code gives the same bytes.

Format: the binary distribution format of the Python packaging specifications (PEP 427).
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib import metadata
from pathlib import Path

import console
import engine
from console.hosts.remote.agent_package import zip_bytes
from engine.contract.experiment_text import DERIVED_SUFFIX
from engine.contract.toml_file import find_config

DISTRIBUTION = "qllm-console"
EXTRA = re.compile(r"""\s*(?:;|\band\b)?\s*extra\s*==\s*['"]engine['"]""")
SUFFIXES = (".py", ".tcss", ".toml", ".txt")


@cache
def wheel() -> tuple[str, bytes]:
    """The wheel's file name and content.

    Raises:
        BadInput: a configuration file that belongs into it is missing.
    """
    about = metadata.distribution(DISTRIBUTION)
    stem = f"qllm_console-{about.version}"
    info = f"{stem}.dist-info"
    files: dict[str, bytes] = {}
    for package in (console, engine):
        root = Path(str(package.__file__)).parent
        for path in sorted(root.rglob("*")):
            # an experiment that is added to needs no other environment
            if path.is_file() and path.suffix in SUFFIXES and not path.name.endswith(DERIVED_SUFFIX):
                files[f"{root.name}/{path.relative_to(root).as_posix()}"] = path.read_bytes()
    for name in ("scaling.toml", "constraints.txt"):  # not hosts.toml: it may hold secrets, of other hosts too
        files[f"console/configs/{name}"] = find_config(name).read_bytes()
    files[f"{info}/METADATA"] = (about.read_text("METADATA") or "").encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: qllm-console\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/entry_points.txt"] = (about.read_text("entry_points.txt") or "").encode()
    record = [f"{name},{_hash(content)},{len(content)}" for name, content in files.items()]
    files[f"{info}/RECORD"] = ("\n".join([*record, f"{info}/RECORD,,"]) + "\n").encode()
    return f"{stem}-py3-none-any.whl", zip_bytes(files)


def engine_requirements() -> tuple[str, ...]:
    """pip requirement lines of the extra ``engine``: what a host needs, without the console's own dependencies."""
    return tuple(EXTRA.sub("", line) for line in metadata.requires(DISTRIBUTION) or () if EXTRA.search(line))


def _hash(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
