"""Runs a command against a session without a screen: connection, polls and changes; stderr reports what happens to the link."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any

from console import exit_codes
from console.commands.context import Context
from console.commands.output import report, report_error
from console.format import full_disk
from console.hosts.host_link import end_tasks
from console.hosts.ssh.errors import LinkDown, Misconfigured
from console.runs.snapshot import Snapshot
from console.runs.transitions import Transition, transitions
from console.session import Session
from engine.contract.settings import RunId

FIRST_ANSWER_S = 30.0
LINK_LOST_S = 12 * 3600.0  # a night without a network ends no command; runs continue without it anyway
POLLS_AFTER_LAUNCH = 5  # one may be under way and report the launch before, whose end is not the end of the new one


def command(function: Callable[[Context], Coroutine[Any, Any, int]]) -> Callable[[Context], int]:
    """Decorator: run ``function`` to its exit code.

    A host out of reach is one line on stderr and exit code 4, what is misconfigured one line and 2, the end of ``--timeout``
    one line and 124.
    """

    @wraps(function)
    def run(context: Context) -> int:
        try:
            return asyncio.run(_limited(function(context), context.options.timeout))
        except Misconfigured as error:
            report_error(error)
            return exit_codes.BAD_INPUT
        except LinkDown as error:
            report(f"qllm-console: {error}", "error")
            return exit_codes.UNREACHABLE

    return run


async def _limited(work: Coroutine[Any, Any, int], seconds: float | None) -> int:
    """Exit code of ``work``, which is cancelled after ``seconds``; None: no limit."""
    try:
        async with asyncio.timeout(seconds) as limit:
            return await work
    except TimeoutError:
        if not limit.expired():
            raise
    report(f"qllm-console: timed out after {seconds:g} s; what was launched or queued on the host continues", "error")
    return exit_codes.TIMED_OUT


@asynccontextmanager
async def connected(session: Session) -> AsyncIterator[None]:
    """Keep ``session`` connected within the block, which is entered after the host's first answer.

    Raises:
        LinkDown: the host did not answer in time, or the connection needs the operator's input or is lost for 12 hours,
            at first or later; the block is cancelled then, because waiting longer would change nothing.
        Misconfigured: no connection can succeed before something is corrected.
    """
    session.subscribe(_LinkReporter(session).update)
    following = asyncio.create_task(session.run())
    ready, stopped = (asyncio.create_task(event.wait()) for event in (session.ready, session.stopped))
    try:
        await _wait_for_first({following, ready, stopped}, session)
        if following.done() or session.stopped.is_set():
            await _fail_when_over(following, stopped, session)
        if not session.ready.is_set():
            raise LinkDown(f"the host did not answer: {session.snapshot.host.detail}")
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_fail_when_over(following, stopped, session))
            yield
            watching.cancel()
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        await end_tasks(following, ready, stopped)
        await session.close()


async def next_poll(session: Session) -> None:
    """Wait until the host has reported its runs once more, over a new link if this one is lost."""
    session.ready.clear()
    await session.ready.wait()


async def follow_launches(session: Session, keys: Mapping[RunId, str]) -> None:
    """Wait until the host reports these launches of the runs, for some polls at most: they may be replaced by then."""
    for _ in range(POLLS_AFTER_LAUNCH):
        if all(launch_key(session, run) == key for run, key in keys.items()):
            return
        await next_poll(session)


def launch_key(session: Session, run: RunId) -> str | None:
    """Key of the run's launch that the host reported last."""
    state = session.snapshot.runs[run].state
    return state.key if state else None


class Changes:
    """Collects the transitions of ``session`` between any two of its snapshots, from now on."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._before = session.snapshot
        self._found: list[Transition] = []
        self._changed = asyncio.Event()
        session.subscribe(self._update)

    async def next(self) -> tuple[Snapshot, tuple[Transition, ...]]:
        """Wait for the next change of the snapshot; the newest one, and the transitions since the last call."""
        await self._changed.wait()
        self._changed.clear()
        found, self._found = tuple(self._found), []
        return self._session.snapshot, found

    def _update(self, snapshot: Snapshot) -> None:
        self._found += transitions(self._before, snapshot)
        self._before = snapshot
        self._changed.set()


async def _fail_when_over(following: asyncio.Task[None], stopped: asyncio.Task[Any], session: Session) -> None:
    """Raise once ``session`` has ended, needs the operator's input, or has not heard of the host for too long."""
    started = time.monotonic()
    while not following.done() and not stopped.done():
        host = session.snapshot.host
        left = max(started, host.last_reply_at) + LINK_LOST_S - time.monotonic()
        if left <= 0:
            raise LinkDown(f"no reply of the host for {LINK_LOST_S / 3600:.0f} h: {host.detail}")
        await asyncio.wait({following, stopped}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
    if following.done():
        following.result()
    raise session.misconfigured or LinkDown(session.snapshot.host.detail)


async def _wait_for_first(tasks: set[asyncio.Task[Any]], session: Session) -> None:
    """Wait for the first of ``tasks``, at most 30 s; the clock starts again when the operator is asked something.

    A host that has reported its runs gets the time once more: over a slow link their events take some seconds longer.
    """
    start, extended = time.monotonic(), False
    while True:
        left = max(start, session.last_question_at) + FIRST_ANSWER_S - time.monotonic()
        if left <= 0 and session.snapshot.host.runs_reported and not extended:
            start, extended = time.monotonic(), True
        elif left <= 0:
            return
        else:
            done, _ = await asyncio.wait(tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if done:
                return


class _LinkReporter:
    """Reports once when the link is lost, once when it is up again, and once that another console writes the runs folder.

    As well, each time the host's disk becomes full.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._link = "up"
        self._writer = ""
        self._disk_full = False

    def update(self, snapshot: Snapshot) -> None:
        link = snapshot.host.link
        if self._session.misconfigured:  # it ends the command, with that line alone
            return
        if link != self._link and link in ("up", "lost"):
            self._link = link
            report(f"link: {link}" + (f" ({snapshot.host.detail})" if snapshot.host.detail else ""), "link")
        if snapshot.local_writer and snapshot.local_writer != self._writer:
            report(f"the local runs folder is read-only here: {snapshot.local_writer} writes it")
        self._writer = snapshot.local_writer
        if snapshot.host.disk_full and not self._disk_full:
            report(full_disk(snapshot.host.disk_free))
        self._disk_full = snapshot.host.disk_full
