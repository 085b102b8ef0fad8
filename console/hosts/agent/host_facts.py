"""Facts of the host: its machine, disk and GPUs now; and what only preflight needs, such as clock and user."""

from __future__ import annotations

import importlib.util
import os
import platform
import pwd
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from console.hosts.agent import gpu, notify
from console.hosts.agent.cgroups import container_limits
from console.hosts.agent.disk import disk_space
from console.hosts.agent.gpu_slots import is_of_job
from console.hosts.agent.workspace import Workspace


def facts(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """Machine, load, memory, disk and GPUs as of ``time``, the host's Unix time; sizes in bytes.

    CPUs and memory are those that a run may use: in a container with limits, no more than these.

    If ``request`` asks for ``gpu_processes``, who uses the GPUs as well, which costs another nvidia-smi.
    """
    with suppress(OSError):  # a full disk: the facts say so
        workspace.prepare()
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    memory = {fields[0]: int(fields[1]) * 1024 for fields in lines}
    limits = container_limits()
    cpus = len(os.sched_getaffinity(0))
    total, available = memory.get("MemTotal:", 0), memory.get("MemAvailable:", 0)
    disk = disk_space(workspace.root)
    gpus, note = gpu.gpus()
    holders = gpu.gpu_holders() if request.get("gpu_processes") and gpus else None
    return {
        "time": time.time(),
        "hostname": socket.gethostname(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpus": cpus if limits.cpus is None else max(1, min(cpus, int(limits.cpus))),
        "load": os.getloadavg()[0],
        "memory_total": total if limits.memory is None else min(total, limits.memory),
        "memory_available": available if limits.memory_free is None else min(available, limits.memory_free),
        "disk_total": disk.total,
        "disk_free": disk.free,
        "python": platform.python_version(),
        "workspace": str(workspace.root),
        "gpus": gpus,
        "gpu_note": note,
        "gpu_processes": holders,
        "notify_problem": notify.problem(workspace),
    }


def preflight_facts(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """Clock, user, Python and others' GPU processes, unjudged; ``survives``: whether runs survive a logout, None: unknown.

    ``unset``: which of the variables that ``environment`` of the request names are not set here; no values.
    """
    user = _user_name()
    gpu_users: list[dict[str, Any]] = []
    with suppress(gpu.GpuUnknown):  # the host's facts report that nvidia-smi gives no answer
        gpu_users = [user for user in gpu.gpu_processes() if not is_of_job(workspace, user["pid"])]
    return {
        "time": time.time(),
        "user": user,
        "python": sys.version.split()[0],
        "machine": platform.machine(),
        "has_venv": all(importlib.util.find_spec(module) is not None for module in ("venv", "ensurepip")),
        "gpu_users": gpu_users,
        "survives": _survives_logout(user),
        "writable": os.access(workspace.root, os.W_OK),
        "unset": [name for name in request.get("environment", ()) if name not in os.environ],
    }


def _user_name() -> str:
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a container may run under any number
        return f"uid{uid}"


def _output(command: list[str]) -> str | None:
    """Standard output of a command; None if it is not installed, fails or does not end in 10 s."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _survives_logout(user: str) -> bool | None:
    """Whether systemd leaves a user's processes alone at logout: KillUserProcesses is off, or the user lingers."""
    if not Path("/run/systemd/system").is_dir():
        return True
    manager = ["org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager"]
    kills = _output(["busctl", "get-property", *manager, "KillUserProcesses"])
    if kills is None:
        return None
    if "false" in kills:
        return True
    linger = _output(["loginctl", "show-user", user, "--property=Linger"])
    return None if linger is None else "Linger=yes" in linger
