"""Results of an experiment's local copies, read again as they change: what views 4 and 5 and the commands show. Asks no host."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from console.results.records import Results, counted_runs
from console.runs.snapshot import Snapshot
from engine.contract.experiment import Experiment
from engine.contract.run_folder import RunFolder
from engine.contract.settings import RunId, run_ids
from engine.contract.state import RunState

if TYPE_CHECKING:  # data frames, which take a while to import
    from console.results.descriptions.load_training import Recordings
    from console.results.experiment_report import ExperimentReport
    from console.results.items.detail import ItemDetail
    from console.results.items.items import ItemTable
    from console.results.load import LoadedRuns
    from console.results.next_steps.decisions import Decision


class LocalResults:
    """The local copies of one experiment's runs under one profile; its methods block while they read files.

    They may be called from several threads. Files that have not changed are read once.

    Args:
        folder: the experiment's runs folder.

    Attributes:
        experiment: may be replaced by one to which conditions or seeds were added.
    """

    def __init__(self, folder: Path, experiment: Experiment, profile: str) -> None:
        self.experiment = experiment
        self._folder = folder
        self._profile = profile
        self._reading = threading.Lock()
        self._loaded: LoadedRuns | None = None
        self._recordings: Recordings | None = None

    def load(self) -> LoadedRuns:
        """Every run of the profile with its capsule, or why it has none."""
        from console.results.load import load

        with self._reading:  # views 4 and 5 ask from two threads: the second finds what the first has read
            self._loaded = load(self._folder, run_ids(self.experiment, self._profile), self._loaded)
            return self._loaded

    def results(
        self, states: Mapping[RunId, RunState | None] | None = None, damaged: Mapping[RunId, str] | None = None
    ) -> Results:
        """Means and verdicts run by run; ``states`` and ``damaged`` as for ``aggregate``."""
        return self._results(states, damaged)[1]

    def report(
        self, states: Mapping[RunId, RunState | None] | None = None, damaged: Mapping[RunId, str] | None = None
    ) -> ExperimentReport:
        """The results with the decision on them, which takes seconds; notes that results were read."""
        from console.results.descriptions.load_training import load_training
        from console.results.experiment_report import report_of

        loaded, results = self._results(states, damaged)
        with self._reading:
            recordings = self._recordings = load_training(self._folder, loaded.runs, self._recordings)
        return report_of(self.experiment, loaded, results, self._folder, recordings)

    def items(
        self, states: Mapping[RunId, RunState | None] | None = None, damaged: Mapping[RunId, str] | None = None
    ) -> ItemTable:
        """The evaluation items of all counted runs."""
        from console.results.items.items import item_table

        loaded, results = self._results(states, damaged)
        return item_table(loaded, (run for of in counted_runs(results).values() for run in of), self.experiment)

    def item_detail(self, run: RunId, kind: str, item_id: str) -> ItemDetail:
        """One item as ``run`` saved it.

        Raises:
            UnusableCapsule: it cannot be read, or the run has no usable local copy.
        """
        from console.results.items.detail import read_item
        from console.results.load import UnusableCapsule

        loaded = self._loaded.runs.get(run) if self._loaded is not None else None
        if loaded is None or loaded.capsule is None:
            raise UnusableCapsule(f"{run.label} has no usable local copy")
        path = RunFolder(self._folder / str(run)).items
        return read_item(path, loaded.capsule.metrics.items_sha256, kind, item_id)

    def record_decision(self, decision: Decision) -> None:
        """Append ``decision`` to those in the runs folder; raises BadInput if it cannot be written."""
        from console.results.next_steps.decisions import record_decision

        record_decision(self._folder, decision)

    def _results(
        self, states: Mapping[RunId, RunState | None] | None, damaged: Mapping[RunId, str] | None
    ) -> tuple[LoadedRuns, Results]:
        from console.results.aggregate import aggregate

        loaded = self.load()
        return loaded, aggregate(self.experiment, self._profile, loaded, states, damaged)


class SessionResults(ABC):
    """Base class of sessions, with a host or without: results, report, items and decisions of the local copies."""

    def __init__(self, folder: Path, experiment: Experiment, profile: str) -> None:
        self._local = LocalResults(folder, experiment, profile)

    @property
    @abstractmethod
    def snapshot(self) -> Snapshot:
        """The newest snapshot of runs and host."""

    def results(self) -> Results:
        """The results of the local copies; damaged ones are not counted. Blocks while it reads files."""
        return self._local.results(*self._known_of_runs())

    def report(self) -> ExperimentReport:
        """The results with the decision on them. Blocks while it reads files and computes."""
        return self._local.report(*self._known_of_runs())

    def items(self) -> ItemTable:
        """The evaluation items of all counted runs. Blocks while it reads files."""
        return self._local.items(*self._known_of_runs())

    def item_detail(self, run: RunId, kind: str, item_id: str) -> ItemDetail:
        """One item as ``run`` saved it. Blocks while it reads the file; raises UnusableCapsule."""
        return self._local.item_detail(run, kind, item_id)

    def record_decision(self, decision: Decision) -> None:
        """Record ``decision`` in the runs folder. Blocks; raises BadInput if it cannot be written."""
        self._local.record_decision(decision)

    def _known_of_runs(self) -> tuple[dict[RunId, RunState | None], dict[RunId, str]]:
        """State of each run, and the reason for each damaged local copy."""
        snapshot = self.snapshot
        damaged = {run: sync.note for run, sync in snapshot.sync_states.items() if sync.status == "damaged"}
        return {run: view.state for run, view in snapshot.runs.items()}, damaged
