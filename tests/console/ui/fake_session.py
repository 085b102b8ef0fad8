"""A headless core without a host: snapshots by script, commands noted down; for developing and testing the UI."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from console.log_buffer import LogBuffer
from console.plan import AbortPlan, LaunchPlan, plan_abort, plan_launch
from console.results.summary import FailedItem, Results
from console.run_view import RunView, with_state
from console.snapshot import Gpu, Home, HostFacts, HostView, Snapshot
from engine.contract.experiment import Experiment, RunId, folder_name, read_experiment, run_ids
from engine.contract.state import RunState
from tests.console.ui.scenes import results_of

SCALING = read_experiment(Path(__file__).parents[3] / "configs" / "scaling.toml")
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
    workspace="/srv/work",
    gpus=(Gpu("L40S", 46_068, 12_000, 87, "550.54"),),
)


class FakeOutcome(Struct, frozen=True):
    """What became of one run."""

    run: RunId
    done: bool
    note: str


class FakeSession:
    """Launching queues a run at once, aborting ends it at once; everything else is what a test sets."""

    def __init__(self, experiment: Experiment = SCALING, profile: str = "demo") -> None:
        runs = run_ids(experiment, profile)
        self.experiment = experiment
        self.host = HostView(
            name="local",
            title="this machine",
            launcher="embedded",
            address="127.0.0.1:2222",
            link="up",
            detail="Following.",
            heard=time.monotonic(),
            fingerprint="SHA256:abcdef0123456789",
            slots=2,
            facts=FACTS,
        )
        self.snapshot = Snapshot(
            host=self.host,
            folder=folder_name(experiment, profile),
            profile=profile,
            runs={run: RunView(run) for run in runs},
            homes={run: Home() for run in runs},
        )
        self.launched: list[LaunchPlan] = []
        self.aborted: list[AbortPlan] = []
        self.refuse: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.closed = False
        self.items: tuple[FailedItem, ...] = ()
        self._logs: dict[RunId, LogBuffer] = {}

    def show(self, *views: RunView, homes: dict[RunId, Home] | None = None, **host: object) -> None:
        """A new snapshot: these runs, homes and facts of the host changed."""
        self.snapshot = replace(
            self.snapshot,
            host=replace(self.snapshot.host, **host),
            runs=self.snapshot.runs | {view.run: view for view in views},
            homes=self.snapshot.homes | (homes or {}),
            version=self.snapshot.version + 1,
        )

    async def run(self) -> None:
        """Follow nothing, until cancelled."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Note it."""
        self.closed = True

    def log(self, run: RunId, /) -> LogBuffer:
        """Its log."""
        return self._logs.setdefault(run, LogBuffer())

    def plan_launch(self, wanted: Iterable[RunId], /, *, again: bool = False) -> LaunchPlan:
        """As the session does; every finished run has the same settings."""
        return plan_launch(self.snapshot.runs, wanted, same_settings=frozenset(self.snapshot.runs), again=again)

    def plan_abort(self, wanted: Iterable[RunId], /) -> AbortPlan:
        """As the session does."""
        return plan_abort(self.snapshot.runs, wanted)

    async def launch(self, plan: LaunchPlan, /) -> tuple[FakeOutcome, ...]:
        """Queue the runs, unless refused; wait at the gate if there is one."""
        self.launched.append(plan)
        await self._pass()
        views = [self.snapshot.runs[run] for run in plan.launch]
        self.show(*(with_state(view, RunState("queued", f"k{len(self.launched)}")) for view in views))
        return tuple(FakeOutcome(run, True, "") for run in plan.launch)

    async def abort(self, plan: AbortPlan, /) -> tuple[FakeOutcome, ...]:
        """End the runs, unless refused."""
        self.aborted.append(plan)
        await self._pass()
        views = [self.snapshot.runs[run] for run in plan.abort]
        self.show(*(replace(view, state=RunState("aborted", view.state.key)) for view in views if view.state))
        return tuple(FakeOutcome(run, True, "") for run in plan.abort)

    async def take_over(self) -> None:
        """The lease is this console's, unless refused."""
        await self._pass()
        self.show(lease="")

    async def _pass(self) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.refuse is not None:
            raise self.refuse

    def results(self) -> Results:
        """From the evaluations in the snapshot."""
        return results_of(self.experiment, self.snapshot)

    def failed_items(self) -> tuple[FailedItem, ...]:
        """What a test put there."""
        return self.items
