"""What preflight asks of a host beyond its facts: clock, who uses the GPU, whether detached processes survive logout."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from console.hosts.agent import gpu
from console.hosts.agent.workspace import Workspace


def preflight_facts(workspace: Workspace, _request: dict[str, Any]) -> dict[str, Any]:
    """Raw findings; the console judges them. ``survives``: None where nothing on the host says."""
    user = pwd.getpwuid(os.getuid()).pw_name
    return {
        "time": time.time(),
        "user": user,
        "python": sys.version.split()[0],
        "has_venv": all(importlib.util.find_spec(module) is not None for module in ("venv", "ensurepip")),
        "gpu_users": _gpu_users(),
        "survives": _survives_logout(user),
        "writable": os.access(workspace.root, os.W_OK),
    }


def _ask(command: list[str]) -> str | None:
    """What a command of the host prints; None if it is not there, fails or does not end."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _gpu_users() -> list[dict[str, Any]]:
    """Who uses the GPU; nobody as far as is known where nvidia-smi does not tell, which the host's facts say."""
    try:
        return gpu.users()
    except gpu.Silent:
        return []


def _survives_logout(user: str) -> bool | None:
    """systemd kills what a user leaves behind if KillUserProcesses is on and the user does not linger."""
    if not Path("/run/systemd/system").is_dir():
        return True
    manager = ["org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager"]
    kills = _ask(["busctl", "get-property", *manager, "KillUserProcesses"])
    if kills is None:
        return None
    if "false" in kills:
        return True
    linger = _ask(["loginctl", "show-user", user, "--property=Linger"])
    return None if linger is None else "Linger=yes" in linger
