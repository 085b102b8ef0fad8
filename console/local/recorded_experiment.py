"""The experiment that runs recorded: made again from their settings where its file is not known. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from console.results.analysis.plan import Plan
from engine.contract.analysis_settings import AnalysisSettings
from engine.contract.derived import AddedSeeds, Derivation
from engine.contract.experiment import Condition, Curriculum, DataSettings, Experiment, Profile
from engine.contract.input_files import DevelopmentFiles, HashedFile, InputFile, UserEvaluation
from engine.contract.overrides import Overrides
from engine.contract.settings import RunId, Settings

TABLES = ("encoder", "model", "training", "synthetics")
NOT_RECORDED = "not recorded with the runs"
_NO_TIME = "1970-01-01T00:00:00Z"


def recorded_experiment(
    name: str,
    profile: str,
    runs: Sequence[RunId],
    recorded: Mapping[RunId, Settings],
    plan: Plan | None,
    folder: Path,
) -> Experiment:
    """The experiment of ``runs`` under ``profile``, whose resolved settings are those that the runs recorded.

    Titles, hypothesis and contingencies are not recorded. A condition has the settings of most of its runs, the first
    condition is the base. What the kept ``plan`` does not name was added later.
    """
    conditions = tuple(dict.fromkeys(run.condition for run in runs))
    settings = {
        condition: _most_common(one for run, one in recorded.items() if run.condition == condition)
        for condition in conditions
    }
    known = [one for one in settings.values() if one is not None]
    base = known[0] if known else None
    curricula: dict[str, Curriculum] = {}
    made = {condition: _condition(one, base, curricula) for condition, one in settings.items()}
    seeds = tuple(sorted({run.seed for run in runs}))
    planned_seeds = tuple(seed for seed in plan.seeds if seed in seeds) if plan else seeds
    if plan:
        made = {one: _derived(one, condition, profile, plan, made) for one, condition in made.items()}
        made = {one: made[one] for one in (*(name for name in plan.conditions if name in made), *made)}
    later = tuple(seed for seed in seeds if seed not in planned_seeds)
    stated: dict[str, Any] = {} if base is None else {name: getattr(base, name) for name in (*TABLES, "gates")}
    if base is not None:
        stated["data"] = DataSettings(base.data_seed, base.reference_encoder)
        stated |= _evaluation(base.inputs)
    if plan:
        stated["gates"] = plan.gates
        stated["analysis"] = _analysis(plan, tuple(made))
        stated["outcomes"] = {one: outcome for one, outcome in plan.outcomes.items() if one in made}
    planned = tuple(name for name, condition in made.items() if condition.derived is None)
    return Experiment(
        name=name,
        hypothesis=NOT_RECORDED,
        seeds=planned_seeds,
        conditions=made,
        curricula=curricula,
        profiles={
            profile: Profile(profile, planned, planned_seeds, data=base.data) if base else Profile(profile, planned)
        },
        added_seeds=(AddedSeeds(later, NOT_RECORDED, _NO_TIME, (profile,)),) if later else (),
        files=recorded_files(folder, recorded.values()),
        **stated,
    )


def recorded_files(folder: Path, recorded: Iterable[Settings]) -> dict[str, HashedFile]:
    """The user's own files that runs recorded, by name, with paths in ``folder``, where they need not exist."""
    files = (file for settings in recorded for file in settings.inputs)
    return {file.name: HashedFile(folder / file.name, file.sha256, file.size) for file in files}


def _most_common(settings: Iterable[Settings]) -> Settings | None:
    """The settings of most runs, less their seeds."""
    counts = Counter(msgspec.structs.replace(one, seed=0) for one in settings)
    return counts.most_common(1)[0][0] if counts else None


def _condition(settings: Settings | None, base: Settings | None, curricula: dict[str, Curriculum]) -> Condition:
    """The condition of these settings; its curriculum is added to ``curricula``."""
    if settings is None or base is None:
        curricula.setdefault("uniform", Curriculum())
        return Condition(NOT_RECORDED, "uniform")
    changes: dict[str, Any] = {name: _changes(getattr(base, name), getattr(settings, name)) for name in TABLES}
    return Condition(
        "as its runs recorded it",
        _curriculum(settings.curriculum, curricula),
        settings.edition,
        bundles=tuple(file.name for file in settings.inputs if file.role == "bundles"),
        dev=tuple(file.name for file in settings.inputs if file.role == "dev"),
        **changes,
    )


def _changes(base: msgspec.Struct, own: msgspec.Struct) -> Overrides:
    before, now = msgspec.to_builtins(base), msgspec.to_builtins(own)
    return {field: value for field, value in now.items() if value != before[field]}


def _curriculum(curriculum: Curriculum, curricula: dict[str, Curriculum]) -> str:
    """The name of ``curriculum`` among ``curricula``, to which it is added if it is new."""
    name = next((name for name, known in curricula.items() if known == curriculum), None)
    if name is None:
        weights = (f"{value:g}" for value in msgspec.structs.astuple(curriculum))
        name = "uniform" if curriculum == Curriculum() else "-".join(weights)
        curricula[name] = curriculum
    return name


def _derived(name: str, condition: Condition, profile: str, plan: Plan, known: Mapping[str, Condition]) -> Condition:
    """``condition``, marked as derived if the plan, which is kept at the first launch, does not name it."""
    if name in plan.conditions:
        return condition
    parent = name.rpartition(".")[0]  # B.2 is derived from B
    if parent not in known:
        parent = next((one for one in plan.conditions if one in known), name)
    if parent == name:
        return condition
    return msgspec.structs.replace(condition, derived=Derivation(parent, NOT_RECORDED, _NO_TIME, (profile,)))


def _evaluation(inputs: Sequence[InputFile]) -> dict[str, Any]:
    """The tables of the experiment that name the user's own files for development and evaluation."""
    found: dict[str, Any] = {}
    roles = {file.role: file.name for file in inputs if file.role in ("retrieval", "coherence", "attention", "killers")}
    if "retrieval" in roles and "coherence" in roles:
        found["evaluation"] = UserEvaluation(**roles)
    development: dict[str, dict[str, str]] = {}
    for file in inputs:
        if file.development:
            development.setdefault(file.development, {})[file.role.removeprefix("development_")] = file.name
    found["development"] = {name: DevelopmentFiles(**files) for name, files in development.items()}
    return found


def _analysis(plan: Plan, conditions: tuple[str, ...]) -> AnalysisSettings:
    guarded: tuple[Any, ...] = plan.must_not_regress  # a file that is kept: names that are unknown now stay
    return AnalysisSettings(
        metric=plan.metric,
        comparisons=tuple(pair for pair in plan.comparisons if {*pair} <= {*conditions}),
        control=plan.control if plan.control in conditions else None,
        must_not_regress=guarded,
        margin_points=plan.margin_points,
        level=plan.level,
        gate_level=plan.gate_level,
    )
