"""What is compared and judged, kept as of the first launch of an experiment, and how often its results were read since.

``analysis_plan.json`` in the experiment's runs folder is written once and never replaced. ``looks.jsonl`` beside it has a
line for each set of runs whose results were read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from console.format import GATE_LABELS
from console.format import counted as counted_text
from console.results.analysis.records import PlanStatus
from console.results.records import Results, counted_runs
from console.sanitize import sanitize_line
from engine.contract.analysis_settings import ExpectedOutcome, Metric
from engine.contract.durable import sync_folder, write_durably
from engine.contract.experiment import Experiment, Gates
from engine.contract.settings import run_ids
from engine.contract.validation_words import error_in_words

PLAN, LOOKS = "analysis_plan.json", "looks.jsonl"
KEPT_EXPERIMENT = "experiment.toml"
"""File in an experiment's runs folder with its text as of the last launch, derived conditions included."""
MAX_FILE = 1 << 20
_unwritten_looks: dict[Path, set[str]] = {}
"""Looks that could not be written, such as in a folder of another user, by experiment folder."""


class Plan(Struct, frozen=True):
    """What is decided, by what, for which conditions and seeds; those that were added after results were read are none.

    ``margin_points`` and the ranges of ``outcomes`` are in percentage points.
    """

    experiment: str
    profile: str
    conditions: tuple[str, ...]
    seeds: tuple[int, ...]
    gates: Gates
    metric: Metric
    comparisons: tuple[tuple[str, str], ...]
    control: str | None
    must_not_regress: tuple[str, ...]
    margin_points: float
    level: float
    gate_level: float
    outcomes: dict[str, ExpectedOutcome]

    def fingerprint(self) -> str:
        """SHA-256 of the plan."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


class PlanFile(Struct, frozen=True):
    """Content of ``analysis_plan.json``; ``runs_before`` counts run folders that were there when it was written."""

    plan: Plan
    fingerprint: str
    written_at: str
    runs_before: int = 0


class Look(Struct, frozen=True):
    """A line of ``looks.jsonl``: the results of ``runs`` were read, those of all conditions compared by plan."""

    runs: tuple[str, ...]
    at: str

    @property
    def key(self) -> str:
        return " ".join(sorted(self.runs))


def plan_of(experiment: Experiment, profile: str) -> Plan:
    """The plan that the experiment states now."""
    runs = run_ids(experiment, profile)
    names = dict.fromkeys(run.condition for run in runs)
    conditions = tuple(name for name in names if experiment.conditions[name].derived is None)
    added = {seed for one in experiment.added_seeds if profile in one.profiles for seed in one.seeds}
    settings = experiment.analysis
    return Plan(
        experiment.name,
        profile,
        conditions,
        tuple(dict.fromkeys(run.seed for run in runs if run.seed not in added)),
        experiment.gates,
        settings.metric,
        settings.pairs(conditions),
        settings.control_of(conditions),
        settings.must_not_regress,
        settings.margin_points,
        settings.level,
        settings.gate_level,
        {name: one for name, one in experiment.outcomes.items() if name in conditions},
    )


def write_plan(folder: Path, plan: Plan, now: datetime | None = None) -> bool:
    """Write ``plan`` into the experiment's ``folder`` unless there is one; True if this call wrote it. Blocks.

    Raises:
        OSError: it cannot be written.
    """
    path = folder / PLAN
    if path.exists():
        return False
    folder.mkdir(parents=True, exist_ok=True)
    before = sum((one / "state.json").exists() for one in folder.iterdir() if one.is_dir())
    file = PlanFile(plan, plan.fingerprint(), _utc(now), before)
    temporary = folder / f".{PLAN}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as out:
            out.write(msgspec.json.format(msgspec.json.encode(file)) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        os.link(temporary, path)  # unlike a rename, it fails where another process has just written one
    except FileExistsError:
        return False
    finally:
        with suppress(OSError):
            temporary.unlink()
    sync_folder(folder)
    return True


def keep_experiment(folder: Path, experiment: Experiment) -> None:
    """Keep the text of ``experiment`` in its runs folder, so that the folder can be read without its file. Blocks.

    Raises:
        OSError: it cannot be written.
    """
    path, text = folder / KEPT_EXPERIMENT, experiment.text.encode()
    if not path.is_file() or path.read_bytes() != text:
        write_durably(path, text)


def read_plan(folder: Path) -> tuple[PlanFile | None, str]:
    """The plan that was kept, or None, and what is wrong with its file; "" if nothing is. Blocks."""
    try:
        content = _read(folder / PLAN)
        file = msgspec.json.decode(content, type=PlanFile)
    except FileNotFoundError:
        return None, ""
    except (OSError, msgspec.MsgspecError, RecursionError) as error:
        return None, sanitize_line(f"{PLAN} cannot be read, what was planned is not known: {error_in_words(error)}")
    if file.plan.fingerprint() != file.fingerprint:
        return file, f"{PLAN} was altered after it was written: its fingerprint does not fit"
    return file, ""


def level_after(looks: int, level: float) -> float:
    """The level of the results read with the ``looks``-th set of runs, where the first set has ``level``.

    The levels of k looks add up to ``level * (1 + 1/2 + ... + 1/k)``, which bounds how often any of them errs.
    """
    return level / looks


def plan_status(folder: Path, experiment: Experiment, results: Results) -> tuple[PlanStatus, Plan | None]:
    """The status of the plan in ``folder``, and the plan if one was kept; notes that ``results`` are read. Blocks."""
    profile, counted = results.profile, counted_runs(results)
    present = plan_of(experiment, profile)
    file, problem = read_plan(folder)
    planned = file.plan if file else None
    compared = {name for pair in present.comparisons for name in pair} or set(present.conditions)
    runs = tuple(sorted(str(run) for name, own in counted.items() if name in compared for run in own))
    looks, look_problem = note_look(folder, runs, complete=_is_complete(results, compared))
    notes = [problem, look_problem]
    if file and file.runs_before:
        notes.append(f"the plan was written when {counted_text(file.runs_before, 'run')} had been launched already")
    if planned is None and any(counted.values()) and not problem:
        notes.append("no plan was kept at the first launch: what is compared is what the experiment states now")
    level = level_after(looks, present.level)
    if looks > 1:
        notes.append(f"results were read with {looks} sets of runs: {present.level:g} became {level:g}")
    status = PlanStatus(
        file.fingerprint if file else "",
        sanitize_line(file.written_at) if file else "",
        tuple(sanitize_line(text, limit=300) for text in (plan_changes(planned, present) if planned else ())),
        looks,
        level,
        tuple(sanitize_line(note, limit=300) for note in notes if note),
    )
    return status, planned


def _is_complete(results: Results, conditions: Collection[str]) -> bool:
    """Whether every run of ``conditions`` is counted and can be compared."""
    compared = [one for one in results.conditions if one.condition in conditions]
    return results.comparable and all(one.evaluated == one.total for one in compared)


def plan_changes(planned: Plan, present: Plan) -> list[str]:
    """What the experiment states otherwise now than at its first launch, in words."""
    found = [
        f"gate {GATE_LABELS.get(name, name)} was {100 * before:g}, now {100 * now:g}"
        for name in Gates.__struct_fields__
        if (before := getattr(planned.gates, name)) != (now := getattr(present.gates, name))
    ]
    found += _list_changes("condition", planned.conditions, present.conditions)
    found += _list_changes("seed", planned.seeds, present.seeds)
    found += _list_changes("comparison", *(map(_pair_text, one.comparisons) for one in (planned, present)))
    found += _list_changes("what must not regress:", planned.must_not_regress, present.must_not_regress)
    found += [
        f"{name} was {before}, now {now}"
        for field, name in (
            ("metric", "the compared metric"),
            ("control", "the control"),
            ("margin_points", "the margin in points"),
            ("level", "the level"),
            ("gate_level", "the level of the gates"),
        )
        if (before := getattr(planned, field)) != (now := getattr(present, field))
    ]
    if planned.outcomes != present.outcomes:
        names = sorted(
            name
            for name in {*planned.outcomes, *present.outcomes}
            if planned.outcomes.get(name) != present.outcomes.get(name)
        )
        found.append(f"the expected outcome of {', '.join(names)} was changed")
    return found


def _list_changes(noun: str, before: Iterable[object], now: Iterable[object]) -> Iterator[str]:
    before, now = list(before), list(now)
    yield from (f"{noun} {one} was added" for one in now if one not in before)
    yield from (f"{noun} {one} was removed" for one in before if one not in now)


def _pair_text(pair: tuple[str, str]) -> str:
    return f"{pair[0]} - {pair[1]}"


def note_look(folder: Path, runs: tuple[str, ...], *, complete: bool, now: datetime | None = None) -> tuple[int, str]:
    """How many sets of runs had their results read, ``runs`` among them, and why one of them is not kept. Blocks.

    The same set again is no further look. Of runs that are not ``complete`` nothing is concluded: they are counted now,
    but not kept. A set that cannot be written is counted as long as this process lives.

    Returns:
        The number, at least 1, and "" or the problem in words.
    """
    problem = ""
    try:
        known = {look.key for look in _read_looks(folder)}
    except OSError as error:
        known, problem = set(), f"{LOOKS} cannot be read ({error.strerror}): earlier looks at results are not counted"
    unwritten = _unwritten_looks.setdefault(folder, set())
    look = Look(runs, _utc(now))
    if runs and complete and look.key not in known:
        try:
            with open(folder / LOOKS, "ab") as file:  # one write, so that lines of two processes do not mix
                file.write(msgspec.json.encode(look) + b"\n")
            unwritten.discard(look.key)
        except OSError as error:
            unwritten.add(look.key)
            problem = problem or f"{LOOKS} cannot be written ({error.strerror}): this look counts in this process only"
    return max(1, len(known | unwritten | ({look.key} if runs else set()))), problem


def _read_looks(folder: Path) -> list[Look]:
    """The looks that were written; lines that are none are left out, such as one that a power cut made incomplete."""
    try:
        content = _read(folder / LOOKS)
    except FileNotFoundError:
        return []
    looks = []
    for line in content.splitlines():
        with suppress(msgspec.MsgspecError, RecursionError):
            looks.append(msgspec.json.decode(line, type=Look))
    return looks


def _read(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(MAX_FILE)


def _utc(now: datetime | None) -> str:
    return (now or datetime.now(UTC)).isoformat(timespec="seconds")
