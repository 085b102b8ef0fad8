"""Limits of a container and the kernel's kills in it are found, whichever version of cgroups it has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from console.hosts.agent.cgroups import Limits, container_limits, oom_kills
from tests.console.hosts.agent.memory_cgroup import memory_cgroup
from tests.console.hosts.folder_pair import write

GIB = 2**30
SHOW = "from console.hosts.agent.cgroups import container_limits as limits; print(limits().memory)"


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
    root = write(tmp_path / "fs", {name: text.encode() for name, text in files.items()})
    assert container_limits(tmp_path / "cgroup", root) == expected
    assert container_limits(tmp_path / "none", tmp_path / "fs") == Limits()


def test_a_real_limit_of_the_kernel_is_found() -> None:
    with memory_cgroup(GIB) as group:

        def enter() -> None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

        shown = subprocess.run(
            [sys.executable, "-c", SHOW], preexec_fn=enter, check=True, capture_output=True, text=True, timeout=60
        )
        assert shown.stdout.strip() == str(GIB)


@pytest.mark.parametrize(
    ("line", "file", "kills"),
    [
        ("0::/job", "job/memory.events", 3),
        ("4:memory:/job", "memory/job/memory.oom_control", 3),
        pytest.param("4:memory:/docker/1", "memory/memory.oom_control", 3, id="in a container, by the machine's path"),
        pytest.param("0::/job/step", "job/memory.events", None, id="of the group above"),
        ("1:cpu:/job", "memory/job/memory.oom_control", None),
    ],
)
def test_kills_are_counted_in_the_own_group(tmp_path: Path, line: str, file: str, kills: int | None) -> None:
    (tmp_path / "cgroup").write_text(f"9:name=systemd:/\n{line}\n")
    root = tmp_path / "fs"
    (root / "job" / "step").mkdir(parents=True)
    assert oom_kills(tmp_path / "cgroup", root) is None
    write(root, {file: b"oom_kill_disable 0\nunder_oom 0\nhigh 1\noom_kill 3\n"})
    assert oom_kills(tmp_path / "cgroup", root) == kills
    assert oom_kills(tmp_path / "none", root) is None
