"""A session in a process of its own: follows a run until it is synced, then prints its peak memory in kB.

Usage: EXPERIMENT RUNS
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from console.hosts.host_config import HostConfig
from console.session import Session
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId
from tests.console.tiny import PROFILE

RUN = RunId("A", 42)


async def main(experiment: Path, runs: Path) -> None:
    session = Session(HostConfig("local", "embedded"), read_experiment(experiment), experiment, PROFILE, runs)
    changed = asyncio.Event()
    session.subscribe(lambda _: changed.set())
    following = asyncio.create_task(session.run())
    while session.snapshot.sync_states[RUN].status != "synced":
        await changed.wait()
        changed.clear()
    following.cancel()
    session.log(RUN).catch_up()
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak is not None
    log = session.log(RUN)
    print(peak.group(1), log.total, len(log.line(log.total - 1).text))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
