"""Over a slow link a pull leaves room for polls: control goes before bulk data."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest

from console.hosts import host_link
from console.hosts.ssh.access import Timeouts
from tests.conftest import Fault
from tests.console.hosts.conftest import Host, in_state, launch, states_when
from tests.console.hosts.kept_link import RUN, kept_link, until
from tests.console.hosts.proxy import proxy_to
from tests.console.hosts.sshd import Sshd

CODE = "import os, sys\nopen('runs/experiment/{run}/items.parquet', 'wb').write(os.urandom({size}))"


@pytest.mark.timeout(400, func_only=True)
@pytest.mark.fault("a pull of 6 MB at 60 KB/s", "the link is never lost: polls are answered while the pull goes on")
async def test_polls_are_answered_while_a_pull_fills_a_slow_link(
    sshd: Sshd, operator: Path, tmp_path: Path, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    size, bandwidth = (6_000_000, 60_000.0) if fault.full else (1_400_000, 250_000.0)
    timeouts = Timeouts() if fault.full else Timeouts(keepalive=0.8, misses=3, backoff=(0.05, 1.0))
    if not fault.full:
        monkeypatch.setattr(host_link, "POLL_WAIT_S", 0.5)
    host = Host(tmp_path / "host", sshd.host(tmp_path / "host"), sshd.access(operator))
    async with host.open_connection() as (_, agent):
        await launch(agent, str(RUN), CODE.format(run=RUN, size=size))
        await states_when(agent, in_state(str(RUN), "finished"))
    replies: set[float] = set()
    async with proxy_to(sshd.port) as proxy:
        config = sshd.host(tmp_path / "host", port=proxy.port)
        access = sshd.access(operator, timeouts=timeouts, port=proxy.port)
        # the agent is there already, and the link is slow from its first byte on
        proxy.bandwidth, proxy.round_trip = bandwidth, 0.05
        async with kept_link(config, tmp_path / "local", access, seconds=60) as (link, following, changed):
            watching = asyncio.create_task(_collect(link, replies))
            states = link.run_sync.sync_states
            await until(lambda: states[RUN].status == "synced" or following.done(), changed, 300)
            watching.cancel()
            assert states[RUN].status == "synced"
            assert proxy.connections == 1, link.view.detail
    longest = max(later - earlier for earlier, later in itertools.pairwise(sorted(replies)))
    fault.note(f"{len(replies)} replies, at most {longest:.1f} s apart; silence allowed: {timeouts.silence:.1f} s")


async def _collect(link: host_link.HostLink, replies: set[float]) -> None:
    while True:
        replies.add(link.view.last_reply_at)
        await asyncio.sleep(0.05)
