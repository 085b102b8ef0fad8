"""Other Pythons of this machine, as pyenv keeps them: hosts have older ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VERSIONS = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"


def python_of(version: str) -> str:
    """A Python of that version on this machine; skips where there is none."""
    found = sorted(VERSIONS.glob(f"{version}.*/bin/python"))
    if not found:
        pytest.skip(f"no Python {version} in {VERSIONS}")
    return str(found[0])
