"""A user whose number has no entry in passwd, as ``docker run --user 12345`` makes one; who owns this user's files."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

UID = 12345


def nameless(*command: str) -> list[str]:
    """``command`` run by that user, with no variable but PATH; skips the test where the kernel permits no user namespaces."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("unshare is not installed")
    start = [unshare, "--user", f"--map-user={UID}", f"--map-group={UID}"]
    if subprocess.run([*start, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespaces here")
    return [*start, "env", "-i", f"PATH={os.defpath}", *command]
