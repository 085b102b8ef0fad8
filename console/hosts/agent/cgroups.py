"""Cgroups of this process, version 1 or 2: limits of CPUs and memory, and how often the kernel ended a process in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Limit and usage in bytes, and the field of ``memory.stat`` that the kernel frees on demand; of version 2 and 1."""
_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


class Limits(NamedTuple):
    """The tightest limits; None where there is none. Memory in bytes, ``memory_free``: what of it is free or can be freed."""

    cpus: float | None = None
    memory: int | None = None
    memory_free: int | None = None


def container_limits(membership: Path = MEMBERSHIP, root: Path = CGROUPS) -> Limits:
    """The limits of this process, from all groups that it is in."""
    cpus: list[float] = []
    memory: list[int] = []
    free: list[int] = []
    for _, group in _groups(membership, root):
        if quota := _cpu_quota(group):
            cpus.append(quota)
        for limit_name, usage_name, cache_name in FILES:
            limit, usage = _number(group / limit_name), _number(group / usage_name)
            if limit is not None:
                memory.append(limit)
                free.append(max(0, limit - (usage or 0) + _stat(group, cache_name)))
    return Limits(min(cpus, default=None), min(memory, default=None), min(free, default=None))


def oom_kills(membership: Path = MEMBERSHIP, root: Path = CGROUPS) -> int | None:
    """How often the kernel ended a process of this process's cgroup for lack of memory; None if that is not known."""
    for controllers, group in _groups(membership, root):
        if controllers in ("", "memory") and group.is_dir():
            with suppress(OSError):
                found = _KILLS.search((group / ("memory.oom_control" if controllers else "memory.events")).read_text())
                return int(found[1]) if found else None
            return None  # the groups above count other jobs as well
    return None


def _groups(membership: Path, root: Path) -> Iterator[tuple[str, Path]]:
    """Controllers ("" in version 2) and folder of each group of this process, from its own ones to those above them.

    In a container its own group may be the root of the mount, while the path is the machine's.
    """
    try:
        lines = membership.read_text(errors="surrogateescape").splitlines()  # a path may have any name
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        mount = root / controllers if controllers else root
        group = mount / path.lstrip("/")
        while True:
            yield controllers, group
            if group == mount or mount not in group.parents:
                break
            group = group.parent


def _cpu_quota(group: Path) -> float | None:
    """CPUs that the group may use at a time; None without a limit."""
    with suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (group / "cpu.max").read_text().split()
        return int(quota) / int(period)  # "max" is no number
    quota_us, period_us = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us")
    return quota_us / period_us if quota_us and period_us else None  # -1 is none


def _number(file: Path) -> int | None:
    """The number in a file; None if there is none, such as ``max``."""
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _stat(group: Path, name: str) -> int:
    with suppress(OSError, ValueError):
        for line in (group / "memory.stat").read_text().splitlines():
            field, _, value = line.partition(" ")
            if field == name:
                return int(value)
    return 0
