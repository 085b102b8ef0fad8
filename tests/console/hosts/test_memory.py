"""Whatever a run writes, the console that follows it stays small."""

from __future__ import annotations

import asyncio
import sys
import uuid
from pathlib import Path

import pytest

from tests.conftest import Fault
from tests.console.hosts.conftest import Host
from tests.console.tiny import write_experiment

pytestmark = pytest.mark.server

LIMIT = 200 * 1000 * 1000
CODE = """
import sys
line, log = int(sys.argv[1]), int(sys.argv[2])
for _ in range(line >> 20):
    sys.stdout.write("x" * (1 << 20))
sys.stdout.write("\\n")
block = "".join(f"line {number:08d} of a log that does not end\\n" for number in range(25000))
for _ in range(log // len(block)):
    sys.stdout.write(block)
"""


@pytest.mark.timeout(600)
@pytest.mark.fault("one 100 MiB line, 1 GiB log", "console below 200 MB of memory")
async def test_a_huge_line_and_a_huge_log_cost_no_memory(tmp_path: Path, fault: Fault) -> None:
    line, log = fault.size(8, 100) << 20, fault.size(48, 1024) << 20
    experiment = write_experiment(tmp_path)
    host = Host(tmp_path / "runs" / ".local-host")
    async with host.open_connection() as (_, link):
        argv = [sys.executable, "-c", CODE, str(line), str(log)]
        await link.request("launch", key=uuid.uuid4().hex, folder="tiny-tiny", run="A_seed42", argv=argv, settings="")
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.console.hosts.following_console",
        str(experiment),
        str(tmp_path / "runs"),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await child.communicate()
    peak, lines, last = (int(word) for word in out.split())
    fault.note(f"peak {peak / 1000:.0f} MB, {lines:,} lines seen")
    assert child.returncode == 0 and last > 20 and lines > 0
    assert peak * 1000 < LIMIT
    whole = tmp_path / "runs" / "tiny-tiny" / "A_seed42" / "log.txt"
    assert whole.stat().st_size >= line + log * 0.95, "the local log is whole"
