"""The link to a host: what a lost connection leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec.structs import asdict, replace

from console.hosts import host_link
from console.hosts.host_config import HostConfig
from console.hosts.host_link import HostLink
from console.hosts.remote.agent_client import AgentRefused
from console.hosts.ssh.errors import LinkDown
from console.runs.host_facts import GpuProcess
from engine.contract.settings import RunId
from tests.console.hosts.conftest import Host
from tests.console.hosts.kept_link import RUN, kept_link
from tests.console.ui.fake_session import FACTS

HOST = HostConfig(title="a host", launcher="ssh", address="127.0.0.1")


def link_to(host: HostConfig, runs_dir: Path, *, wants_lease: bool = False) -> HostLink:
    """A link that is not opened, and writes nothing."""
    return HostLink(
        "host",
        host,
        "folder",
        runs_dir,
        (RunId("A", 42),),
        wants_lease=wants_lease,
        take_over=False,
        on_change=lambda: None,
        syncs_runs=False,
    )


async def test_a_lost_link_leaves_no_cancellation_that_later_timeouts_would_take_for_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: Any) -> None:
        await asyncio.sleep(0)
        raise LinkDown("cut")

    async def waits(*_: Any) -> None:
        await asyncio.Event().wait()

    link = link_to(HOST, tmp_path)
    monkeypatch.setattr(link, "_poll", lost)
    monkeypatch.setattr(link, "_refresh_facts", waits)
    with pytest.raises(LinkDown, match="cut"):
        await link._follow(None, None)  # type: ignore[arg-type]
    task = asyncio.current_task()
    assert task is not None and task.cancelling() == 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.Event().wait()


async def test_a_part_that_loses_its_cancellation_does_not_keep_the_link_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def loses_it(*_: Any) -> None:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def waits(*_: Any) -> None:
        await asyncio.Event().wait()

    link = link_to(HOST, tmp_path)
    monkeypatch.setattr(link, "_poll", loses_it)
    monkeypatch.setattr(link, "_refresh_facts", waits)
    following = asyncio.create_task(link._follow(None, None))  # type: ignore[arg-type]
    await begun.wait()
    for _ in range(2):
        following.cancel()
        await asyncio.wait({following}, timeout=0.5)
    assert following.cancelled()


@pytest.mark.fault(
    "100 finished runs on the host that the experiment does not name, with states of 700 kB",
    "the console connects, and counts them",
)
async def test_a_console_connects_to_a_host_with_a_long_history(host: Host, tmp_path: Path) -> None:
    for number in range(100):  # 70 MB together: more than a reply may have
        folder = host.run_folder / f"B_seed{number}"
        folder.mkdir(parents=True)
        record = {"state": "finished", "key": f"{number:032x}", "ended_at": 1.0, "reason": "r" * 700_000}
        (folder / "state.json").write_text(json.dumps(record))
    config = HostConfig("here", "embedded", workspace=str(host.workspace))
    async with kept_link(config, tmp_path / "local", None) as (link, _, _):
        assert (link.view.link, link.follower.unnamed, link.follower.host_states) == ("up", 100, {})


async def test_a_console_connects_though_its_own_runs_have_states_without_measure(host: Host, tmp_path: Path) -> None:
    (host.run_folder / str(RUN)).mkdir(parents=True)
    record = {"state": "finished", "key": "0" * 32, "ended_at": 1.0, "reason": "r" * (70 << 20)}
    (host.run_folder / str(RUN) / "state.json").write_text(json.dumps(record))
    config = HostConfig("here", "embedded", workspace=str(host.workspace))
    async with kept_link(config, tmp_path / "local", None) as (link, _, _):
        state = link.follower.views[RUN].state
        assert state is not None and (state.state, state.reason) == ("lost", "state.json has more than 65,536 bytes")


async def test_a_lease_that_the_host_cannot_tell_forbids_nothing_here(tmp_path: Path) -> None:
    class Agent:
        async def request(self, *_: Any, **__: Any) -> dict[str, Any]:
            raise AgentRefused("OSError: [Errno 5] Input/output error")

    link = link_to(HOST, tmp_path, wants_lease=True)
    await link._request_lease(Agent())  # type: ignore[arg-type]
    assert link.view.lease == "" and "Input/output error" in link.view.detail


async def test_facts_are_kept_as_a_history_and_who_uses_the_gpu_is_asked_for_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Agent:
        """Answers with the facts of a GPU; the connection is cut after the last one."""

        requests: ClassVar[list[bool]] = []

        async def request(self, verb: str, *, gpu_processes: bool) -> dict[str, Any]:
            if len(self.requests) == 13:
                raise LinkDown("cut")
            self.requests.append(gpu_processes)
            used = {"pid": 7, "name": "\x1b[31mpython", "memory": 512, "user": "\u202eann", "session": 7}
            facts = {**asdict(FACTS), "gpus": [asdict(gpu) for gpu in FACTS.gpus], "time": 1000.0 + len(self.requests)}
            return facts | {"gpu_processes": [used] if gpu_processes else None}

    link = link_to(replace(HOST, price_per_hour=1.5, currency="EUR"), tmp_path)
    monkeypatch.setattr(host_link, "FACTS_EVERY_S", 0)
    agent = Agent()
    with pytest.raises(LinkDown):
        await link._refresh_facts(agent)  # type: ignore[arg-type]
    assert [at for at, asked in enumerate(agent.requests) if asked] == [0, 6, 12]
    assert [sample.time for sample in link.history.samples] == [1001.0 + at for at in range(13)]
    assert link.history.gpu_processes == (GpuProcess(7, "python", 512, "ann", 7),)
    assert link.view.facts and link.view.facts.gpus == FACTS.gpus
    assert (link.view.price_per_hour, link.view.currency) == (1.5, "EUR")


@pytest.mark.parametrize(("received", "pauses"), [(0, 0), (1, 1), (host_link.FEW_BYTES, 0)])
async def test_a_few_new_bytes_are_followed_by_a_pause_in_which_others_gather(
    received: int, pauses: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Agent:
        """Answers one poll; then the connection is cut."""

        polls = 0

        async def request(self, *_: Any, **__: Any) -> dict[str, Any]:
            self.polls += 1
            if self.polls == 2:
                raise LinkDown("cut")
            return {}

    slept = []

    async def absorb(_: dict[str, Any]) -> bool:
        link.follower.bytes_received = received
        return False

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    link = link_to(HOST, tmp_path)
    monkeypatch.setattr(link.follower, "absorb", absorb)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(LinkDown):
        await link._poll(Agent())  # type: ignore[arg-type]
    assert slept == [host_link.GATHER_S] * pauses
