"""Real faults of networks and hosts: the link is shown as lost, comes back, and nothing followed is lost or doubled."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import psutil
import pytest

from console.hosts.host_config import HostConfig
from console.hosts.host_link import HostLink
from console.hosts.pull.follower import RunFollower
from console.hosts.ssh.access import Access, Timeouts
from console.hosts.ssh.connection import open_connection
from console.hosts.ssh.errors import LinkDown
from console.runs.snapshot import HostView
from console.runs.staleness import POLL_WAIT_S
from tests.conftest import Fault
from tests.console.hosts.conftest import FOLDER, Host, launch
from tests.console.hosts.kept_link import RUN, kept_link, until
from tests.console.hosts.proxy import Proxy, proxy_to
from tests.console.hosts.sshd import ME, ScriptedPrompter, Sshd

QUICK = Timeouts(handshake=3.0, keepalive=0.4, misses=3, backoff=(0.05, 1.0))
LOST_WITHIN_S = 20.0
BACK_WITHIN_S = 5.0
STREAM = """
import json, pathlib, time
run, lines, seconds = pathlib.Path("runs/{folder}/{run}"), {lines}, {seconds}
burst = max(1, lines // 200)
with open(run / "events.jsonl", "w") as events:
    for first in range(0, lines, burst):
        for number in range(first, min(lines, first + burst)):
            body = dict(type="progress", done=number + 1, total=lines, unit="lines")
            events.write(json.dumps(dict(seq=number, t=100.0 + number, body=body)) + "\\n")
        events.flush()
        time.sleep(seconds * burst / lines)
"""


class Watched:
    """A link that is kept up, and what it was seen to be."""

    def __init__(self, link: HostLink, following: asyncio.Task[None], changed: asyncio.Event) -> None:
        self.link = link
        self._following = following
        self._changed = changed

    def still_runs(self) -> None:
        """Raises what ended it: nothing may."""
        if self._following.done():
            self._following.result()

    async def until(self, condition: Callable[[HostView], bool], seconds: float) -> float:
        """Wait until the view of the host fulfils ``condition``; returns how long that took.

        Raises:
            TimeoutError: it did not within ``seconds``.
        """
        start = time.monotonic()
        await until(lambda: condition(self.link.view), self._changed, seconds)
        return time.monotonic() - start

    async def lost(self) -> float:
        return await self.until(lambda view: view.link == "lost", LOST_WITHIN_S)

    async def back(self) -> float:
        """Until it is up and has replied since."""
        start = time.monotonic()
        await self.until(lambda view: view.link == "up" and view.last_reply_at > start, BACK_WITHIN_S)
        return time.monotonic() - start


@asynccontextmanager
async def watched(
    config: HostConfig, access: Access, runs_dir: Path, seconds: float = 20.0, *, syncs_runs: bool = True
) -> AsyncIterator[Watched]:
    async with kept_link(config, runs_dir, access, seconds, syncs_runs=syncs_runs) as parts:
        yield Watched(*parts)


@asynccontextmanager
async def through_a_proxy(
    sshd: Sshd, operator: Path, tmp_path: Path, timeouts: Timeouts
) -> AsyncIterator[tuple[Proxy, HostConfig, Access]]:
    async with proxy_to(sshd.port) as proxy:
        config = sshd.host(tmp_path / "host", port=proxy.port)
        yield proxy, config, sshd.access(operator, timeouts=timeouts, port=proxy.port)


@pytest.mark.timeout(1800, func_only=True)
@pytest.mark.fault("200 drops during a stream of 1,000,000 lines", "identical SHA-256, nothing lost or doubled")
async def test_drops_lose_and_double_nothing(sshd: Sshd, operator: Path, tmp_path: Path, fault: Fault) -> None:
    drops, lines = fault.size(10, 200), fault.size(40_000, 1_000_000)
    host = Host(tmp_path / "host", sshd.host(tmp_path / "host"), sshd.access(operator))
    async with host.open_connection() as (_, agent):
        seconds = 2.0 if drops == 10 else 60.0
        await launch(agent, str(RUN), STREAM.format(folder=FOLDER, run=RUN, lines=lines, seconds=seconds))
    async with through_a_proxy(sshd, operator, tmp_path, QUICK) as (proxy, config, access):
        weights = [fault.random.random() for _ in range(drops)]
        on_the_wire = 110 * lines  # less than there will be, so that the last cut is reached, too
        proxy.cut_after(iter([1 + int(weight / sum(weights) * on_the_wire) for weight in weights]))
        # without pulls, so that polls alone transfer the file
        async with watched(config, access, tmp_path / "local", syncs_runs=False) as console:
            follower = console.link.follower
            remote = host.run_folder / str(RUN) / "events.jsonl"
            while not ended(follower) or lines_seen(follower) < lines:
                console.still_runs()
                await asyncio.sleep(0.02)
            events, view = remote.read_bytes(), follower.views[RUN]
            copy = follower._followed[RUN].files["events"]
            assert copy.path.read_bytes() == events
            assert copy.sha256 == hashlib.sha256(events).hexdigest()
        assert view.rejected == 0 and view.next_seq == lines
        assert events.count(b"\n") == lines
        assert proxy.dropped == drops
        fault.note(f"{proxy.dropped} drops on {proxy.connections} connections")


@pytest.mark.parametrize("how", ["the network", "the server", "the agent"])
@pytest.mark.timeout(300)
@pytest.mark.alone
@pytest.mark.fault("frozen peer", "LOST shown within 20 s; re-attached within 5 s of its return")
async def test_a_frozen_peer_is_lost_and_found_again(
    sshd: Sshd, operator: Path, tmp_path: Path, fault: Fault, how: str
) -> None:
    timeouts = Timeouts() if fault.full else QUICK
    frozen_s = fault.random.uniform(20, 60) if fault.full else fault.random.uniform(0, 3)
    async with through_a_proxy(sshd, operator, tmp_path, timeouts) as (proxy, config, access):
        runs_dir = tmp_path / "local"
        async with watched(config, access, runs_dir) as console:
            stopped: list[psutil.Process] = []
            if how == "the network":
                proxy.freeze()
            else:
                stopped = sshd.processes() if how == "the server" else agents_in(tmp_path / "host")
                for process in stopped:
                    process.suspend()
            try:
                lost = await console.lost()
                if (
                    how == "the agent"
                ):  # the server answers for it, so that polls alone tell; a new connection has a new one
                    assert "no reply to " in console.link.view.detail
                else:
                    await asyncio.sleep(frozen_s)
                    assert console.link.view.link == "lost"
            finally:
                proxy.thaw()
                for process in stopped:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        process.resume()
            back = await console.back()
    fault.note(f"{how}: LOST after {lost:.1f} s, back {back:.1f} s after its return")


@pytest.mark.alone
@pytest.mark.fault("frozen peer", "LOST shown within 20 s; re-attached within 5 s of its return")
async def test_a_frozen_peer_is_lost_though_nothing_is_asked_of_it(
    sshd: Sshd, operator: Path, tmp_path: Path, fault: Fault
) -> None:
    """By keepalives alone: what waits for nothing but a run's end would wait for ever."""
    timeouts = Timeouts() if fault.full else QUICK
    async with (
        through_a_proxy(sshd, operator, tmp_path, timeouts) as (proxy, config, access),
        open_connection(config, tmp_path / "host", access) as there,
    ):
        waiting = await there.channels.create_process("sleep 600")
        proxy.freeze()
        start = time.monotonic()
        with pytest.raises(asyncssh.ConnectionLost, match="keepalive"):
            async with asyncio.timeout(LOST_WITHIN_S):
                await waiting.stdout.read()
        lost = time.monotonic() - start
        assert lost < timeouts.silence + 2.0
    fault.note(f"nothing asked: LOST after {lost:.1f} s")


@pytest.mark.timeout(300)
@pytest.mark.alone
@pytest.mark.fault("server killed and restarted", "LOST shown within 20 s; re-attached within 5 s of its return")
async def test_a_restarted_server_is_found_again(sshd: Sshd, operator: Path, tmp_path: Path, fault: Fault) -> None:
    access = sshd.access(operator, timeouts=Timeouts())
    async with watched(sshd.host(tmp_path / "host"), access, tmp_path / "local") as console:
        sshd.stop()
        lost = await console.lost()
        gone_s = fault.random.uniform(60, 90) if fault.full else fault.random.uniform(3, 6)
        await asyncio.sleep(gone_s)
        assert "connection refused" in console.link.view.detail
        sshd.start()
        back = await console.back()
    fault.note(f"gone for {gone_s:.0f} s: LOST after {lost:.1f} s, back {back:.1f} s after its return")


@pytest.mark.fault("a reply that takes longer than silence is borne", "the link stays up")
async def test_a_slow_link_is_not_a_silent_one(sshd: Sshd, operator: Path, tmp_path: Path, fault: Fault) -> None:
    host = Host(tmp_path / "host", sshd.host(tmp_path / "host"), sshd.access(operator))
    async with host.open_connection() as (_, agent):
        await launch(agent, str(RUN), STREAM.format(folder=FOLDER, run=RUN, lines=5000, seconds=0.1))
        while not (host.run_folder / str(RUN) / "exit.json").exists():
            await asyncio.sleep(0.05)
    async with through_a_proxy(sshd, operator, tmp_path, QUICK) as (proxy, config, access):
        proxy.round_trip, proxy.bandwidth = 0.2, 80_000.0
        start = time.monotonic()
        async with watched(config, access, tmp_path / "local", seconds=60) as console:
            took = time.monotonic() - start
            assert lines_seen(console.link.follower) == 5000 and proxy.connections == 1
    assert took > POLL_WAIT_S + QUICK.silence
    fault.note(f"one reply took {took:.1f} s")


async def test_a_changed_key_at_a_reconnect_is_not_tried_again_until_asked(
    sshd: Sshd, operator: Path, tmp_path: Path
) -> None:
    prompter = ScriptedPrompter()
    timeouts = Timeouts(handshake=QUICK.handshake, keepalive=QUICK.keepalive, misses=QUICK.misses, backoff=(0.05, 0.1))
    access = sshd.access(operator, prompter, timeouts)
    async with watched(sshd.host(tmp_path / "host"), access, tmp_path / "local") as console:
        (tmp_path / "other").mkdir()
        (operator / "known_hosts").write_text(Sshd(tmp_path / "other", ME).known_hosts_line(port=sshd.port))
        sshd.stop()
        sshd.start()
        await console.until(lambda view: "HAS CHANGED" in view.detail, 10.0)
        async with asyncio.timeout(5):
            await console.link.retry.stopped.wait()
        tried = sshd.log().count("Connection from")
        await asyncio.sleep(5 * timeouts.backoff[1])  # it would have tried five times at the least
        assert console.link.retry.stopped.is_set()
        assert sshd.log().count("Connection from") == tried and not prompter.questions
        (operator / "known_hosts").write_text(sshd.known_hosts_line())
        console.link.retry.now()
        await console.back()


async def test_without_a_link_requests_fail_at_once(sshd: Sshd, operator: Path, tmp_path: Path) -> None:
    async with watched(
        sshd.host(tmp_path / "host"), sshd.access(operator, timeouts=QUICK), tmp_path / "local"
    ) as console:
        sshd.stop()
        await console.lost()
        with pytest.raises(LinkDown):
            console.link.connected()


def lines_seen(follower: RunFollower) -> int:
    progress = follower.views[RUN].progress
    return progress.done if progress else 0


def ended(follower: RunFollower) -> bool:
    state = follower.views[RUN].state
    return state is not None and state.ended


def agents_in(workspace: Path) -> list[psutil.Process]:
    """The agents that serve ``workspace``."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if (process.info["cmdline"] or [])[-2:] == ["serve", str(workspace)]
    ]
