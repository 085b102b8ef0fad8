"""What code a run is: versions of the packages that decide its numbers, and the state of its source tree."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import engine

DECISIVE = ("qllm-console", "torch", "transformers", "tokenizers", "safetensors", "numpy", "polars")


def versions() -> dict[str, str]:
    """Version by package; what is not installed as a package is left out."""
    found = {"python": platform.python_version()}
    for name in DECISIVE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_state() -> str:
    """The commit of the source tree the engine runs from, with ``-dirty`` when it was changed; "" outside of one."""
    root = Path(engine.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return ""
    try:
        said = subprocess.run(
            # no tag may stand for the commit
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],  # noqa: S607 - git of the path
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.strip()
