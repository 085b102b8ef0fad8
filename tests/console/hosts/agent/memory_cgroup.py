"""A real memory cgroup, version 1 or 2, for tests of what the kernel does to a process in it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from console.hosts.agent.cgroups import CGROUPS


@contextmanager
def memory_cgroup(limit: int) -> Iterator[Path]:
    """Folder of a cgroup with a limit in bytes; the test is skipped where none can be made, as by an ordinary user."""
    version_1 = CGROUPS / "memory"
    group = (version_1 if version_1.is_dir() else CGROUPS) / f"qllm-{uuid.uuid4().hex[:8]}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no memory cgroup can be made here: {error.strerror}")
    try:
        file = group / ("memory.limit_in_bytes" if version_1.is_dir() else "memory.max")
        if not file.exists():
            pytest.skip("no memory cgroup can be made here: the group above has no memory controller for it")
        file.write_text(str(limit))
        yield group
    finally:
        group.rmdir()
