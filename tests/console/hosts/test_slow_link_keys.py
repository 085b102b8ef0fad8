"""Over the slowest of links, and over one that passes nothing at all, the console answers its keys as if there were none."""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.conftest import Fault
from tests.console.hosts.conftest import Host
from tests.console.hosts.proxy import proxy_to
from tests.console.hosts.sshd import Sshd
from tests.console.terminal import Terminal
from tests.console.tiny import arguments, write_experiment

ROUND_TRIP_S, BANDWIDTH = 0.2, 125_000.0  # 1 Mbit/s
ANSWER_S = 0.1
FOLDER, TALKS, BIG = "tiny-tiny", "A_seed42", "B_seed42"
CODE = {
    BIG: "import os, sys\nopen(sys.argv[1] + '/items.parquet', 'wb').write(os.urandom(64 << 20))",
    TALKS: """
import time
while True:
    print("\\n".join(f"line {number:04d} of a log that grows faster than the link can carry it" for number in range(1000)))
    time.sleep(0.1)
""",
}
# a key, and what nothing but its answer paints
KEYS = (
    ("3", ">3 Live<"),
    ("2", "bundles, "),
    ("\x1b[B", "B/42"),
    ("\x1b[A", "A/42"),
    ("?", "Select the run below"),
    ("\x1b", "bundles, "),
    ("4", "No run has been evaluated yet"),
    ("1", "p check again"),
    ("5", "No items yet"),
    ("2", "bundles, "),
)
HOSTS = """
[hosts.far]
title = "far away"
launcher = "ssh"
address = "127.0.0.1"
port = {port}
user = "{user}"
identity = "{identity}"
workspace = "{workspace}"
"""


@pytest.mark.timeout(300, func_only=True)
@pytest.mark.alone
@pytest.mark.fault(
    "200 ms round trip, 1 Mbit/s", "a key answers within 100 ms in the median, in the tail as with nothing to receive"
)
async def test_keys_are_answered_at_once_while_the_link_is_full(sshd: Sshd, tmp_path: Path, fault: Fault) -> None:
    async with busy_host(sshd, tmp_path), proxy_to(sshd.port) as proxy:
        proxy.round_trip, proxy.bandwidth = ROUND_TRIP_S, BANDWIDTH
        with console_at(proxy.port, sshd, tmp_path) as terminal:
            await asyncio.to_thread(terminal.wait_for, "pulling ", 60.0)
            full, still, passed, seconds = [], [], 0, 0.0
            for _ in range(fault.size(2, 20)):
                passed, seconds = passed - proxy.passed, seconds - time.monotonic()
                full += await asyncio.to_thread(press_all, terminal, fault.random)
                passed, seconds = passed + proxy.passed, seconds + time.monotonic()
                proxy.freeze()
                still += await asyncio.to_thread(press_all, terminal, fault.random)
                proxy.thaw()
    fault.note(f"{len(full)} keys, link {passed / seconds / 1000:.0f} kB/s: {spread_of(full)}")
    fault.note(f"while nothing passed: {spread_of(still)}")
    assert passed / seconds > 0.5 * BANDWIDTH, "the link was full all the while"
    # where even a console that nothing comes to is held up, it is by the machine, and by as much as that it may be
    assert percentile(full, 50) < max(ANSWER_S, 1.5 * percentile(still, 50))
    if fault.full:  # beside other tests only medians tell
        assert percentile(full, 95) < max(ANSWER_S, 1.5 * percentile(still, 95))


@asynccontextmanager
async def busy_host(sshd: Sshd, tmp_path: Path) -> AsyncIterator[None]:
    """One run has left more than is pulled within the test, another one writes its log without end."""
    host = Host(tmp_path / "host", sshd.host(tmp_path / "host"), sshd.access(tmp_path / "operator"))
    async with host.open_connection() as (_, link):
        keys = {run: uuid.uuid4().hex for run in CODE}
        for run, code in CODE.items():
            argv = ["python3", "-c", code, "{run}"]
            await link.request("launch", key=keys[run], folder=FOLDER, run=run, argv=argv, settings="", slots=2)
        try:
            async with asyncio.timeout(60):
                while not (host.workspace / "runs" / FOLDER / BIG / "manifest.json").exists():
                    await asyncio.sleep(0.05)
            yield
        finally:
            await link.request("abort", key=keys[TALKS], by="the test")


def console_at(port: int, sshd: Sshd, tmp_path: Path) -> Terminal:
    """The console as an operator starts it; it leaves the lease to the test."""
    home, hosts = tmp_path / "home", tmp_path / "hosts.toml"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "known_hosts").write_text(sshd.known_hosts_line(port=port))
    hosts.write_text(HOSTS.format(port=port, user=sshd.user, identity=sshd.identity, workspace=tmp_path / "host"))
    options = ("--host", "far", "--hosts", str(hosts), "--read-only")
    command = arguments(None, write_experiment(tmp_path), tmp_path / "runs", *options)
    return Terminal(command, {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")})


def press_all(terminal: Terminal, chance: random.Random) -> list[float]:
    """Press every key, at odd moments; seconds until each answer was painted."""
    took = []
    for key, answer in KEYS:
        time.sleep(chance.uniform(0.02, 0.2))
        took.append(terminal.press(key, answer))
    return took


def percentile(seconds: list[float], share: int) -> float:
    return statistics.quantiles(seconds, n=100)[share - 1]


def spread_of(seconds: list[float]) -> str:
    p50, p95 = percentile(seconds, 50), percentile(seconds, 95)
    return f"p50 {1000 * p50:.0f}, p95 {1000 * p95:.0f}, max {1000 * max(seconds):.0f} ms"
