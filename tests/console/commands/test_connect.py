"""A command waits for the host's first answer: not for ever, and once more where it has begun to answer."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from console.commands import connect
from console.hosts.ssh.errors import LinkDown
from console.runs.snapshot import HostView, Snapshot
from console.session import Session


class _SlowSession:
    """A session that is ready after some seconds."""

    def __init__(self, ready_after: float, runs_reported: bool) -> None:
        self.ready, self.stopped = asyncio.Event(), asyncio.Event()
        self.last_question_at = 0.0
        host = HostView("box", "box", "ssh", "", detail="connecting", runs_reported=runs_reported)
        self.snapshot = Snapshot(host, "scaling", "full", {}, {})
        self._ready_after = ready_after

    def subscribe(self, _: object) -> None: ...

    async def run(self) -> None:
        await asyncio.sleep(self._ready_after)
        self.ready.set()
        await asyncio.Event().wait()

    async def close(self) -> None: ...


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "FIRST_ANSWER_S", 0.1)


@pytest.mark.parametrize("runs_reported", [False, True])
async def test_a_host_that_does_not_answer_is_given_up(runs_reported: bool) -> None:
    with pytest.raises(LinkDown, match="the host did not answer: connecting"):
        async with connect.connected(cast(Session, _SlowSession(3600.0, runs_reported))):
            pass


async def test_a_host_that_has_reported_its_runs_is_waited_for_once_more() -> None:
    async with connect.connected(cast(Session, _SlowSession(0.15, runs_reported=True))):
        pass


async def test_a_link_that_stays_lost_ends_the_command_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "LINK_LOST_S", 0.1)
    with pytest.raises(LinkDown, match="no reply of the host for 0 h: connecting"):
        async with connect.connected(cast(Session, _SlowSession(0.0, runs_reported=True))):
            await asyncio.Event().wait()
