"""One host and one experiment, followed for as long as it is open: the core that the UI and the headless twin share."""

from __future__ import annotations

import asyncio
import getpass
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from console.hosts.host_config import HostConfig
from console.hosts.host_link import HostLink
from console.hosts.preflight.checks import Check, Repair, checklist
from console.hosts.preflight.examine import engine_error, engine_python, examine_host, make_environment, obtain_wordnet
from console.hosts.pull.verify import VerifyResult, verify_runs
from console.hosts.remote.agent_client import AgentClient, AgentRefused
from console.hosts.remote.launch_request import launch_request
from console.hosts.ssh.access import Access
from console.hosts.ssh.channels import HostConnection
from console.hosts.transfer.uploads import send_inputs
from console.results.records import FailedItem, Results
from console.runs.launch_plan import AbortPlan, LaunchPlan, plan_abort, plan_launch
from console.runs.log_buffer import LogBuffer
from console.runs.snapshot import Snapshot
from console.sanitize import sanitize_line
from engine.contract.bad_input import BadInput
from engine.contract.experiment import Experiment, folder_name, profile_of
from engine.contract.settings import RunId, resolve, run_ids

if TYPE_CHECKING:
    from console.results.load import LoadedRuns  # imports polars, which takes a while

LAUNCH_S = 30.0  # for one of them: a cluster answers late
READ_ONLY = "the console is read-only: it launches, aborts and repairs nothing"


class Outcome(Struct, frozen=True):
    """What came of a launch or an abort of one run."""

    run: RunId
    done: bool
    note: str


class Session:
    """Follows the runs of one experiment and profile on a host; launches and aborts on request.

    Args:
        host, host_name: where, and its name in ``hosts.toml``.
        experiment, experiment_file, profile: what; the file's text goes to the host with each launch.
        runs_dir: folder in which runs come home, as ``runs_dir/<experiment>/<condition>_seed<seed>``.
        read_only: launches, aborts and repairs are refused, and the host's lease is left to others.
        take_over: take the lease from another console that holds it.
        strict: a failed ship blocker fails a run; None is what the profile says.
        access: with whose files the host is reached, and who asks the operator; nobody by default.
        brings_home: runs come home while the session is open.
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
    ) -> None:
        self._experiment = experiment
        self._experiment_text = experiment_file.read_text(encoding="utf-8")
        self._profile = profile
        self._strict = profile_of(experiment, profile).strict if strict is None else strict
        self._folder = folder_name(experiment, profile)
        self._runs_dir = runs_dir / self._folder
        self._read_only = read_only
        self._runs = run_ids(experiment, profile)
        self._settings = {run: resolve(experiment, profile, run) for run in self._runs}
        self._keys: dict[RunId, str] = {}
        self._listeners: list[Callable[[Snapshot], None]] = []
        self._version = 0
        self._loading = threading.Lock()
        self._loaded: LoadedRuns | None = None
        self._link = HostLink(
            host_name,
            host,
            self._folder,
            runs_dir,
            self._runs,
            wants_lease=not read_only,
            take_over=take_over,
            on_change=self._notify,
            access=access,
            syncs_runs=syncs_runs,
        )
        self.ready = self._link.ready
        self.stopped = self._link.retry.stopped

    @property
    def snapshot(self) -> Snapshot:
        """What is known now."""
        views, sync_states = dict(self._link.follower.views), dict(self._link.run_sync.sync_states)
        return Snapshot(
            self._link.view,
            self._folder,
            self._profile,
            views,
            sync_states,
            self._version,
            self._link.local.other_writer,
        )

    def subscribe(self, callback: Callable[[Snapshot], None]) -> None:
        """Call ``callback`` on the event loop after each change."""
        self._listeners.append(callback)

    def log(self, run: RunId) -> LogBuffer:
        """The end of a run's log."""
        return self._link.follower.logs[run]

    async def run(self) -> None:
        """Connect and follow until cancelled; trouble with the link never raises, it is seen in the snapshot."""
        await self._link.run()

    @property
    def asked(self) -> float:
        """``time.monotonic()`` of when the operator was last asked something for the link's sake; 0.0: never."""
        return self._link.access.last_question_at

    def reconnect(self) -> None:
        """Try a lost link now; the only way on once it is ``stopped``, waiting for the operator to settle something."""
        self._link.retry.now()

    async def close(self) -> None:
        """Nothing on the host ends with the console."""
        self._link.note(link="closed", detail="")

    def plan_launch(self, wanted: Iterable[RunId], *, again: bool = False) -> LaunchPlan:
        """What launching ``wanted`` would do."""
        views = self._link.follower.views
        asked = {run: settings.fingerprint() for run, settings in self._settings.items()}
        same = frozenset(run for run, view in views.items() if view.state and view.state.settings == asked[run])
        return plan_launch(views, wanted, same_settings=same, again=again)

    def plan_abort(self, wanted: Iterable[RunId]) -> AbortPlan:
        """What aborting ``wanted`` would do."""
        return plan_abort(self._link.follower.views, wanted)

    async def launch(self, plan: LaunchPlan) -> tuple[Outcome, ...]:
        """Queue the plan's runs on the host, in order.

        A run whose launch was cut off keeps its key, so that asking again never starts it twice.

        Raises:
            LinkDown: there is no link, or it broke; ask again when it is back.
            BadInput: the host lacks what a run needs, or this console may not launch; nothing was launched.
        """
        if not plan.launch:
            return ()
        connection, link = self._writable()
        if complaint := await engine_error(self._link.host, connection, *await self._about(connection)):
            raise BadInput(complaint)
        self._forget_ended()
        keys = {run: self._keys.setdefault(run, uuid.uuid4().hex) for run in plan.launch}
        python = engine_python(self._link.host, connection)
        requests = [
            launch_request(
                self._link.host,
                python,
                self._settings[run],
                self._folder,
                self._experiment_text,
                key,
                self._strict,
                self._experiment.files,
                resume=run in plan.resumes,
            )
            for run, key in keys.items()
        ]
        try:
            reply = await link.request("launch_all", LAUNCH_S * len(requests), requests=requests)
        except AgentRefused as refusal:
            return tuple(Outcome(run, False, str(refusal)) for run in plan.launch)
        told = dict(zip(plan.launch, reply.get("outcomes", ()), strict=False))
        return tuple(self._launched(run, key, told.get(run, {})) for run, key in keys.items())

    def _forget_ended(self) -> None:
        """A launch whose answer was lost and that has ended since is over: its key would find it, and start nothing."""
        for run, view in self._link.follower.views.items():
            if view.state is not None and view.state.ended and self._keys.get(run) == view.state.key:
                del self._keys[run]

    async def _about(self, connection: HostConnection) -> tuple[str, ...]:
        """What the engine is to be asked about before a launch: the experiment, where it names files; these are sent."""
        files = self._experiment.files
        if not files:
            return ()
        sent = await send_inputs(connection, self._link.view.name, self._runs_dir, self._experiment_text, files)
        where = ("--experiment", str(sent), "--inputs", str(sent.parent.parent))
        return (*where, "--profile", self._profile)

    def _launched(self, run: RunId, key: str, outcome: dict[str, Any]) -> Outcome:
        """What came of one launch; a run that was refused keeps its key, so that its next launch is the same one."""
        if "key" not in outcome:
            return Outcome(run, False, sanitize_line(str(outcome.get("refused", "the host did not say"))))
        del self._keys[run]
        mine = outcome["key"] == key
        return Outcome(run, mine, "queued" if mine else "already active under another launch")

    async def abort(self, plan: AbortPlan) -> tuple[Outcome, ...]:
        """End the plan's runs, queued ones first, so that none of them starts in place of one that ends.

        Raises:
            LinkDown: there is no link, or it broke.
            BadInput: this console may not abort.
        """
        if not plan.abort:
            return ()
        _, link = self._writable()
        queued = [run for run in plan.abort if run not in plan.running]
        outcomes: list[Outcome] = []
        for runs in (queued, plan.running):
            outcomes += await asyncio.gather(*(self._abort_one(link, run) for run in runs))
        return tuple(outcomes)

    async def _abort_one(self, link: AgentClient, run: RunId) -> Outcome:
        state = self._link.follower.views[run].state
        if state is None:
            return Outcome(run, False, "the host does not know this run")
        try:
            reply = await link.request("abort", key=state.key, by=getpass.getuser())
        except AgentRefused as refusal:
            return Outcome(run, False, str(refusal))
        end, reason = (sanitize_line(str(reply.get(name) or "")) for name in ("state", "reason"))
        return Outcome(run, end == "aborted", reason if end == "aborted" and reason else end)

    async def take_over(self) -> None:
        """Take the host's lease from the console that holds it; that one looks on from then on.

        Raises:
            LinkDown: there is no link, or it broke.
            BadInput: this session is read-only.
        """
        if self._read_only:
            raise BadInput(READ_ONLY)
        await self._link.take_over()

    async def preflight(self) -> tuple[Check, ...]:
        """Look at what a run needs of the host.

        Raises:
            LinkDown: there is no link, or it broke.
        """
        connection, link = self._link.connected()
        return checklist(await examine_host(self._link.host, connection, link), self._link.host, len(self._runs))

    async def repair(self, what: Repair) -> AsyncIterator[str]:
        """Do what a check advises; yields a line about each step.

        Raises:
            LinkDown: there is no link, or it broke; a making of the environment goes on without it.
            BadInput: the host could not do it, or this console may not repair.
        """
        connection, link = self._writable()
        if what == "wordnet":
            yield "fetching WordNet"
            if complaint := await obtain_wordnet(self._link.host, connection):
                raise BadInput(complaint)
            return
        async for now in make_environment(self._link.host, connection, link):
            yield now.step if now.state == "making" else now.error or now.state

    def pull_again(self) -> tuple[RunId, ...]:
        """Ask at once for every ended run that is not at home, damaged or waiting; returns those runs.

        Raises:
            LinkDown: there is no link.
        """
        self._link.connected()
        return self._link.run_sync.pull_again()

    async def verify_synced(self) -> AsyncIterator[VerifyResult]:
        """Read what is at home again and compare it with its manifests, host or none; yields how far it is.

        A run with a file that differs counts as damaged from then on.
        """
        sync_states = self._link.run_sync.sync_states
        steps = verify_runs(
            self._runs_dir, [run for run, runs_dir in sync_states.items() if runs_dir.status == "synced"]
        )
        check = VerifyResult(0)
        while (step := await asyncio.to_thread(next, steps, None)) is not None:
            yield (check := step)
        for one in check.differing:
            self._link.run_sync.mark_damaged(one.run, one.key, f"{one.path}: {one.why}")

    def results(self) -> Results:
        """The results of the local copies; damaged ones are not counted. Blocks while it reads files."""
        return self._load_results()[1]

    def failed_items(self) -> tuple[FailedItem, ...]:
        """Evaluation items that counted runs got wrong, worst first. Blocks while it reads files."""
        from console.results.failures import failed_items

        loaded, results = self._load_results()
        return failed_items(loaded, (RunId(run.condition, run.seed) for run in results.runs if run.is_counted))

    def _load_results(self) -> tuple[LoadedRuns, Results]:
        from console.results.aggregate import aggregate
        from console.results.load import load

        snapshot = self.snapshot
        states = {run: view.state for run, view in snapshot.runs.items()}
        damaged = dict.fromkeys(self._link.run_sync.damaged_runs, "")
        damaged |= {run: sync.note for run, sync in snapshot.sync_states.items() if sync.status == "damaged"}
        with self._loading:  # views 4 and 5 ask from two threads: the second finds what the first has read
            self._loaded = load(self._runs_dir, self._runs, self._loaded)
            loaded = self._loaded
        return loaded, aggregate(self._experiment, self._profile, loaded, states, damaged)

    def _writable(self) -> tuple[HostConnection, AgentClient]:
        if self._read_only:
            raise BadInput(READ_ONLY)
        if holder := self._link.view.lease:
            raise BadInput(f"{holder} has the lease of this host: take it over to launch, abort or repair")
        return self._link.connected()

    def _notify(self) -> None:
        self._version += 1
        snapshot = self.snapshot
        for listener in self._listeners:
            listener(snapshot)
