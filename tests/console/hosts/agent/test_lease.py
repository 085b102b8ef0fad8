"""Two consoles on one host: one holds the lease, the other looks on, and taking over is explicit."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console.hosts.agent.job_processes import job_processes
from console.hosts.agent.lease import Holder, holder_of
from console.hosts.agent.process import identity
from console.hosts.agent.workspace import Workspace
from console.hosts.remote.agent_client import AgentRefused
from console.hosts.ssh.errors import LinkDown
from tests.console.hosts.conftest import Host, in_state, launch, states_when
from tests.console.hosts.small_disk import fill, fill_files


async def test_the_first_console_holds_the_lease_and_the_second_does_not(host: Host) -> None:
    async with host.open_connection() as (_, first), host.open_connection() as (_, second):
        assert await first.request("lease", console="1", user="ann") == {"held": True, "holder": "ann"}
        assert await second.request("lease", console="2", user="bob") == {"held": False, "holder": "ann"}
        with pytest.raises(AgentRefused, match="ann has the lease"):
            await launch(second, "A_seed1", "print()")
        with pytest.raises(AgentRefused, match="ann has the lease"):
            await second.request("abort", key=uuid.uuid4().hex, by="bob")
        with pytest.raises(AgentRefused, match="ann has the lease"):
            await second.request("notify_keep", urls=["json://127.0.0.1"], operator="bob@desk")
        assert await second.request("poll", folder="experiment"), "looking is free"
        await launch(first, "A_seed1", "print()")


async def test_the_lease_is_free_once_its_holder_is_gone(host: Host) -> None:
    async with host.open_connection() as (_, first):
        await first.request("lease", console="1", user="ann")
    async with host.open_connection() as (_, second):
        assert (await second.request("lease", console="2", user="bob"))["held"]


async def test_taking_over_ends_the_holders_link(host: Host) -> None:
    async with host.open_connection() as (_, first), host.open_connection() as (_, second):
        await first.request("lease", console="1", user="ann")
        assert (await second.request("lease", console="2", user="bob", take_over=True))["held"]
        with pytest.raises((LinkDown, AgentRefused)):
            await launch(first, "A_seed1", "print()")
        async with host.open_connection() as (_, again):
            assert await again.request("lease", console="1", user="ann") == {"held": False, "holder": "bob"}


async def test_a_console_whose_old_link_hangs_gets_its_own_lease_back(host: Host) -> None:
    async with host.open_connection() as (_, hanging), host.open_connection() as (_, again):
        await hanging.request("lease", console="1", user="ann")
        assert (await again.request("lease", console="1", user="ann"))["held"]


async def test_of_many_requests_at_once_one_gets_the_lease(host: Host) -> None:
    async with host.open_connection() as (_, a), host.open_connection() as (_, b), host.open_connection() as (_, c):
        links = {"a": a, "b": b, "c": c}
        replies = await asyncio.gather(
            *(link.request("lease", console=name, user=name) for name, link in links.items())
        )
        assert [reply["held"] for reply in replies].count(True) == 1


async def test_without_any_lease_a_command_may_launch(host: Host) -> None:
    async with host.open_connection() as (_, link):
        await launch(link, "A_seed1", "print()")


def replaced_by(content: bytes) -> Callable[[Path], None]:
    def replace(record: Path) -> None:
        record.write_bytes(content)

    return replace


def as_json(value: Any) -> Callable[[Path], None]:
    return replaced_by(json.dumps(value).encode())


def fifo(record: Path) -> None:
    record.unlink()
    os.mkfifo(record)


def folder(record: Path) -> None:
    record.unlink()
    record.mkdir()


def of_another_process(record: Path) -> None:
    as_json({"console": "2", "user": "old", "agent": identity(os.getpid())})(record)


def of_an_ended_process(record: Path) -> None:
    as_json({"console": "2", "user": "old", "agent": {**identity(os.getpid()), "start": 1}})(record)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "missing": Path.unlink,
    "empty": replaced_by(b""),
    "NUL bytes": replaced_by(b"\0" * 200),
    "not UTF-8": replaced_by(b"\xff\xfe{"),
    "nested too deeply": replaced_by(b"[" * 100_000),
    "null": as_json(None),
    "number": as_json(1),
    "list": as_json([{}]),
    "text": as_json("ann"),
    "no fields": as_json({}),
    "fields of wrong types": as_json({"console": ["2"], "user": {}, "agent": "me"}),
    "agent without fields": as_json({"console": "2", "user": "old", "agent": {}}),
    "agent of wrong types": as_json({"console": "2", "user": "old", "agent": {"pid": "1", "start": None, "boot": 3}}),
    "FIFO": fifo,
    "folder": folder,
    "of another living process": of_another_process,
    "of an ended process": of_an_ended_process,
}


@pytest.mark.fault("lease.json is lost, damaged or old", "another console; it can be taken over, nobody else is ended")
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
async def test_the_lock_counts_and_not_the_record(host: Host, damage: Callable[[Path], None]) -> None:
    async with host.open_connection() as (_, first), host.open_connection() as (_, second):
        await first.request("lease", console="1", user="ann")
        damage(host.workspace / "lease.json")
        assert await second.request("lease", console="2", user="bob") == {"held": False, "holder": "another console"}
        with pytest.raises(AgentRefused, match="another console has the lease"):
            await launch(second, "A_seed1", "print()")
        assert (await second.request("lease", console="2", user="bob", take_over=True))["held"]
        with pytest.raises((LinkDown, AgentRefused)):
            await launch(first, "A_seed1", "print()")
        await launch(second, "A_seed1", "print()")


def test_a_living_process_that_is_no_agent_is_not_taken_for_the_holder(tmp_path: Path) -> None:
    """It would be ended by whoever takes over, if the true holder ends at that moment."""
    of_another_process(tmp_path / "lease.json")
    assert holder_of(Workspace(tmp_path)) == Holder()


async def test_taking_over_from_a_console_whose_agent_is_stopped(host: Host) -> None:
    async with host.open_connection() as (_, first), host.open_connection() as (_, second):
        await first.request("lease", console="1", user="ann")
        agent = json.loads((host.workspace / "lease.json").read_text())["agent"]["pid"]
        os.kill(agent, signal.SIGSTOP)
        assert (await second.request("lease", console="2", user="bob", take_over=True))["held"]


async def test_a_lease_whose_lock_file_was_deleted_is_taken_again_by_one(host: Host) -> None:
    async with host.open_connection() as (_, first), host.open_connection() as (_, second):
        await first.request("lease", console="1", user="ann")
        (host.workspace / "lease.lock").unlink()
        assert (await second.request("lease", console="2", user="bob"))["held"]
        with pytest.raises(AgentRefused, match="bob has the lease"):
            await launch(first, "A_seed1", "print()")
        await launch(second, "A_seed1", "print()")


@pytest.mark.fault("the host's disk is full when a console connects", "it follows, aborts and takes over all the same")
async def test_on_a_full_disk_the_lease_is_held_and_taken_over_without_a_record(small_disk: Path) -> None:
    host = Host(small_disk / "host")
    async with host.open_connection() as (_, first):
        await first.request("lease", console="1", user="ann")
    (host.workspace / "lease.json").unlink()
    filler = fill(small_disk)
    made = fill_files(small_disk)
    async with host.open_connection() as (_, first), host.open_connection() as (_, second):
        assert (await first.request("lease", console="1", user="ann"))["held"]
        assert await second.request("lease", console="2", user="bob") == {"held": False, "holder": "another console"}
        assert (await second.request("lease", console="2", user="bob", take_over=True))["held"]
        async with host.open_connection() as (_, third):
            assert not (await third.request("lease", console="1", user="ann"))["held"]
        for path in (filler, *made):
            path.unlink()
        await launch(second, "A_seed1", "print()")


@pytest.mark.fault("the host's disk is full when a console connects", "it follows, aborts and takes over all the same")
async def test_without_room_for_the_lock_runs_are_aborted_and_one_console_has_the_lease_once_there_is_room(
    small_disk: Path,
) -> None:
    host = Host(small_disk / "host")
    async with host.open_connection() as (_, first), host.open_connection() as (_, second):
        key = await launch(first, "A_seed1", "import time; time.sleep(60)")
        await states_when(first, lambda states: bool(states["A_seed1"].get("job")))
        fill(small_disk)
        made = fill_files(small_disk)
        assert (await first.request("lease", console="1", user="ann"))["held"]
        assert (await second.request("lease", console="2", user="bob"))["held"]
        aborting = asyncio.create_task(second.request("abort", key=key, by="bob"))
        await states_when(first, lambda _: not job_processes(key, None, None))
        for path in (small_disk / "filler", *made):
            path.unlink()
        await aborting
        await states_when(first, in_state("A_seed1", "aborted"))
        await launch(first, "A_seed2", "print()")
        with pytest.raises(AgentRefused, match="ann has the lease"):
            await launch(second, "A_seed3", "print()")
