"""LocalSession: what is synced of one experiment, shown without a host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING, NoReturn

from msgspec.structs import replace

from console.hosts.pull.local_runs import LocalRun
from console.hosts.pull.verify import VerifyResult, verify_runs
from console.local.experiment import LocalExperiment
from console.results.local_results import SessionResults
from console.runs.launch_plan import AbortPlan, LaunchPlan
from console.runs.log_store import LogStore
from console.runs.snapshot import HostView, Link, Snapshot, SyncState
from console.runs.staleness import POLL_WAIT_S
from engine.contract.bad_input import BadInput
from engine.contract.settings import RunId

if TYPE_CHECKING:
    from console.results.next_steps.derive import Addition
    from console.runs.launch_attempts import Outcome
    from console.runs.set_aside import SetAside

NO_HOST = "only local copies are shown: no host is asked, and nothing is launched, aborted or repaired"


class LocalSession(SessionResults):
    """A session without a host: the runs of one local folder, read again as another console syncs into it.

    What needs a host raises BadInput.

    Attributes:
        experiment, experiment_file: what was run, and where its text is if that was kept.
        ready: set once all runs have been read.
        stopped: never set.
    """

    LINK: Link = "local"

    def __init__(self, found: LocalExperiment) -> None:
        super().__init__(found.folder, found.experiment, found.profile)
        self.experiment = found.experiment
        self.experiment_file = found.experiment_file
        self.ready = asyncio.Event()
        self.stopped = asyncio.Event()
        self._found = found
        self._runs = {run: LocalRun(found.folder, run) for run in found.runs}
        self._damaged: dict[RunId, tuple[str, str]] = {}
        self._version = 0
        self._snapshot = self._new_snapshot()

    @property
    def snapshot(self) -> Snapshot:
        """The runs as they were read last."""
        return self._snapshot

    def _host(self) -> HostView:
        found = self._found
        detail = "" if self.ready.is_set() else "Reading the local copies."
        return HostView("", "local copy", "", str(found.folder), self.LINK, detail, unnamed_runs=found.unnamed)

    def _new_snapshot(self) -> Snapshot:
        views = {run: local.view for run, local in self._runs.items()}
        syncs = {run: self._sync_state(local) for run, local in self._runs.items()}
        return Snapshot(self._host(), self._found.folder.name, self._found.profile, views, syncs, self._version)

    def _sync_state(self, local: LocalRun) -> SyncState:
        key, why = self._damaged.get(local.run, ("", ""))
        return replace(local.sync, status="damaged", note=why) if key and local.sync.key == key else local.sync

    def _notify(self) -> None:
        self._version += 1
        self._snapshot = self._new_snapshot()

    def log(self, run: RunId) -> LogStore:
        """The log of a run, read from its local file when it is looked at."""
        return self._runs[run].log

    async def run(self) -> None:
        """Read the runs, then look every other second for what another console has synced, until cancelled."""
        for local in self._runs.values():
            await asyncio.to_thread(local.refresh)
            self._notify()
        self.ready.set()
        self._notify()
        while True:
            await asyncio.sleep(POLL_WAIT_S)
            if await asyncio.to_thread(self._refresh):
                self._notify()

    def _refresh(self) -> bool:
        """Read what is new of all runs; True if there was anything. Blocks."""
        changed = [local.refresh() for local in self._runs.values()]
        return any(changed)

    def reconnect(self) -> None:
        """Accept the request to connect and ignore it: a local session has no host."""

    async def close(self) -> None:
        """End the session, which holds nothing open: a local one has no link to close."""

    def plan_launch(self, wanted: Iterable[RunId], *, restart: bool = False) -> LaunchPlan:
        """A launch plan that leaves every run as it is, as no host is asked."""
        return LaunchPlan((), tuple((run, "without a host") for run in wanted))

    def plan_abort(self, wanted: Iterable[RunId]) -> AbortPlan:
        """An abort plan that ends no run, as no host is asked."""
        return AbortPlan((), leave=tuple((run, "without a host") for run in wanted))

    async def launch(self, plan: LaunchPlan) -> Sequence[Outcome]:
        """Raise BadInput: there is no host."""
        raise BadInput(NO_HOST)

    async def abort(self, plan: AbortPlan) -> Sequence[Outcome]:
        """Raise BadInput: there is no host."""
        raise BadInput(NO_HOST)

    async def list_set_aside(self, run: RunId) -> SetAside:
        """Raise BadInput: there is no host."""
        raise BadInput(NO_HOST)

    async def restore(self, run: RunId, key: str, replaces: str) -> Outcome:
        """Raise BadInput: there is no host."""
        raise BadInput(NO_HOST)

    async def take_over(self) -> None:
        """Raise BadInput: there is no host."""
        raise BadInput(NO_HOST)

    @property
    def upkeep(self) -> NoReturn:
        """Raise BadInput: there is no host."""
        raise BadInput(NO_HOST)

    def pull_again(self) -> tuple[RunId, ...]:
        """Raise BadInput: there is no host."""
        raise BadInput(NO_HOST)

    async def check_experiment(self) -> None:
        """Do nothing: what was recorded beside the runs does not change."""

    async def add(self, addition: Addition) -> tuple[RunId, ...]:
        """Raise BadInput: there is no host."""
        raise BadInput(NO_HOST)

    async def verify_synced(self) -> AsyncIterator[VerifyResult]:
        """Hash the synced files again and compare them with their manifests; yields the progress."""
        synced = [run for run, local in self._runs.items() if local.sync.status == "synced"]
        steps = verify_runs(self._found.folder, synced)
        result = VerifyResult(0)
        while (step := await asyncio.to_thread(next, steps, None)) is not None:
            yield (result := step)
        self._damaged = {file.run: (file.key, f"{file.path}: {file.why}") for file in result.differing}
        self._notify()
