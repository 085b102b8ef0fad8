"""A session without a host: snapshots set by the test, commands recorded."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from console.hosts.preflight.checks import Check, Repair
from console.hosts.pull.verify import VerifyResult
from console.results.items.detail import ItemDetail
from console.results.items.items import ItemTable
from console.results.next_steps.decisions import Decision
from console.results.next_steps.derive import Addition, write_addition
from console.results.records import Results
from console.runs.experiment_watch import ExperimentChange
from console.runs.host_facts import Gpu, HostFacts
from console.runs.launch_attempts import Outcome
from console.runs.launch_plan import AbortPlan, LaunchPlan, plan_abort, plan_launch
from console.runs.run_view import RunView
from console.runs.set_aside import SetAside
from console.runs.snapshot import HostView, Snapshot, SyncState
from engine.contract.experiment import Experiment, folder_name
from engine.contract.experiment_reader import read_experiment
from engine.contract.items import ItemRow
from engine.contract.settings import RunId, run_ids
from engine.contract.state import RunState
from tests.console.fed_log import FedLog
from tests.console.ui.scenes import detail_of, items_of, results_of

if TYPE_CHECKING:
    from console.results.experiment_report import ExperimentReport

SCALING_FILE = Path(__file__).parents[3] / "configs" / "scaling.toml"
SCALING = read_experiment(SCALING_FILE)
FACTS = HostFacts(
    hostname="box",
    system="Linux 6.1",
    cpus=8,
    load=1.25,
    memory_total=64_000_000_000,
    memory_available=40_000_000_000,
    disk_total=500_000_000_000,
    disk_free=120_000_000_000,
    python="3.11.7",
    workspace="/srv/qllm",
    gpus=(Gpu("L40S", 46_068, 12_000, 87, "550.54"),),
)

WELL = (
    Check("login", "ok", "ann at 127.0.0.1:2222, host key SHA256:abcdef0123456789"),
    Check("GPU", "ok", "L40S, 45 GiB, driver 550.54"),
    Check("engine", "ok", "installed, /srv/qllm/env/0123456789abcdef/bin/python"),
)
ILL = (
    Check("login", "ok", "ann at 127.0.0.1:2222, host key SHA256:" + "k" * 43),
    Check("GPU", "ok", "NVIDIA L40S, 45 GiB, driver 550.54"),
    Check(
        "GPU users", "warning", "python (4711, 11.7 GiB)", "Others use the GPU: runs will be slower, or may not fit."
    ),
    Check("processors and memory", "ok", "8 processors, 37 of 60 GiB memory free"),
    Check("disk", "blocker", "1.5 of 466 GiB free in /srv/qllm, 10.1 needed", "Free some, or name another workspace."),
    Check("Python", "ok", "3.11.7"),
    Check("engine", "blocker", "not installed on the host", "Make its environment.", "environment"),
    Check("clock", "ok", "+0.1 s against ours, round trip 3 ms"),
    Check("runs survive logout", "warning", "the host does not say", "Launch the smoke profile and log out once."),
)


class FakeSession:
    """Launch queues a run at once, abort ends it at once; everything else is set by the test."""

    def __init__(
        self, experiment: Experiment = SCALING, profile: str = "demo", experiment_file: Path = SCALING_FILE
    ) -> None:
        runs = run_ids(experiment, profile)
        self.experiment = experiment
        self.experiment_file = experiment_file
        self.decisions: list[Decision] = []
        self.host = HostView(
            name="local",
            title="this machine",
            launcher="embedded",
            address="127.0.0.1:2222",
            link="up",
            detail="Following.",
            last_reply_at=time.monotonic() + 3600,  # however slow the machine, the host has just replied
            runs_reported=True,
            fingerprint="SHA256:abcdef0123456789",
            slots=2,
            facts=FACTS,
        )
        self.snapshot = Snapshot(
            host=self.host,
            folder=folder_name(experiment, profile),
            profile=profile,
            runs={run: RunView(run) for run in runs},
            sync_states={run: SyncState() for run in runs},
        )
        self.launched: list[LaunchPlan] = []
        self.aborted: list[AbortPlan] = []
        self.set_aside = SetAside("", ())
        self.restored: list[tuple[RunId, str, str]] = []
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.closed = False
        self.stopped = asyncio.Event()
        self.reconnects = 0
        self.follows = 0
        self.follow_errors: asyncio.Queue[Exception] = asyncio.Queue()
        self.fixed_results: Results | None = None
        self.item_rows: dict[RunId, list[ItemRow]] = {}
        self.details: list[tuple[RunId, str, str]] = []
        self.fixed_report: ExperimentReport | None = None
        self.report_gate: threading.Event | None = None
        self.report_error: Exception | None = None
        self.checks: tuple[Check, ...] = WELL
        self.preflights = 0
        self.preflight_error: Exception | None = None
        self.preflight_gate: asyncio.Event | None = None
        self.when_done: tuple[str, ...] = ()
        self.left_on_host: tuple[str, ...] = ()
        self.proofs = 0
        self.lease_error: Exception | None = None
        self.repairs: list[Repair] = []
        self.repairing = False
        self.repair_steps: asyncio.Queue[str | Exception | None] = asyncio.Queue()
        self.sync_requests: list[tuple[RunId, ...]] = []
        self.verify_results: asyncio.Queue[VerifyResult | None] = asyncio.Queue()
        self.experiment_change: tuple[str, Experiment | None] | None = None
        self._logs: dict[RunId, FedLog] = {}

    def show(self, *views: RunView, sync_states: dict[RunId, SyncState] | None = None, **host: object) -> None:
        """Make a new snapshot with these views, sync states and host fields."""
        self.snapshot = replace(
            self.snapshot,
            host=replace(self.snapshot.host, **host),
            runs=self.snapshot.runs | {view.run: view for view in views},
            sync_states=self.snapshot.sync_states | (sync_states or {}),
            version=self.snapshot.version + 1,
        )

    def reconnect(self) -> None:
        """Count it; clear the need for input."""
        self.reconnects += 1
        self.stopped.clear()

    async def run(self) -> None:
        """Follow nothing, until cancelled or a test breaks it off."""
        self.follows += 1
        raise await self.follow_errors.get()

    async def close(self) -> None:
        """Record it."""
        self.closed = True

    def log(self, run: RunId, /) -> FedLog:
        """Its log."""
        return self._logs.setdefault(run, FedLog())

    def plan_launch(self, wanted: Iterable[RunId], /, *, restart: bool = False) -> LaunchPlan:
        """As the session does; every finished run has the same settings."""
        return plan_launch(self.snapshot.runs, wanted, same_settings=frozenset(self.snapshot.runs), restart=restart)

    def plan_abort(self, wanted: Iterable[RunId], /) -> AbortPlan:
        """As the session does."""
        return plan_abort(self.snapshot.runs, wanted)

    async def launch(self, plan: LaunchPlan, /) -> tuple[Outcome, ...]:
        """Queue the runs, unless a test set ``error``; wait for ``gate`` if there is one."""
        self.launched.append(plan)
        await self._pass()
        self.show(*(RunView(run, RunState("queued", f"k{len(self.launched)}")) for run in plan.launch))
        return tuple(Outcome(run, True, "") for run in plan.launch)

    async def abort(self, plan: AbortPlan, /) -> tuple[Outcome, ...]:
        """End the runs, unless a test set ``error``."""
        self.aborted.append(plan)
        await self._pass()
        views = [self.snapshot.runs[run] for run in plan.abort]
        self.show(*(replace(view, state=RunState("aborted", view.state.key)) for view in views if view.state))
        return tuple(Outcome(run, True, "") for run in plan.abort)

    async def list_set_aside(self, run: RunId, /) -> SetAside:
        """What a test put there, unless it set ``error``."""
        await self._pass()
        return self.set_aside

    async def restore(self, run: RunId, key: str, replaces: str, /) -> Outcome:
        """Record it."""
        self.restored.append((run, key, replaces))
        return Outcome(run, True, "finished", key)

    async def take_over(self) -> None:
        """Take the lease, unless a test set ``error``."""
        await self._pass()
        self.show(lease="")

    async def _pass(self) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error

    @property
    def upkeep(self) -> FakeSession:
        """Itself: it plays both."""
        return self

    async def unsynced(self) -> tuple[str, ...]:
        """What a test says is left on the host."""
        self.proofs += 1
        return self.left_on_host

    async def check_lease(self) -> None:
        """Fail as a test has set."""
        if self.lease_error is not None:
            raise self.lease_error

    async def preflight(self) -> tuple[Check, ...]:
        """The checks that a test set, unless it set an error."""
        self.preflights += 1
        if self.preflight_gate is not None:
            await self.preflight_gate.wait()
        if self.preflight_error is not None:
            raise self.preflight_error
        return self.checks

    async def repair(self, what: Repair, /) -> AsyncIterator[str]:
        """Yield what a test puts into ``repair_steps``; None ends it."""
        self.repairs.append(what)
        self.repairing = True
        try:
            while (step := await self.repair_steps.get()) is not None:
                if isinstance(step, Exception):
                    raise step
                yield step
        finally:
            self.repairing = False

    def pull_again(self) -> tuple[RunId, ...]:
        """Record the damaged and delayed runs, unless a test set ``error``."""
        if self.error is not None:
            raise self.error
        runs = tuple(run for run, sync in self.snapshot.sync_states.items() if sync.status == "damaged" or sync.note)
        self.sync_requests.append(runs)
        return runs

    async def verify_synced(self) -> AsyncIterator[VerifyResult]:
        """Yield what a test puts into ``verify_results``; None ends it."""
        while (result := await self.verify_results.get()) is not None:
            yield result

    def results(self) -> Results:
        """From the evaluations in the snapshot, unless a test put others there."""
        return self.fixed_results or results_of(self.experiment, self.snapshot)

    def items(self) -> ItemTable:
        """Those that a test put into ``item_rows``."""
        return items_of(self.experiment, self.item_rows)

    def item_detail(self, run: RunId, kind: str, item_id: str, /) -> ItemDetail:
        """Of the same rows; the calls are recorded."""
        self.details.append((run, kind, item_id))
        return detail_of(next(row for row in self.item_rows[run] if (row.kind, row.item_id) == (kind, item_id)))

    def report(self) -> ExperimentReport:
        """A report around the results, unless a test put another there; waits for ``report_gate`` if there is one."""
        from tests.console.results.reports import report_on

        results = self.results()
        if self.report_gate is not None:
            self.report_gate.wait(20)
        if self.report_error is not None:
            raise self.report_error
        return self.fixed_report or report_on(results)

    async def check_experiment(self) -> ExperimentChange | None:
        """What a test put there; with an experiment, that one is in force and its runs are followed."""
        change, self.experiment_change = self.experiment_change, None
        if change is None:
            return None
        text, experiment = change
        if experiment is not None:
            self.use(experiment)
        return ExperimentChange(text, experiment is not None)

    async def add(self, addition: Addition, /) -> tuple[RunId, ...]:
        """Add it to the experiment's file, as the session does, unless a test set ``error``."""
        await self._pass()
        known = self.snapshot.runs
        self.use(write_addition(self.experiment_file, addition, self.snapshot.profile))
        return tuple(run for run in self.snapshot.runs if run not in known and addition.has(run))

    def use(self, experiment: Experiment) -> None:
        """Have ``experiment`` in force, and a snapshot of its runs."""
        self.experiment, known = experiment, self.snapshot.runs
        runs = run_ids(experiment, self.snapshot.profile)
        views = {run: known.get(run) or RunView(run) for run in runs}
        states = {run: self.snapshot.sync_states.get(run) or SyncState() for run in runs}
        version = self.snapshot.version + 1
        self.snapshot = replace(self.snapshot, runs=views, sync_states=states, version=version)

    def record_decision(self, decision: Decision, /) -> None:
        """Record it, unless a test set ``error``."""
        if self.error is not None:
            raise self.error
        self.decisions.append(decision)


def ill_session() -> FakeSession:
    """A host with two blockers and two warnings."""
    session = FakeSession()
    session.checks = ILL
    return session
