"""Limits of a container are found, whichever version of cgroups it has."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from console.hosts.agent.container_limits import CGROUPS, Limits, container_limits

GIB = 2**30
SHOW = "from console.hosts.agent.container_limits import container_limits as limits; print(limits().memory)"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        pytest.param(
            "0::/",
            {
                "memory.max": f"{64 * GIB}\n",
                "memory.current": f"{10 * GIB}\n",
                "memory.stat": f"anon 1\ninactive_file {GIB}\n",
                "cpu.max": "800000 100000\n",
            },
            Limits(8.0, 64 * GIB, 55 * GIB),
            id="version 2 in a container",
        ),
        pytest.param(
            "0::/user.slice/job.scope",
            {
                "user.slice/job.scope/memory.max": "max\n",
                "user.slice/job.scope/cpu.max": "max 100000\n",
                "user.slice/memory.max": f"{2 * GIB}\n",
                "user.slice/memory.current": "0\n",
                "user.slice/cpu.max": "150000 100000\n",
            },
            Limits(1.5, 2 * GIB, 2 * GIB),
            id="version 2, a limit of the group above",
        ),
        pytest.param(
            "4:memory:/docker/1\n2:cpu,cpuacct:/docker/1\n0::/",
            {
                "memory/memory.limit_in_bytes": f"{8 * GIB}\n",
                "memory/memory.usage_in_bytes": f"{9 * GIB}\n",
                "cpu,cpuacct/cpu.cfs_quota_us": "400000\n",
                "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            Limits(4.0, 8 * GIB, 0),
            id="version 1, whose path is the machine's",
        ),
        pytest.param(
            "1:cpu:/", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, Limits(), id="none"
        ),
        pytest.param("0::/../../x", {"memory.max": "nonsense", "cpu.max": "1"}, Limits(), id="nonsense"),
    ],
)
def test_the_tightest_limit_counts(tmp_path: Path, membership: str, files: dict[str, str], expected: Limits) -> None:
    (tmp_path / "cgroup").write_text(membership)
    assert container_limits(tmp_path / "cgroup", write(tmp_path / "fs", files)) == expected
    assert container_limits(tmp_path / "none", tmp_path / "fs") == Limits()


def test_a_real_limit_of_the_kernel_is_found() -> None:
    parent, limit = CGROUPS / "memory", "memory.limit_in_bytes"
    if not parent.is_dir():
        parent, limit = CGROUPS, "memory.max"
    group = parent / f"qllm-test-{uuid.uuid4().hex[:8]}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error.strerror}")
    try:
        if not (group / limit).exists():
            pytest.skip("cgroups without a memory controller")
        (group / limit).write_text(str(GIB))

        def enter() -> None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

        shown = subprocess.run(
            [sys.executable, "-c", SHOW], preexec_fn=enter, check=True, capture_output=True, text=True, timeout=60
        )
        assert shown.stdout.strip() == str(GIB)
    finally:
        group.rmdir()
