"""Of several consoles on one local runs folder one writes it; the others follow, and one of them takes its place."""

from __future__ import annotations

import asyncio
import getpass
import os
from pathlib import Path, PurePosixPath

import pytest

from console.hosts.pull.follower import RunFollower
from console.hosts.pull.local_copy import RunsFolder
from console.hosts.pull.run_sync import RunSync
from console.hosts.remote.agent_client import AgentClient
from console.hosts.ssh.errors import LinkDown
from engine.contract.bad_input import BadInput
from tests.console.hosts.kept_link import RUN
from tests.console.hosts.pull.conftest import FIRST, LINE, SteeredRun, console

pytestmark = pytest.mark.usefixtures("short_waits")


async def test_of_two_consoles_one_writes_and_the_other_follows_with_private_copies_and_reports_it(
    steered: SteeredRun, link: AgentClient, key: str
) -> None:
    async with console(steered.config, steered.runs_dir) as writer, console(steered.config, steered.runs_dir) as reader:
        assert not writer.link.local.other_writer
        assert f"another console ({getpass.getuser()}, pid {os.getpid()})" in reader.link.local.other_writer
        for lines in (3, 2000):
            steered.steer(str(lines))
            await asyncio.gather(*(one.synced_to(FIRST + lines * LINE) for one in (writer, reader)))
        async with asyncio.timeout(10):
            log = reader.link.follower.logs[RUN]
            while log.total < 2000:
                log.catch_up()
                await asyncio.sleep(0.01)
        await steered.end(link)
        await asyncio.gather(writer.synced(), reader.synced())
        await steered.until_cleaned_up()
    steered.assert_synced()
    assert not (steered.folder / ".previous").exists(), "it was pulled once"


async def test_a_reader_pulls_nothing_and_names_the_writer(tmp_path: Path) -> None:
    writer, reader = RunsFolder(tmp_path), RunsFolder(tmp_path)
    writer.try_lock()
    reader.try_lock()
    runs = RunFollower(reader, (RUN,))
    sync = RunSync(reader, PurePosixPath("runs"), (RUN,), runs, lambda: None)
    assert sync.pull_again() == ()
    runs.sealed = {RUN: "a" * 32}
    with pytest.raises(BadInput, match=r"another console .* writes this runs folder"):
        sync.pull_again()
    writer.close()


async def test_when_the_writer_leaves_the_reader_becomes_the_writer_and_its_views_continue(
    steered: SteeredRun, link: AgentClient, key: str
) -> None:
    async with console(steered.config, steered.runs_dir) as writer:
        await writer.synced_to(FIRST)
        async with console(steered.config, steered.runs_dir) as reader:
            await reader.synced_to(FIRST)
            await writer.leave()
            steered.steer("7")
            await reader.synced_to(FIRST + 7 * LINE)
            await reader.until(lambda _: reader.link.local.writable)
            await reader.synced_to(FIRST + 7 * LINE)
            assert steered.live(key)["log.txt"] == (steered.remote / "log.txt").read_bytes()
            reader.link.follower.logs[RUN].catch_up()
            assert reader.link.follower.logs[RUN].total == 7 and not reader.link.local.other_writer
            await steered.end(link)
            await reader.synced()
            await steered.until_cleaned_up()
    steered.assert_synced()


async def test_a_link_that_is_lost_while_a_reader_becomes_the_writer_leaves_no_private_copies(
    steered: SteeredRun, link: AgentClient, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with console(steered.config, steered.runs_dir) as writer:
        await writer.synced_to(FIRST)
        async with console(steered.config, steered.runs_dir) as reader:
            await reader.synced_to(FIRST)
            reopen, attempts = reader.link.follower.reopen_copies, 0

            async def fail_once() -> None:
                nonlocal attempts
                attempts += 1
                if attempts == 1:
                    raise LinkDown("the link is lost")
                await reopen()

            monkeypatch.setattr(reader.link.follower, "reopen_copies", fail_once)
            await writer.leave()
            await reader.until(lambda _: attempts == 2 and not reader.link.local.has_private_copies)
            steered.steer("7")
            await reader.synced_to(FIRST + 7 * LINE)
            assert steered.live(key)["log.txt"] == (steered.remote / "log.txt").read_bytes()
