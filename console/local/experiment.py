"""Finds the experiment that a local folder holds, without its file: by the text kept there, or by what its runs recorded."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from console.local.recorded_experiment import recorded_experiment, recorded_files
from console.results.analysis.plan import KEPT_EXPERIMENT, read_plan
from engine.contract.bad_input import BadInput
from engine.contract.experiment import Experiment, profile_of
from engine.contract.experiment_reader import parse_experiment, read_experiment
from engine.contract.experiment_text import read_experiment_text
from engine.contract.run_folder import MANIFEST, SPEC, STATE
from engine.contract.settings import RunId, Settings, read_spec, run_ids

LIVE = ".live"  # folder with the copies of runs that are not sealed
_RUN = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,63})_seed(0|[1-9]\d{0,9})")
_FIELD = "DIR"


class LocalExperiment(NamedTuple):
    """An experiment and its folder of runs.

    Attributes:
        experiment_file: where its text is, or would be if it was kept.
        runs: all of the profile.
        unnamed: runs in the folder that are none of these.
        others: further experiments in the folder that was asked for.
    """

    folder: Path
    experiment: Experiment
    experiment_file: Path
    profile: str
    runs: tuple[RunId, ...]
    unnamed: int = 0
    others: tuple[Path, ...] = ()


def find_experiment(path: Path, file: Path | None = None) -> LocalExperiment:
    """The experiment in ``path``: its folder of runs, one of its runs, or a folder that holds it; of several the newest.

    Args:
        file: the experiment's file, in place of the text that is kept with the runs. Blocks.

    Raises:
        BadInput: there is no such folder, it cannot be read or holds no run, or the experiment is unusable.
    """
    folder, *others = _folders(path)
    found = local_runs(folder)
    recorded = {run: settings for run in found if (settings := _recorded(folder, run)) is not None}
    kept = folder / KEPT_EXPERIMENT
    if file is not None:
        experiment = read_experiment(file)
    elif kept.is_file():
        experiment = parse_experiment(read_experiment_text(kept), known_files=recorded_files(folder, recorded.values()))
    else:
        plan, _ = read_plan(folder)
        name = _most_common([one.experiment for one in recorded.values()]) or folder.name
        profile = _most_common([one.profile for one in recorded.values()]) or "full"
        experiment = recorded_experiment(name, profile, found, recorded, plan.plan if plan else None, folder)
    profile = _profile(folder, experiment, recorded)
    runs = run_ids(experiment, profile)
    unnamed = len(set(found).difference(runs))
    return LocalExperiment(folder, experiment, file or kept, profile, runs, unnamed, tuple(others))


def local_runs(folder: Path) -> list[RunId]:
    """The runs that ``folder`` holds, sealed or not, by condition and seed; none where it cannot be read. Blocks."""
    names = (MANIFEST, STATE, SPEC)
    sealed = (run for run in _named_runs(folder) if any((folder / str(run) / name).is_file() for name in names))
    return sorted({*sealed, *_named_runs(folder / LIVE)})


def run_of_name(name: str) -> RunId | None:
    """The run whose folder is called ``name``, such as ``A_seed42``; None if that is no run's name."""
    found = _RUN.fullmatch(name)
    return RunId(found[1], int(found[2])) if found else None


def _named_runs(folder: Path) -> Iterator[RunId]:
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.is_dir()]
    except OSError:
        return
    yield from (run for name in names if (run := run_of_name(name)) is not None)


def _folders(path: Path) -> list[Path]:
    """The folders of experiments in ``path``, the one that changed last first; raises BadInput."""
    try:
        path = path.absolute()
        entries = [Path(entry.path) for entry in os.scandir(path) if entry.is_dir() and entry.name[0] != "."]
    except FileNotFoundError:
        raise BadInput("no such folder", file=path, field=_FIELD) from None
    except NotADirectoryError:
        raise BadInput("is a file; name the folder that runs were synced to", file=path, field=_FIELD) from None
    except (OSError, ValueError) as error:  # such as a name with a null byte
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise BadInput(f"cannot be read: {reason}", file=path, field=_FIELD) from error
    if local_runs(path):
        return [path]
    if (run := run_of_name(path.name)) is not None and run in local_runs(path.parent):
        return [path.parent]
    found = [entry for entry in entries if local_runs(entry)]
    if not found:
        message = "holds no run: neither folders such as A_seed42 nor a folder of an experiment"
        raise BadInput(message, file=path, field=_FIELD)
    return sorted(found, key=lambda folder: folder.stat().st_mtime_ns, reverse=True)


def _recorded(folder: Path, run: RunId) -> Settings | None:
    """The settings that ``run`` recorded; None without its spec."""
    try:
        settings = read_spec(folder / str(run) / SPEC).settings
    except BadInput:
        return None
    return settings if settings.run == run else None


def _profile(folder: Path, experiment: Experiment, recorded: dict[RunId, Settings]) -> str:
    """The profile that most runs recorded, or that the folder's name tells; raises BadInput if there is none such."""
    profile = _most_common([settings.profile for settings in recorded.values()])
    if profile is None:
        named = folder.name.removeprefix(f"{experiment.name}-")
        profile = named if named in experiment.profiles else next(iter(experiment.profiles), "full")
    profile_of(experiment, profile)
    return profile


def _most_common(values: list[str]) -> str | None:
    return Counter(values).most_common(1)[0][0] if values else None
