"""The console is killed at many different points of launching: nothing is launched twice and no exit is lost."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import Fault
from tests.console.hosts.conftest import Host, states_when

pytestmark = pytest.mark.server

RUNS = [f"A_seed{number}" for number in range(6)]
SPAN_S = 1.2  # from its start to its last launch a console needs about this long


async def killed_after(seconds: float, host: Host) -> None:
    """Start a console that launches what is missing, and kill it."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.console.hosts.killed_console",
        str(host.workspace),
        *RUNS,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(seconds):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()


@pytest.mark.timeout(900)
@pytest.mark.fault("console killed at 100 different points", "no duplicate launch, no lost exit")
async def test_nothing_is_launched_twice_and_no_exit_is_lost(tmp_path: Path, fault: Fault) -> None:
    points, rounds = fault.size(6, 100), 0
    while points > 0:
        host = Host(tmp_path / f"host{rounds}")
        rounds += 1
        for _ in range(min(points, 5)):
            await killed_after(fault.random.uniform(0.2, SPAN_S), host)
            points -= 1
        await killed_after(60.0, host)  # one that is left alone
        async with host.open_connection() as (_, link):
            states = await states_when(
                link,
                lambda states: len(states) == len(RUNS) and all(one["state"] != "running" for one in states.values()),
            )
        assert {state["state"] for state in states.values()} == {"finished"}, [*states.values()]
        ran = Counter(line for file in host.workspace.glob("*.ran") for line in file.read_text().split())
        assert ran == dict.fromkeys(RUNS, 1), ran
