"""Session: one experiment on one host, followed, launched, aborted and synced; the core of the UI and of every command."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from console.hosts.host_config import HostConfig
from console.hosts.host_link import READ_ONLY, HostLink
from console.hosts.host_upkeep import HostUpkeep
from console.hosts.preflight.examine import engine_command, engine_error
from console.hosts.pull.verify import VerifyResult, verify_runs
from console.hosts.remote.agent_client import AgentClient, AgentRefused
from console.hosts.remote.launch_request import launch_request, operator_name
from console.hosts.ssh.access import Access
from console.hosts.ssh.channels import HostConnection
from console.hosts.ssh.errors import LinkDown, Misconfigured
from console.hosts.transfer.uploads import send_inputs
from console.results.local_results import SessionResults
from console.results.next_steps.derive import Addition, with_addition, write_addition
from console.runs.experiment_watch import ExperimentChange, WatchedExperiment
from console.runs.launch_attempts import LaunchAttempts, Outcome
from console.runs.launch_plan import AbortPlan, LaunchPlan, plan_abort, plan_launch
from console.runs.log_store import LogStore
from console.runs.set_aside import SetAside, decode_set_aside
from console.runs.snapshot import Snapshot
from console.sanitize import sanitize_line
from engine.contract.bad_input import BadInput
from engine.contract.experiment import Experiment, folder_name, profile_of
from engine.contract.settings import RunId
from engine.contract.state import RunState
from engine.contract.validation_words import error_in_words

if TYPE_CHECKING:
    from console.results.next_steps.decisions import Decision

LAUNCH_S = 30.0  # for each run of a launch: a cluster is slow to answer


class Session(SessionResults):
    """One experiment and profile on one host.

    What needs the host raises LinkDown if there is no link or it breaks. What changes something there raises BadInput if
    this console may not: it is read-only, or another one has the lease.

    Args:
        host, host_name: the host's entry in ``hosts.toml``, and its name there.
        experiment, experiment_file, profile: what to run; the file's text is sent with each launch.
        runs_dir: folder of all experiments; runs are synced to ``runs_dir/<experiment>/<condition>_seed<seed>``.
        read_only: refuse launches, aborts, repairs, additions and decisions, and leave the host's lease to others.
        take_over: take the lease from another console that holds it.
        strict: a failed ship blocker fails a run; None: as the profile says.
        access: with whose files the host is reached, and who asks the operator; nobody by default.
        syncs_runs: write the local runs folder, unless another console does.
        keeps_logs: follow logs, too, where it does not.

    Attributes:
        experiment, experiment_file: what is run, also what was added to it since; its file.
        upkeep: checks and repairs of the host.
        ready: set after each poll, once what is local is loaded and the host's events up to then have arrived.
        stopped: set while nothing is tried because the operator has to settle something first.
    """

    def __init__(
        self,
        host: HostConfig,
        experiment: Experiment,
        experiment_file: Path,
        profile: str,
        runs_dir: Path,
        *,
        read_only: bool = False,
        take_over: bool = False,
        strict: bool | None = None,
        host_name: str = "local",
        access: Access | None = None,
        syncs_runs: bool = True,
        keeps_logs: bool = False,
    ) -> None:
        self.experiment = experiment
        self.experiment_file = experiment_file
        self._profile = profile
        self._strict = profile_of(experiment, profile).strict if strict is None else strict
        self._folder = folder_name(experiment, profile)
        self._runs_dir = runs_dir / self._folder
        super().__init__(self._runs_dir, experiment, profile)
        self._read_only = read_only
        self._watched = WatchedExperiment(experiment_file, experiment, profile)
        self._changing = asyncio.Lock()  # the experiment: one change at a time
        self._attempts = LaunchAttempts()
        self._listeners: list[Callable[[Snapshot], None]] = []
        self._version = 0
        self._link = HostLink(
            host_name,
            host,
            self._folder,
            runs_dir,
            tuple(self._watched.settings),
            wants_lease=not read_only,
            take_over=take_over,
            on_change=self._notify,
            access=access,
            syncs_runs=syncs_runs,
            keeps_logs=keeps_logs,
        )
        self.upkeep = HostUpkeep(self._link)
        self.ready = self._link.ready
        self.stopped = self._link.retry.stopped

    @property
    def snapshot(self) -> Snapshot:
        """The newest snapshot of host, runs and sync, as one frozen value."""
        link = self._link
        views, sync_states = dict(link.follower.views), dict(link.run_sync.sync_states)
        writer = link.local.other_writer
        launched_with = {run: view.state.settings for run, view in views.items() if view.state}
        changed = frozenset(run for run, own in launched_with.items() if self._watched.was_changed(run, own))
        version, history = self._version, link.history
        return Snapshot(link.view, self._folder, self._profile, views, sync_states, version, writer, history, changed)

    def subscribe(self, callback: Callable[[Snapshot], None]) -> None:
        """Call ``callback`` on the event loop after each change."""
        self._listeners.append(callback)

    def log(self, run: RunId) -> LogStore:
        """The log of a run, read from its local file when it is looked at."""
        return self._link.follower.logs[run]

    async def run(self) -> None:
        """Load what is local, connect and follow until cancelled. A failing link does not raise: the snapshot says so."""
        await self._link.run()

    @property
    def last_question_at(self) -> float:
        """``time.monotonic()`` of the last question to the operator for the link's sake; 0.0: none."""
        return self._link.access.last_question_at

    @property
    def misconfigured(self) -> Misconfigured | None:
        """What has to be corrected in hosts.toml, the ssh configuration or a file, for which the link is tried no more."""
        error = self._link.retry.stopped_by
        return error if isinstance(error, Misconfigured) else None

    def reconnect(self) -> None:
        """Try a lost link now. Once ``stopped`` is set, nothing else does."""
        self._link.retry.now()

    async def close(self) -> None:
        """Show the link as closed. Nothing on the host ends with the console."""
        self._link.note(link="closed", detail="")

    def plan_launch(self, wanted: Iterable[RunId], *, restart: bool = False) -> LaunchPlan:
        """What launching ``wanted`` would do, by the states that the host reported in this session."""
        views = self._link.follower.host_views()
        same = frozenset(
            run for run, view in views.items() if view.state and view.state.settings == self._watched.fingerprints[run]
        )
        follower = self._link.follower
        unread = frozenset(
            run for run, view in views.items() if view.state and not follower.has_all_events(run, view.state.key)
        )
        return plan_launch(views, wanted, same_settings=same, unread=unread, restart=restart)

    def plan_abort(self, wanted: Iterable[RunId]) -> AbortPlan:
        """What aborting ``wanted`` would do, by the states that the host reported in this session."""
        return plan_abort(self._link.follower.host_views(), wanted)

    async def launch(self, plan: LaunchPlan) -> tuple[Outcome, ...]:
        """Queue the plan's runs on the host, in order.

        Safe to call again with the same plan after a lost link: each launch keeps its idempotency key until the host has
        answered, and the host starts a key once.

        Raises:
            LinkDown: also if the host has not reported its runs yet.
            BadInput: also if the host lacks what a run needs; nothing was launched.
        """
        if not plan.launch:
            return ()
        connection, agent = self._link.connected_to_change()
        host = self._link.host
        if self._link.follower.host_states is None:
            raise LinkDown("the host has not reported its runs yet")
        arguments = await self._experiment_arguments(connection)
        if error := await engine_error(host, connection, agent, *arguments):
            raise BadInput(error)
        attempts = {run: self._attempts.attempt(run, plan.replaces.get(run, "")) for run in plan.launch}
        engine = engine_command(host, connection)
        folder, text, files = self._folder, self.experiment.text, self.experiment.files
        requests = [
            launch_request(
                host,
                engine,
                self._watched.settings[run],
                folder,
                text,
                attempt.key,
                self._strict,
                files,
                resume=run in plan.resumes,
                replaces=attempt.replaces,
                sets_aside_results=run in plan.results_aside,
            )
            for run, attempt in attempts.items()
        ]
        try:
            limit = LAUNCH_S * len(requests)
            told = {"notify": host.notify, "operator": operator_name()}
            reply = await agent.request("launch_all", limit, requests=requests, **told)
        except AgentRefused as refusal:
            return tuple(Outcome(run, False, str(refusal)) for run in plan.launch)
        answers = dict(zip(plan.launch, reply.get("outcomes", ()), strict=False))
        outcomes = tuple(self._attempts.outcome(run, one.key, answers.get(run, {})) for run, one in attempts.items())
        if problem := sanitize_line(str(reply.get("notify") or "")):
            self._link.note(detail=f"notifications are as before: {problem}")
        if any(outcome.done for outcome in outcomes):
            await self._keep_plan()
        return outcomes

    async def _keep_plan(self) -> None:
        """Write what is to be compared, as stated at the first launch, and the experiment, if this console is the writer."""
        from console.results.analysis.plan import keep_experiment, plan_of, write_plan
        from console.runs.experiment_source import write_source

        if self._link.local.writable:
            with suppress(OSError):  # a launch does not fail for it; the report says that no plan was kept
                await asyncio.to_thread(write_plan, self._runs_dir, plan_of(self.experiment, self._profile))
                await asyncio.to_thread(keep_experiment, self._runs_dir, self.experiment)
                folder, file = self._runs_dir.parent, self.experiment_file
                await asyncio.to_thread(write_source, folder, file, self.experiment, self._profile)

    async def _experiment_arguments(self, connection: HostConnection) -> tuple[str, ...]:
        """Arguments for the engine's check of an experiment that names files; sends these files first."""
        files = self.experiment.files
        if not files:
            return ()
        sent = await send_inputs(connection, self._link.view.name, self._runs_dir, self.experiment.text, files)
        return ("--experiment", str(sent), "--inputs", str(sent.parent.parent), "--profile", self._profile)

    async def abort(self, plan: AbortPlan) -> tuple[Outcome, ...]:
        """End the plan's runs, queued ones first, so that none of them starts in place of one that ends."""
        if not plan.abort:
            return ()
        _, agent = self._link.connected_to_change()
        outcomes: list[Outcome] = []
        for runs in (plan.queued, (*plan.running, *plan.lost)):
            outcomes += await asyncio.gather(*(self._abort_one(agent, run) for run in runs))
        return tuple(outcomes)

    async def _abort_one(self, agent: AgentClient, run: RunId) -> Outcome:
        state = (self._link.follower.host_states or {}).get(run)
        if state is None:
            return Outcome(run, False, "the host does not know this run")
        try:
            folder = self._folder
            reply = await agent.request("abort", key=state.key, folder=folder, run=str(run), by=getpass.getuser())
        except AgentRefused as refusal:
            return Outcome(run, False, str(refusal))
        end, reason = (sanitize_line(str(reply.get(name) or "")) for name in ("state", "reason"))
        return Outcome(
            run, end == "aborted", reason if end == "aborted" and reason else f"{end}: {reason}".rstrip(": ")
        )

    async def list_set_aside(self, run: RunId) -> SetAside:
        """What later launches of ``run`` have set aside on the host.

        Raises:
            LinkDown: also if the reply cannot be understood.
            BadInput: the host refused.
        """
        _, agent = self._link.connected()
        try:
            return decode_set_aside(await agent.request("list_set_aside", folder=self._folder, run=str(run)))
        except AgentRefused as refusal:
            raise BadInput(str(refusal)) from refusal
        except msgspec.ValidationError as error:
            raise LinkDown(f"the agent's reply cannot be understood: {sanitize_line(error_in_words(error))}") from error

    async def restore(self, run: RunId, key: str, replaces: str) -> Outcome:
        """Put the launch that was set aside as ``key`` back in place of launch ``replaces``, which is set aside instead."""
        _, agent = self._link.connected_to_change()
        try:
            reply = await agent.request("restore", folder=self._folder, run=str(run), key=key, replaces=replaces)
        except AgentRefused as refusal:
            return Outcome(run, False, str(refusal))
        self._attempts.forget(run)
        present, state = (sanitize_line(str(reply.get(name) or "")) for name in ("key", "state"))
        return Outcome(run, True, state or "restored", present)

    async def take_over(self) -> None:
        """Take the host's lease from the console that holds it; that one becomes read-only."""
        if self._read_only:
            raise BadInput(READ_ONLY)
        await self._link.take_over()

    def pull_again(self) -> tuple[RunId, ...]:
        """Pull all damaged and waiting runs now; returns them. BadInput if another console writes the local runs folder."""
        self._link.connected()
        return self._link.run_sync.pull_again()

    async def verify_synced(self) -> AsyncIterator[VerifyResult]:
        """Hash the synced files again and compare them with their manifests; yields the progress. Needs no host.

        A run with a file that differs counts as damaged from then on.
        """
        synced = [run for run, state in self._link.run_sync.sync_states.items() if state.status == "synced"]
        steps = verify_runs(self._runs_dir, synced)
        result = VerifyResult(0)
        while (step := await asyncio.to_thread(next, steps, None)) is not None:
            yield (result := step)
        for file in result.differing:
            self._link.run_sync.mark_damaged(file.run, file.key, f"{file.path}: {file.why}")

    def record_decision(self, decision: Decision) -> None:
        """Record ``decision`` in the runs folder. Blocks; raises BadInput if read-only, or if it cannot be written."""
        if self._read_only:
            raise BadInput(READ_ONLY)
        super().record_decision(decision)

    def _known_of_runs(self) -> tuple[dict[RunId, RunState | None], dict[RunId, str]]:
        states, damaged = super()._known_of_runs()
        return states, dict.fromkeys(self._link.run_sync.damaged_runs, "") | damaged

    async def add(self, addition: Addition) -> tuple[RunId, ...]:
        """Add derived conditions or seeds to the experiment, for good, and follow their runs from now on; returns these.

        What else has changed in the experiment's file is in force from then on too.

        Raises:
            BadInput: read-only, it cannot be written, or the file no longer has what is followed.
        """
        if self._read_only:
            raise BadInput(READ_ONLY)
        file, profile = self.experiment_file, self._profile
        async with self._changing:
            _, planned = await asyncio.to_thread(with_addition, file, addition, profile)
            self._watched.check_same(planned)
            known = set(self._watched.settings)
            await self._use(await asyncio.to_thread(write_addition, file, addition, profile))
        return tuple(run for run in self._watched.settings if run not in known and addition.has(run))

    async def check_experiment(self) -> ExperimentChange | None:
        """Read the experiment's file again if it has changed, and use it from now on if it is valid; None: no change."""
        async with self._changing:
            try:
                experiment = await asyncio.to_thread(self._watched.check)
            except BadInput as error:
                return ExperimentChange(f"{error}; what was read before stays in force", applied=False)
            return None if experiment is None else ExperimentChange(await self._use(experiment), applied=True)

    async def _use(self, experiment: Experiment) -> str:
        """Have ``experiment`` in force, and follow its runs; returns what differs, in one line."""
        change = self._watched.use(experiment)
        self.experiment = self._local.experiment = experiment
        await self._link.follow(tuple(self._watched.settings))
        return change

    def _notify(self) -> None:
        self._version += 1
        snapshot = self.snapshot
        for listener in self._listeners:
            listener(snapshot)
