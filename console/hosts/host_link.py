"""Keeps the link to one host up: connects again and again, polls the runs, pulls the sealed ones, reads the host's facts."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import asyncssh
import msgspec
from msgspec.structs import asdict, replace

from console.hosts.host_config import HostConfig
from console.hosts.pull.follower import REPLY_LIMIT, RunFollower
from console.hosts.pull.local_copy import RunsFolder, run_to_end
from console.hosts.pull.run_sync import RunSync
from console.hosts.remote.agent_client import AgentClient, AgentRefused, open_agent
from console.hosts.remote.launch_request import operator_name
from console.hosts.ssh.access import Access
from console.hosts.ssh.channels import HostConnection
from console.hosts.ssh.connection import open_connection
from console.hosts.ssh.errors import LinkDown
from console.hosts.ssh.retry import Retry
from console.hosts.ssh.route import Route
from console.runs.host_facts import HostFacts, HostHistory
from console.runs.snapshot import HostView
from console.runs.staleness import POLL_WAIT_S
from console.sanitize import sanitize_line
from engine.contract.bad_input import BadInput
from engine.contract.settings import RunId
from engine.contract.validation_words import error_in_words

FACTS_EVERY_S = 5.0
GPU_PROCESSES_EVERY = 6  # facts: they cost the host a second nvidia-smi
READY_AFTER_S = 10.0  # over a slow link a short command does not wait for all events of a long history
FEW_BYTES = REPLY_LIMIT // 8
GATHER_S = 0.2  # after a few new bytes: what several runs write within this time comes in one reply, not in one each
CANCEL_AGAIN_S = 10.0
READ_ONLY = "the console is read-only: it launches, aborts, repairs, adds and decides nothing"
HASH_RATE = 50e6  # bytes a second that any host hashes: it compares local copies before it replies
T = TypeVar("T", bound=msgspec.Struct)


class HostLink:
    """The link to one host, and everything that came over it.

    Args:
        name, host: the host's name in ``hosts.toml`` and its entry.
        folder: the experiment's folder, in the host's ``runs`` and in ``runs_dir``.
        runs_dir: local folder of all experiments; the embedded host has its workspace in ``runs_dir/.local-host``.
        runs: the runs to follow.
        wants_lease: ask for the right to launch and abort; ``take_over`` takes it from another console.
        on_change: called on the event loop after each change.
        access: with whose files the host is reached, and who asks the operator.
        syncs_runs: write the local runs folder and pull sealed runs, unless another console does; else runs are only read.
        keeps_logs: read logs, too, where runs are only read.

    Attributes:
        view: the host as it is known now.
        history: of the host, over all connections.
        local: the local runs folder.
        ready: set after each poll, once everything local is loaded and the host's events up to then have arrived.
    """

    def __init__(
        self,
        name: str,
        host: HostConfig,
        folder: str,
        runs_dir: Path,
        runs: tuple[RunId, ...],
        *,
        wants_lease: bool,
        take_over: bool,
        on_change: Callable[[], None],
        access: Access | None = None,
        syncs_runs: bool = True,
        keeps_logs: bool = False,
    ) -> None:
        self.host = host
        self.view = HostView(
            name,
            host.title,
            host.launcher,
            "",
            slots=host.slots,
            price_per_hour=host.price_per_hour,
            currency=host.currency,
        )
        self.history = HostHistory()
        self.local = RunsFolder(runs_dir / folder, may_write=syncs_runs)
        self.follower = RunFollower(self.local, runs, keep_logs=syncs_runs or keeps_logs)
        self.run_sync = RunSync(self.local, PurePosixPath("runs") / folder, runs, self.follower, on_change)
        self.ready = asyncio.Event()
        self.access = access or Access()
        self.retry = Retry(self.access.timeouts)
        self._folder = folder
        self._workspace = runs_dir / ".local-host"
        self._wants_lease = wants_lease
        self._take_over = take_over
        self._syncs_runs = syncs_runs
        self._console = uuid.uuid4().hex
        self._on_change = on_change
        self._open: tuple[HostConnection, AgentClient] | None = None
        self._loading: asyncio.Task[None] | None = None
        self._first_reply_at: float | None = None

    def connected(self) -> tuple[HostConnection, AgentClient]:
        """The connection and its agent.

        Raises:
            LinkDown: there is none now.
        """
        if self._open is None:
            raise LinkDown("there is no link to the host")
        return self._open

    def connected_to_change(self) -> tuple[HostConnection, AgentClient]:
        """The connection and its agent, for what changes something on the host.

        Raises:
            LinkDown: there is none now.
            BadInput: this console may not: it is read-only, or another one has the lease.
        """
        if not self._wants_lease:
            raise BadInput(READ_ONLY)
        if holder := self.view.lease:
            raise BadInput(f"{holder} has the lease of this host: take it over to launch, abort or repair")
        return self.connected()

    async def run(self) -> None:
        """Load what is local, connect and follow until cancelled; a lost link is tried again without limit."""
        try:
            await run_to_end(asyncio.to_thread(self.local.try_lock))
            await self.run_sync.load()
            self._loading = asyncio.create_task(self.follower.load(self._on_change))
            while True:
                self.note(link="lost" if self.view.last_reply_at else "connecting", detail="connecting")
                try:
                    await self._connect_and_follow()
                except (LinkDown, OSError, asyncssh.Error) as error:
                    pause = self.retry.next_pause(error, connected_before=bool(self.view.last_reply_at))
                    what_now = "" if pause is None else f"; trying again in {pause:.0f} s"
                    self.note(link="lost", detail=sanitize_line(str(error)) + what_now)
                    await self.retry.wait(pause, error)
        finally:
            if self._loading is not None:
                await end_tasks(self._loading)
            await run_to_end(asyncio.to_thread(self.local.close))

    async def _connect_and_follow(self) -> None:
        async with (
            open_connection(self.host, self._workspace, self.access, self._about_to_connect) as connection,
            open_agent(connection) as link,
        ):
            self._open = connection, link
            try:
                address, fingerprint = connection.address, connection.fingerprint
                self.note(
                    link="up", detail="", address=address, fingerprint=fingerprint, last_reply_at=time.monotonic()
                )
                await self._request_lease(link)
                await self._follow(connection, link)
            finally:
                self._open = None

    def _about_to_connect(self, route: Route) -> None:
        self.note(address=route.login, detail=f"connecting: {route.text}")

    async def take_over(self) -> None:
        """Take the host's lease from the console that holds it; that one becomes read-only.

        Raises:
            LinkDown: there is no link, or it broke.
        """
        _, link = self.connected()
        self._take_over = True
        await self._request_lease(link)

    async def follow(self, runs: tuple[RunId, ...]) -> None:
        """Follow ``runs`` from now on, in this order: all that are followed already, and new ones."""
        new = [run for run in runs if run not in self.follower.views]
        self.follower.follow(runs)
        self.run_sync.follow(runs)  # both before anything waits: a snapshot has the same runs of both
        await self.run_sync.load(new)
        await self.follower.load(self._on_change)
        self._on_change()

    def note(self, **changes: object) -> None:
        """Change fields of the host's view."""
        self.view = replace(self.view, **changes)
        self._on_change()

    async def _request_lease(self, link: AgentClient) -> None:
        """Request the lease once a connection: a console that lost it to another does not take it back by itself."""
        if not self._wants_lease:
            return
        user = operator_name()
        try:
            reply = await link.request("lease", console=self._console, user=user, take_over=self._take_over)
        except AgentRefused as refusal:  # the agent looks again before each command, so nothing is forbidden here
            self.note(lease="", detail=f"who has the lease is not known: {refusal}")
            return
        self._take_over = False
        holder = sanitize_line(str(reply.get("holder") or "another console"))
        self.note(lease="" if reply.get("held") is True else holder)

    async def _follow(self, connection: HostConnection, link: AgentClient) -> None:
        """Poll, refresh the facts and pull side by side; the first that fails ends all, and says why the link is down.

        Polls and requests share the agent's channel, a pull has one more: of six on a connection four are left.
        """
        work = [self._poll(link), self._refresh_facts(link)]
        if self._syncs_runs:
            work.append(self.run_sync.pull_sealed(connection))
        # no TaskGroup: it leaves this task's count of cancellations at one after a failure, and on Python 3.11.2 every later
        # timeout of the task is then a cancellation, which would end the link for good
        tasks = [asyncio.create_task(part) for part in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await end_tasks(*tasks)

    async def _poll(self, link: AgentClient) -> None:
        self.follower.compare_again()
        while True:
            became_writer = not self.local.writable and await run_to_end(asyncio.to_thread(self.local.try_lock))
            if self.local.writable and self.local.has_private_copies:  # also after the link was lost on the way
                await self.follower.reopen_copies()
                became_writer = True
            if became_writer:
                self._on_change()
            request = self.follower.request(POLL_WAIT_S)
            silence = POLL_WAIT_S + self.access.timeouts.silence + self.follower.unconfirmed_bytes / HASH_RATE
            try:
                reply = await link.request("poll", silence, folder=self._folder, **request)
            except AgentRefused as refusal:
                raise LinkDown(str(refusal)) from refusal
            now = time.monotonic()
            self.view = replace(self.view, last_reply_at=now)
            changed = await self.follower.absorb(reply) or not self.view.runs_reported
            shown = self.view.disk_full, self.view.unnamed_runs
            changed |= shown != (self.follower.disk_full, self.follower.unnamed)
            self.view = replace(
                self.view,
                runs_reported=True,
                disk_free=self.follower.disk_free,
                disk_full=self.follower.disk_full,
                unnamed_runs=self.follower.unnamed,
            )
            changed |= await self.run_sync.update()
            if self._loading is not None and self._loading.done():
                self._loading.result()  # raises what kept the local files from being loaded
            self.retry.succeeded()
            self._first_reply_at = self._first_reply_at or now
            if self.follower.caught_up or now - self._first_reply_at > READY_AFTER_S:
                self._first_reply_at = float("-inf")  # from now on every poll counts
                changed |= not self.view.history_known
                self.view = replace(self.view, history_known=True)
                self.ready.set()
            if changed:
                self._on_change()
            if 0 < self.follower.bytes_received < FEW_BYTES:  # many are waited for, as they come in parts
                await asyncio.sleep(GATHER_S)

    async def _refresh_facts(self, link: AgentClient) -> None:
        for number in itertools.count():
            try:
                reply = await link.request("facts", gpu_processes=number % GPU_PROCESSES_EVERY == 0)
                facts = _sanitized_facts(msgspec.convert(reply, HostFacts))
                self.history = self.history.with_facts(facts, time.monotonic())
                self.note(facts=facts, detail="")
            except (AgentRefused, msgspec.ValidationError) as error:
                self.note(detail=f"the host's facts cannot be read: {sanitize_line(error_in_words(error))}")
            await asyncio.sleep(FACTS_EVERY_S)


def _sanitized_facts(facts: HostFacts) -> HostFacts:
    processes = facts.gpu_processes
    return replace(
        _sanitized(facts),
        gpus=tuple(map(_sanitized, facts.gpus)),
        gpu_processes=None if processes is None else tuple(map(_sanitized, processes)),
    )


def _sanitized(record: T) -> T:
    """``record`` with every text safe to show."""
    texts = {name: sanitize_line(text) for name, text in asdict(record).items() if isinstance(text, str)}
    return replace(record, **texts)


async def end_tasks(*tasks: asyncio.Task[Any]) -> None:
    """Cancel ``tasks`` and wait until they have ended; cancelled again every 10 s, and when the caller is.

    A cancellation can be lost: a task that was closing a connection, say, may then wait for a silent host.
    """
    cancelled: asyncio.CancelledError | None = None
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        try:
            await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
        except asyncio.CancelledError as error:
            cancelled = error
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at, or asyncio reports it as never retrieved
    if cancelled is not None:
        raise cancelled
