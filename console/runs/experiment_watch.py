"""The experiment in force: notices when its file, or the one of its derived conditions, has changed, and reads both again."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from console.runs.launch_plan import runs_text
from engine.contract.bad_input import BadInput
from engine.contract.experiment import Experiment
from engine.contract.experiment_reader import read_experiment
from engine.contract.experiment_text import derived_path
from engine.contract.overrides import flatten
from engine.contract.settings import RunId, Settings, resolve, run_ids

_Stamp = tuple[tuple[int, int, int] | None, ...]
_MAX_NAMED = 3  # settings in one line


class ExperimentChange(Struct, frozen=True):
    """Message about a changed experiment file, in one line, and whether the change is in force."""

    text: str
    applied: bool


class WatchedExperiment:
    """Experiment in force with the settings of its runs; tells whether its files have changed since they were read.

    Args:
        file: the experiment's file.
        experiment: as it was read from there.

    Attributes:
        experiment: what is in force; a file with the same text is no change.
        settings: of every run of the profile, in matrix order.
        fingerprints: SHA-256 of each run's settings.
    """

    def __init__(self, file: Path, experiment: Experiment, profile: str) -> None:
        self._file = file
        self._profile = profile
        self._seen = self._read = self._stamp()
        self.settings: dict[RunId, Settings] = {}
        self.use(experiment)

    def use(self, experiment: Experiment) -> str:
        """Put ``experiment`` in force; returns in one line what differs from the one before."""
        before = self.settings
        self.settings = {run: resolve(experiment, self._profile, run) for run in run_ids(experiment, self._profile)}
        self.fingerprints = {run: settings.fingerprint() for run, settings in self.settings.items()}
        self.experiment = experiment
        return _change_text(self._file, before, self.settings)

    def was_changed(self, run: RunId, fingerprint: str) -> bool:
        """Whether a run that was launched with settings of this ``fingerprint`` would have others now."""
        return bool(fingerprint) and fingerprint != self.fingerprints.get(run, fingerprint)

    def check(self) -> Experiment | None:
        """The experiment if its files have changed; None if not, or if they are still being written. Blocks shortly.

        A change is read once the files are the same in two calls: an editor may write them in several steps.

        Raises:
            BadInput: what was written is not valid, or not the experiment that is followed; once for each change.
        """
        stamp = self._stamp()
        if stamp == self._read:
            return None
        if stamp != self._seen:
            self._seen = stamp
            return None
        self._read = stamp
        experiment = read_experiment(self._file)
        if experiment == self.experiment:
            return None
        self.check_same(experiment)
        return experiment

    def check_same(self, new: Experiment) -> None:
        """Raise BadInput if ``new`` cannot take the place of the present experiment: it lacks runs that are followed."""
        file, reopen = self._file, "undo that, or press H and Enter to open the file as it is, which aborts no run"
        if new.name != self.experiment.name:
            raise BadInput(f"it is the experiment {new.name} now; {reopen}", file=file, field="name")
        if self._profile not in new.profiles:
            raise BadInput(
                f"there is no profile {self._profile} any more; undo that, or choose another one with H",
                file=file,
                field="profiles",
            )
        present = set(run_ids(new, self._profile))
        if gone := tuple(run for run in self.settings if run not in present):
            verb = "is" if len(gone) == 1 else "are"
            raise BadInput(f"{runs_text(gone)} {verb} no longer in it; {reopen}", file=file)

    def _stamp(self) -> _Stamp:
        return tuple(_stamp(path) for path in (self._file, derived_path(self._file)))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _change_text(file: Path, old: dict[RunId, Settings], new: dict[RunId, Settings]) -> str:
    """``scaling.toml was read again: adds B/7; training.batch_size differs for A/42 and A/123.``"""
    added = tuple(run for run in new if run not in old)
    changed = tuple(run for run, settings in new.items() if run in old and old[run] != settings)
    parts = [f"adds {runs_text(added)}"] if added else []
    if changed:
        names = list(dict.fromkeys(name for run in changed for name in _changed_names(old[run], new[run])))
        more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
        verb = "differs" if len(names) == 1 else "differ"
        parts.append(f"{', '.join(names[:_MAX_NAMED])}{more} {verb} for {runs_text(changed)}")
    return f"{file.name} was read again: {'; '.join(parts) or 'no run differs'}."


def _changed_names(old: Settings, new: Settings) -> list[str]:
    """Dotted names of the settings that differ."""
    before, now = (flatten(msgspec.to_builtins(one)) for one in (old, new))
    return [name for name in before | now if before.get(name) != now.get(name)]
