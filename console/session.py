"""One host and one experiment, followed for as long as it is open: the core that the UI and the headless twin share."""

from __future__ import annotations

import asyncio
import getpass
import random
import shlex
import socket
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

import asyncssh
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from console.hosts.agent_link import AgentLink, AgentRefused, open_agent
from console.hosts.connection import LinkDown, Reached, reach
from console.hosts.follower import Follower
from console.hosts.homecoming import Homecoming
from console.hosts.host_config import HostConfig
from console.hosts.launching import check_command, launch_request
from console.log_buffer import LogBuffer
from console.plan import AbortPlan, LaunchPlan, plan_abort, plan_launch
from console.results.summary import FailedItem, Results
from console.sanitize import sanitize_line
from console.snapshot import HostFacts, HostView, Snapshot
from engine.contract.bad_input import BadInput
from engine.contract.experiment import Experiment, RunId, folder_name, profile_of, resolve, run_ids

POLL_WAIT_S = 2.0
FACTS_EVERY_S = 5.0
BACKOFF_S = (1.0, 30.0)
CHECK_TIMEOUT_S = 60.0
READ_ONLY = "the console is read-only: it launches and aborts nothing"

__all__ = ["LinkDown", "Outcome", "Session"]


class Outcome(Struct, frozen=True):
    """What came of a launch or an abort of one run."""

    run: RunId
    done: bool
    note: str


class Session:
    """Connects to a host, follows its runs, brings them home; launches and aborts on request.

    Args:
        host, host_name: where, and its name in ``hosts.toml``.
        experiment, experiment_file, profile: what; the file's text goes to the host with each launch.
        home: folder in which runs come home, as ``home/<experiment>/<condition>_seed<seed>``; the embedded host
            keeps its workspace in ``home/.local-host``.
        read_only: launches and aborts are refused, and the host's lease is left to others.
        take_over: take the lease from another console that holds it.
        strict: a failed ship blocker fails a run; None is what the profile says.
    """

    def __init__(
        self,
        host: HostConfig,
        experiment: Experiment,
        experiment_file: Path,
        profile: str,
        home: Path,
        *,
        read_only: bool = False,
        take_over: bool = False,
        strict: bool | None = None,
        host_name: str = "local",
    ) -> None:
        self._host = host
        self._experiment = experiment
        self._experiment_text = experiment_file.read_text(encoding="utf-8")
        self._profile = profile
        self._strict = profile_of(experiment, profile).strict if strict is None else strict
        self._folder = folder_name(experiment, profile)
        self._home = home / self._folder
        self._workspace = home / ".local-host"
        self._read_only = read_only
        self._take_over = take_over
        self._console = uuid.uuid4().hex
        self._runs = run_ids(experiment, profile)
        self._settings = {run: resolve(experiment, profile, run) for run in self._runs}
        self._follower = Follower(self._runs)
        self._view = HostView(host_name, host.title, host.launcher, "", slots=host.slots)
        self._homecoming = Homecoming(self._home, self._runs, self._tell)
        self._keys: dict[RunId, str] = {}
        self._reached: Reached | None = None
        self._link: AgentLink | None = None
        self._listeners: list[Callable[[Snapshot], None]] = []
        self._version = 0
        self.ready = asyncio.Event()

    @property
    def snapshot(self) -> Snapshot:
        """What is known now."""
        views, homes = dict(self._follower.views), dict(self._homecoming.homes)
        return Snapshot(self._view, self._folder, self._profile, views, homes, self._version)

    def subscribe(self, callback: Callable[[Snapshot], None]) -> None:
        """Call ``callback`` on the event loop after each change."""
        self._listeners.append(callback)

    def log(self, run: RunId) -> LogBuffer:
        """The end of a run's log."""
        return self._follower.logs[run]

    def plan_launch(self, wanted: Iterable[RunId], *, again: bool = False) -> LaunchPlan:
        """What launching ``wanted`` would do."""
        views = self._follower.views
        same = {run for run, view in views.items() if view.state and view.state.settings == self._asked(run)}
        return plan_launch(views, wanted, same_settings=frozenset(same), again=again)

    def plan_abort(self, wanted: Iterable[RunId]) -> AbortPlan:
        """What aborting ``wanted`` would do."""
        return plan_abort(self._follower.views, wanted)

    async def launch(self, plan: LaunchPlan) -> tuple[Outcome, ...]:
        """Queue the plan's runs on the host, in order.

        A run whose launch was cut off keeps its key, so that asking again never starts it twice.

        Raises:
            LinkDown: there is no link, or it broke; ask again when it is back.
            BadInput: the host lacks what a run needs; nothing was launched.
        """
        if not plan.launch:
            return ()
        reached, link = self._writable()
        await _check(reached)
        outcomes = []
        for run in plan.launch:
            key = self._keys.setdefault(run, uuid.uuid4().hex)
            settings = self._settings[run]
            request = launch_request(
                self._host, reached.python, settings, self._folder, self._experiment_text, key, self._strict
            )
            try:
                reply = await link.request("launch", **request)
            except AgentRefused as refusal:
                outcomes.append(Outcome(run, False, str(refusal)))
                continue
            del self._keys[run]
            new = reply.get("key") == key
            outcomes.append(Outcome(run, new, "queued" if new else "already active under another launch"))
        return tuple(outcomes)

    async def abort(self, plan: AbortPlan) -> tuple[Outcome, ...]:
        """End the plan's runs, queued ones first, so that none of them starts in place of one that ends.

        Raises:
            LinkDown: there is no link, or it broke.
        """
        if not plan.abort:
            return ()
        _, link = self._writable()
        queued = [run for run in plan.abort if run not in plan.running]
        return (*await self._abort_all(link, queued), *await self._abort_all(link, plan.running))

    async def _abort_all(self, link: AgentLink, runs: Iterable[RunId]) -> list[Outcome]:
        return list(await asyncio.gather(*(self._abort_one(link, run) for run in runs)))

    async def _abort_one(self, link: AgentLink, run: RunId) -> Outcome:
        state = self._follower.views[run].state
        if state is None:
            return Outcome(run, False, "the host does not know this run")
        try:
            reply = await link.request("abort", key=state.key, by=getpass.getuser())
        except AgentRefused as refusal:
            return Outcome(run, False, str(refusal))
        return Outcome(run, reply.get("state") == "aborted", sanitize_line(str(reply.get("state"))))

    async def run(self) -> None:
        """Connect and follow until cancelled; a lost link is tried again with growing, jittered pauses, for ever."""
        await self._homecoming.look()
        failures = 0
        while True:
            self._host_is(link="connecting" if not self._view.heard else "lost", detail="connecting")
            try:
                async with reach(self._host, self._workspace) as reached, open_agent(reached) as link:
                    self._reached, self._link = reached, link
                    failures = 0
                    self._host_is(
                        link="up",
                        detail="",
                        address=reached.address,
                        fingerprint=reached.fingerprint,
                        heard=time.monotonic(),
                    )
                    await self._ask_for_lease(link)
                    await self._follow(reached, link)
            except (LinkDown, OSError, asyncssh.Error) as error:
                pause = min(BACKOFF_S[1], BACKOFF_S[0] * 2**failures) * random.uniform(0.5, 1.0)
                failures += 1
                self._host_is(link="lost", detail=f"{sanitize_line(str(error))}; trying again in {pause:.0f} s")
                await asyncio.sleep(pause)
            finally:
                self._reached = self._link = None

    async def close(self) -> None:
        """Nothing on the host ends with the console."""
        self._host_is(link="closed", detail="")

    def results(self) -> Results:
        """The results of what is at home; blocking."""
        from console.results.collect import collect

        states = {run: view.state for run, view in self._follower.views.items()}
        return collect(self._experiment, self._profile, self._home, states)

    def failed_items(self) -> tuple[FailedItem, ...]:
        """Evaluation items that runs at home got wrong, worst first; blocking."""
        from console.results.failures import failed_items

        return failed_items(self._home, self._runs)

    async def take_over(self) -> None:
        """Take the host's lease from the console that holds it; that one looks on from then on.

        Raises:
            LinkDown: there is no link, or it broke.
            BadInput: this session is read-only.
        """
        if self._read_only:
            raise BadInput(READ_ONLY)
        if self._link is None:
            raise LinkDown("there is no link to the host")
        self._take_over = True
        await self._ask_for_lease(self._link)

    async def _ask_for_lease(self, link: AgentLink) -> None:
        """Ask once a link; a console that lost its lease to another does not take it back by itself."""
        if self._read_only:
            return
        who = f"{getpass.getuser()}@{socket.gethostname()}"
        reply = await link.request("lease", console=self._console, who=who, take_over=self._take_over)
        self._take_over = False
        self._host_is(
            lease="" if reply.get("mine") is True else sanitize_line(str(reply.get("holder"))) or "another console"
        )

    async def _follow(self, reached: Reached, link: AgentLink) -> None:
        """Poll, refresh and pull side by side; the first that fails ends all, and says why the link is down."""
        work = (self._poll(link), self._refresh_facts(link), self._homecoming.bring(reached, self._folder))
        tasks = [asyncio.create_task(part) for part in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _poll(self, link: AgentLink) -> None:
        while True:
            request = self._follower.request()
            try:
                reply = await link.request("poll", folder=self._folder, wait=POLL_WAIT_S, **request)
            except AgentRefused as refusal:
                raise LinkDown(str(refusal)) from refusal
            self._view = replace(self._view, heard=time.monotonic())
            changed = self._follower.absorb(reply)
            self._homecoming.sealed(self._follower.sealed)
            self.ready.set()
            if changed:
                self._tell()

    async def _refresh_facts(self, link: AgentLink) -> None:
        while True:
            try:
                facts = msgspec.convert(await link.request("facts"), HostFacts)
                self._host_is(facts=_sanitized(facts))
            except (AgentRefused, msgspec.ValidationError) as error:
                self._host_is(detail=f"its facts cannot be read: {sanitize_line(str(error))}")
            await asyncio.sleep(FACTS_EVERY_S)

    def _writable(self) -> tuple[Reached, AgentLink]:
        if self._read_only:
            raise BadInput(READ_ONLY)
        if self._view.lease:
            raise BadInput(f"{self._view.lease} has the lease of this host: take it over to launch or abort")
        if self._reached is None or self._link is None:
            raise LinkDown("there is no link to the host")
        return self._reached, self._link

    def _asked(self, run: RunId) -> str:
        return self._settings[run].fingerprint()

    def _host_is(self, **changes: object) -> None:
        self._view = replace(self._view, **changes)
        self._tell()

    def _tell(self) -> None:
        self._version += 1
        snapshot = self.snapshot
        for listener in self._listeners:
            listener(snapshot)


async def _check(reached: Reached) -> None:
    """Ask the engine on the host whether it has what a run needs."""
    command = shlex.join(check_command(reached.python))
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            done = await reached.connection.run(command, encoding=None)
    except (OSError, asyncssh.Error, TimeoutError) as error:
        raise LinkDown(sanitize_line(str(error)) or "the check took too long") from error
    if done.exit_status == 0:
        return
    if done.exit_status is None:
        raise LinkDown("the link broke during the check")
    said = _text(done.stderr).strip().splitlines()
    message = sanitize_line(said[-1]) if said else f"the engine's check ended with {done.exit_status}"
    raise BadInput(message.removeprefix("qllm-engine: error: "))


def _text(said: bytes | str | None) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said or ""


def _sanitized(facts: HostFacts) -> HostFacts:
    """Every text the host said of itself, safe to show."""
    gpus = tuple(replace(gpu, name=sanitize_line(gpu.name), driver=sanitize_line(gpu.driver)) for gpu in facts.gpus)
    texts = {
        name: sanitize_line(getattr(facts, name)) for name in ("hostname", "system", "python", "workspace", "gpu_note")
    }
    return replace(facts, gpus=gpus, **texts)
