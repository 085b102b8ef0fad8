"""The session itself, over the real embedded host: it can be left at any moment."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from console.hosts.host_config import HostConfig
from console.session import LinkDown, Session
from console.snapshot import Snapshot
from engine.contract.bad_input import BadInput
from engine.contract.experiment import RunId, read_experiment
from tests.console.tiny import PROFILE, write_experiment


def make_session(folder: Path, *, read_only: bool = False) -> Session:
    path = write_experiment(folder)
    host = HostConfig("here", "embedded")
    return Session(host, read_experiment(path), path, PROFILE, folder / "runs", read_only=read_only)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233])
async def test_it_can_be_cancelled_after_any_number_of_turns(tmp_path: Path, turns: int) -> None:
    session = make_session(tmp_path)
    following = asyncio.create_task(session.run())
    for _ in range(turns):
        await asyncio.sleep(0)
    following.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await following


async def test_it_can_be_cancelled_the_moment_it_is_ready(tmp_path: Path) -> None:
    for _ in range(5):
        session = make_session(tmp_path)
        following = asyncio.create_task(session.run())
        await session.ready.wait()
        following.cancel()
        async with asyncio.timeout(10):
            with pytest.raises(asyncio.CancelledError):
                await following


async def test_the_link_comes_up_and_tells_of_the_host(tmp_path: Path) -> None:
    session = make_session(tmp_path)
    following = asyncio.create_task(session.run())
    links: list[str] = []
    told = asyncio.Event()

    def note(snapshot: Snapshot) -> None:
        links.append(snapshot.host.link)
        if snapshot.host.facts:
            told.set()

    session.subscribe(note)
    async with asyncio.timeout(20):
        await told.wait()
    host = session.snapshot.host
    assert host.link == "up" and host.fingerprint.startswith("SHA256:") and host.heard > 0
    assert host.facts and host.facts.workspace == str(tmp_path / "runs" / ".local-host")
    assert links[0] == "connecting"
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await session.close()
    assert session.snapshot.host.link == "closed"


async def test_without_a_link_nothing_is_launched(tmp_path: Path) -> None:
    session = make_session(tmp_path)
    with pytest.raises(LinkDown):
        await session.launch(session.plan_launch([RunId("A", 42)]))


async def test_a_read_only_session_launches_and_aborts_nothing(tmp_path: Path) -> None:
    session = make_session(tmp_path, read_only=True)
    following = asyncio.create_task(session.run())
    await session.ready.wait()
    with pytest.raises(BadInput, match="read-only"):
        await session.launch(session.plan_launch([RunId("A", 42)]))
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_a_server_that_dies_is_replaced_and_the_link_comes_back(tmp_path: Path) -> None:
    session = make_session(tmp_path)
    following = asyncio.create_task(session.run())
    await session.ready.wait()
    links: list[str] = []
    back = asyncio.Event()

    def note(link: str) -> None:
        links.append(link)
        if "lost" in links and link == "up":
            back.set()

    session.subscribe(lambda snapshot: note(snapshot.host.link))
    for child in psutil.Process().children():
        if "console.hosts.embedded_server" in " ".join(child.cmdline()):
            child.kill()
    async with asyncio.timeout(20):
        await back.wait()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_the_second_session_looks_on_until_it_takes_over(tmp_path: Path) -> None:
    first, second = make_session(tmp_path), make_session(tmp_path)
    following = [asyncio.create_task(first.run())]
    await first.ready.wait()
    following.append(asyncio.create_task(second.run()))
    await second.ready.wait()
    assert not first.snapshot.host.lease and "@" in second.snapshot.host.lease
    with pytest.raises(BadInput, match="has the lease"):
        await second.launch(second.plan_launch([RunId("A", 42)]))
    await second.take_over()
    assert not second.snapshot.host.lease
    async with asyncio.timeout(20):
        while not first.snapshot.host.lease:
            await asyncio.sleep(0.02)
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
