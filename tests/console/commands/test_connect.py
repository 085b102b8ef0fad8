"""A command waits for the host's first answer: not for ever, and once more where it has begun to answer."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from typing import cast

import pytest

from console import exit_codes
from console.commands import connect
from console.commands.context import Context
from console.hosts import host_link
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


def _context(timeout: float | None) -> Context:
    context = Context.__new__(Context)
    context.options = Namespace(timeout=timeout)
    return context


def test_a_command_ends_at_its_timeout_with_a_code_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    closed = []

    @connect.command
    async def endless(_: Context) -> int:
        try:
            await asyncio.Event().wait()
        finally:
            closed.append(True)
        return 0

    assert endless(_context(0.05)) == exit_codes.TIMED_OUT
    assert closed and capsys.readouterr().err.startswith("qllm-console: timed out after 0.05 s; ")


def test_a_timeout_of_something_within_the_command_is_not_taken_for_its_own() -> None:
    @connect.command
    async def failing(_: Context) -> int:
        raise TimeoutError("of a socket")

    for timeout in (None, 60.0):
        with pytest.raises(TimeoutError, match="of a socket"):
            failing(_context(timeout))


async def test_a_session_whose_end_waits_for_a_silent_host_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_link, "CANCEL_AGAIN_S", 0.01)

    class Silent(_SlowSession):
        async def run(self) -> None:
            self.ready.set()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.Event().wait()  # a channel that the host does not close

    async with connect.connected(cast(Session, Silent(0.0, runs_reported=True))):
        pass
