"""Keeps up the link to one host: connects, follows its runs, brings them home, and tells how old all that is."""

from __future__ import annotations

import asyncio
import getpass
import socket
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import asyncssh
import msgspec
from msgspec.structs import replace

from console.hosts.host_config import HostConfig
from console.hosts.pull.follower import RunFollower
from console.hosts.pull.run_sync import RunSync
from console.hosts.remote.agent_client import AgentClient, AgentRefused, open_agent
from console.hosts.ssh.access import Access
from console.hosts.ssh.channels import HostConnection
from console.hosts.ssh.connection import open_connection
from console.hosts.ssh.errors import LinkDown
from console.hosts.ssh.retry import Retry
from console.hosts.ssh.route import RouteSummary
from console.runs.snapshot import HostFacts, HostView
from console.sanitize import sanitize_line
from engine.contract.settings import RunId

POLL_WAIT_S = 2.0
FACTS_EVERY_S = 5.0


class HostLink:
    """The link to ``host`` and what came over it.

    Args:
        name, host: the host's name in ``hosts.toml`` and its entry.
        folder: the experiment's folder on the host and at home.
        runs_dir: folder in which runs come home; the embedded host keeps its workspace in ``runs_dir/.local-host``.
        runs: the runs to follow.
        wants_lease: ask for the right to launch and abort; ``take_over`` takes it from another console.
        tell: called on the event loop after each change.
        access: with whose files the host is reached, and who asks the operator.
        brings_home: what runs leave on the host is brought home; else it is only looked at what is there.
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
        tell: Callable[[], None],
        access: Access | None = None,
        syncs_runs: bool = True,
    ) -> None:
        self.host = host
        self.view = HostView(name, host.title, host.launcher, "", slots=host.slots)
        self.follower = RunFollower(runs)
        self.run_sync = RunSync(runs_dir, folder, runs, tell)
        self.ready = asyncio.Event()
        self.access = access or Access()
        self.retry = Retry(self.access.timeouts)
        self._folder = folder
        self._workspace = runs_dir / ".local-host"
        self._wants_lease = wants_lease
        self._take_over = take_over
        self._syncs_runs = syncs_runs
        self._console = uuid.uuid4().hex
        self._tell = tell
        self._open: tuple[HostConnection, AgentClient] | None = None

    def connected(self) -> tuple[HostConnection, AgentClient]:
        """The connection and its agent.

        Raises:
            LinkDown: there is none now.
        """
        if self._open is None:
            raise LinkDown("there is no link to the host")
        return self._open

    async def run(self) -> None:
        """Connect and follow until cancelled; a lost link is tried again without limit, as ``Retry`` says."""
        await self.run_sync.look()
        while True:
            self.note(link="lost" if self.view.heard else "connecting", detail="connecting")
            try:
                await self._connect_and_follow()
            except (LinkDown, OSError, asyncssh.Error) as error:
                pause = self.retry.next_pause(error, connected_before=bool(self.view.heard))
                what_now = "" if pause is None else f"; trying again in {pause:.0f} s"
                self.note(link="lost", detail=sanitize_line(str(error)) + what_now)
                await self.retry.wait(pause, error)

    async def _connect_and_follow(self) -> None:
        async with (
            open_connection(self.host, self._workspace, self.access, self._about_to_connect) as connection,
            open_agent(connection) as link,
        ):
            self._open = connection, link
            try:
                up = {"address": connection.address, "fingerprint": connection.fingerprint, "heard": time.monotonic()}
                self.note(link="up", detail="", **up)
                await self._ask_for_lease(link)
                await self._follow(connection, link)
            finally:
                self._open = None

    def _about_to_connect(self, route: RouteSummary) -> None:
        self.note(address=route.login, detail=f"connecting: {route.text}")

    async def take_over(self) -> None:
        """Take the host's lease from the console that holds it; that one looks on from then on.

        Raises:
            LinkDown: there is no link, or it broke.
        """
        _, link = self.connected()
        self._take_over = True
        await self._ask_for_lease(link)

    def note(self, **changes: object) -> None:
        """Change the view of the host, and tell."""
        self.view = replace(self.view, **changes)
        self._tell()

    async def _ask_for_lease(self, link: AgentClient) -> None:
        """Ask once a link; a console that lost its lease to another does not take it back by itself."""
        if not self._wants_lease:
            return
        who = f"{getpass.getuser()}@{socket.gethostname()}"
        reply = await link.request("lease", console=self._console, who=who, take_over=self._take_over)
        self._take_over = False
        self.note(
            lease="" if reply.get("mine") is True else sanitize_line(str(reply.get("holder"))) or "another console"
        )

    async def _follow(self, connection: HostConnection, link: AgentClient) -> None:
        """Poll, refresh, pull and mirror side by side; the first that fails ends all, and says why the link is down.

        Each has a channel at most, so that of the six on a connection at least three are left to what is asked of it.
        """
        work = [self._poll(link), self._refresh_facts(link)]
        if self._syncs_runs:
            work += [self.run_sync.bring(connection), self.run_sync.mirror(connection)]
        tasks = [asyncio.create_task(part) for part in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _poll(self, link: AgentClient) -> None:
        while True:
            request = self.follower.request()
            try:
                silence = POLL_WAIT_S + self.access.timeouts.silence
                reply = await link.request("poll", silence, folder=self._folder, wait=POLL_WAIT_S, **request)
            except AgentRefused as refusal:
                raise LinkDown(str(refusal)) from refusal
            self.view = replace(self.view, heard=time.monotonic())
            changed = self.follower.absorb(reply)
            self.run_sync.heard(self.follower.views, self.follower.sealed)
            self.retry.succeeded()
            self.ready.set()
            if changed:
                self._tell()

    async def _refresh_facts(self, link: AgentClient) -> None:
        while True:
            try:
                facts = msgspec.convert(await link.request("facts"), HostFacts)
                self.note(facts=_sanitized(facts))
            except (AgentRefused, msgspec.ValidationError) as error:
                self.note(detail=f"its facts cannot be read: {sanitize_line(str(error))}")
            await asyncio.sleep(FACTS_EVERY_S)


def _sanitized(facts: HostFacts) -> HostFacts:
    """Every text the host said of itself, safe to show."""
    gpus = tuple(replace(gpu, name=sanitize_line(gpu.name), driver=sanitize_line(gpu.driver)) for gpu in facts.gpus)
    texts = {
        name: sanitize_line(getattr(facts, name)) for name in ("hostname", "system", "python", "workspace", "gpu_note")
    }
    return replace(facts, gpus=gpus, **texts)
