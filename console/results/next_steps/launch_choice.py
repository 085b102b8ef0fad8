"""What to launch, as it is typed: conditions, seeds and changed settings, checked and turned into runs with their settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct, structs

from console.results.next_steps.derive import Addition, Origin, added_seeds, derive, joined, planned, toml_value
from console.results.next_steps.setting_names import find_setting, parse_value, present_values
from console.sanitize import sanitize_line
from engine.contract.bad_input import BadInput
from engine.contract.experiment import Experiment
from engine.contract.experiment_reader import block_weight_mistakes
from engine.contract.settings import RunId, Settings, conditions_of, resolve, seeds_of, value_text
from engine.contract.validation_words import error_in_words

MAX_SEEDS = 1000  # of one range: more are a typing mistake
SEEDS_EXAMPLE = "seeds are whole numbers and ranges, such as 42, 700-705"
_RANGE = re.compile(r"(\d+)\s*(?:-|\.\.)\s*(\d+)")
_BETWEEN_SETTINGS = re.compile(r"\s*[;\n]\s*|[\s,]+(?=[A-Za-z_][\w.\-]*\s*=)")


class Typed(Struct, frozen=True):
    """Conditions, seeds and settings of a launch as the operator typed them.

    Attributes:
        conditions: their names; none: all of the profile, with changed settings those that are not derived.
        seeds: such as ``42,123,700-705``; "": all of the profile.
        settings: each ``NAME=VALUE``.
    """

    conditions: tuple[str, ...] = ()
    seeds: str = ""
    settings: tuple[str, ...] = ()


class InputError(Struct, frozen=True):
    """Error in what was typed into one field of the launch form, or given by one option of ``run``."""

    field: str
    message: str


class ChosenRun(Struct, frozen=True):
    """A run with the SHA-256 of its settings; ``is_new`` if the experiment does not have it yet."""

    run: RunId
    settings_hash: str
    is_new: bool


class ChosenCondition(Struct, frozen=True):
    """Condition that a launch is for: one of the experiment, or one derived by the settings that were typed.

    Attributes:
        name: its name, the proposed one if ``is_new``.
        parent: the condition whose settings were changed; "" if none were.
        differences: what differs from ``parent``, such as ``training.epochs 3 (A: 2)``.
    """

    name: str
    parent: str = ""
    differences: tuple[str, ...] = ()
    is_new: bool = False

    @property
    def text(self) -> str:
        """``A.2 is new, from A: training.epochs 3 (A: 2)``."""
        if not self.parent:
            return self.name
        known = "is new, from" if self.is_new else "has these settings already:"
        return f"{self.name} {known} {self.parent}{':' if self.is_new else ' with'} {', '.join(self.differences)}"


class LaunchChoice(Struct, frozen=True):
    """Runs chosen for a launch, and what has to be added to the experiment for them; no runs if there are ``errors``.

    Attributes:
        new_seeds: seeds that the profile does not have yet: it gets them for every condition.
        addition: what has to be added to the experiment first; None: nothing.
        experiment: with the addition.
    """

    experiment: Experiment
    runs: tuple[ChosenRun, ...] = ()
    conditions: tuple[ChosenCondition, ...] = ()
    new_seeds: tuple[int, ...] = ()
    addition: Addition | None = None
    errors: tuple[InputError, ...] = ()

    @property
    def run_ids(self) -> tuple[RunId, ...]:
        """The runs, condition by condition."""
        return tuple(one.run for one in self.runs)

    @property
    def lines(self) -> tuple[str, ...]:
        """What is new or changed, a line each; none if nothing is."""
        lines = [one.text for one in self.conditions if one.parent]
        if self.new_seeds:
            lines.append(f"new for every condition: {seeds_text(self.new_seeds)}")
        return tuple(lines)


def split_settings(typed: str) -> tuple[str, ...]:
    """The settings in one line: ``training.epochs=3; curriculum.tier3=2.0``; the semicolon may be a comma or a space."""
    return tuple(part.strip(" ,") for part in _BETWEEN_SETTINGS.split(typed) if part.strip(" ,"))


def parse_seeds(typed: str) -> tuple[int, ...]:
    """Seeds of ``42, 123, 700-705``, each once, in that order.

    Raises:
        BadInput: it is no list of seeds.
    """
    seeds: dict[int, None] = {}
    ranges_without_spaces = re.sub(r"\s*(-|\.\.)\s*", r"\1", typed)
    for part in filter(None, re.split(r"[,;\s]+", ranges_without_spaces)):
        shown = sanitize_line(part, limit=40)
        ends = _RANGE.fullmatch(part)
        if ends is None and not re.fullmatch(r"[0-9]+", part):
            raise BadInput(f"{shown} is no seed; {SEEDS_EXAMPLE}", field="seeds")
        first, last = (part, part) if ends is None else ends.groups()
        if max(len(first), len(last)) > 10 or int(last) >= 2**31:
            raise BadInput(f"{shown}: a seed is at most 2,147,483,647", field="seeds")
        if int(last) < int(first):
            raise BadInput(f"{shown} ends before it begins", field="seeds")
        if int(last) - int(first) >= MAX_SEEDS:
            raise BadInput(f"{shown} has more than {MAX_SEEDS} seeds", field="seeds")
        seeds |= dict.fromkeys(range(int(first), int(last) + 1))
    return tuple(seeds)


def seeds_text(seeds: Iterable[int]) -> str:
    """``seed 7``, ``seeds 7, 700-705``."""
    groups: list[list[int]] = []
    for seed in seeds:
        if groups and seed == groups[-1][-1] + 1:
            groups[-1].append(seed)
        else:
            groups.append([seed])
    parts = [f"{one[0]}-{one[-1]}" if len(one) > 2 else ", ".join(map(str, one)) for one in groups]
    return f"seed{'' if sum(map(len, groups)) == 1 else 's'} {', '.join(parts)}"


def choose(experiment: Experiment, profile: str, typed: Typed, origin: Origin) -> LaunchChoice:
    """Turn ``typed`` into runs with their settings.

    Changed settings make a derived condition of each chosen one; where a condition has exactly these settings already,
    it is that one, so that choosing the same again adds nothing.
    """
    errors: list[InputError] = []
    try:
        conditions = _conditions(experiment, profile, typed)
    except BadInput as error:
        errors.append(InputError("conditions", error.message))
    try:
        seeds = parse_seeds(typed.seeds) or seeds_of(experiment, profile)
    except BadInput as error:
        errors.append(InputError("seeds", error.message))
    changes, wrong = parse_settings(experiment, typed.settings)
    errors += wrong
    if errors:
        return LaunchChoice(experiment, errors=tuple(errors))
    known_seeds = seeds_of(experiment, profile)
    new_seeds = tuple(seed for seed in seeds if seed not in known_seeds)
    additions = [added_seeds(new_seeds, origin)] if new_seeds else []
    now = planned(experiment, joined(additions))
    chosen: dict[str, ChosenCondition] = {}
    for name in conditions:
        try:
            condition, addition = _changed(now, profile, name, changes, origin)
        except BadInput as error:
            return LaunchChoice(experiment, errors=(InputError("settings", str(error)),))
        if addition is not None:
            additions.append(addition)
            now = planned(now, addition)
        if condition.name not in chosen or condition.parent:
            chosen[condition.name] = condition
    known = {RunId(name, seed) for name in conditions_of(experiment, profile) for seed in known_seeds}
    runs = (RunId(name, seed) for name in chosen for seed in seeds)
    return LaunchChoice(
        now,
        tuple(ChosenRun(run, resolve(now, profile, run).fingerprint(), run not in known) for run in runs),
        tuple(chosen.values()),
        new_seeds,
        joined(additions) if additions else None,
    )


def parse_settings(experiment: Experiment, typed: Iterable[str]) -> tuple[dict[str, Any], list[InputError]]:
    """Value by name of each ``NAME=VALUE``, and what is wrong with others."""
    changes: dict[str, Any] = {}
    errors = []
    for one in typed:
        name, equals, value = one.partition("=")
        try:
            setting = find_setting(name)
            if not equals:
                raise BadInput(f"its value is missing: {setting.name}={setting.value}", field=setting.name)
            if setting.name in changes:
                raise BadInput("is given twice", field=setting.name)
            changes[setting.name] = parse_value(setting, value, experiment)
        except BadInput as error:
            errors.append(InputError("settings", str(error)))
    return changes, errors


def _conditions(experiment: Experiment, profile: str, typed: Typed) -> tuple[str, ...]:
    known = conditions_of(experiment, profile)
    for name in typed.conditions:
        if name not in known:
            shown = sanitize_line(name, limit=64)
            raise BadInput(f"no condition {shown!r} in profile {profile}; known: {', '.join(known)}")
    if typed.conditions:
        return tuple(dict.fromkeys(typed.conditions))
    return tuple(name for name in known if not typed.settings or experiment.conditions[name].derived is None)


def _changed(
    experiment: Experiment, profile: str, name: str, changes: Mapping[str, Any], origin: Origin
) -> tuple[ChosenCondition, Addition | None]:
    """Condition ``name`` with ``changes``: itself, another one that has these settings, or a new one and its addition.

    Raises:
        BadInput: the changes do not fit each other or the condition.
    """
    present = present_values(experiment, profile, name)
    different = {field: value for field, value in changes.items() if value != present[field]}
    if not different:
        return ChosenCondition(name), None
    addition = derive(experiment, profile, name, _toml(different), origin)
    (new,) = addition.names
    with_new = planned(experiment, addition)
    settings = _settings(with_new, profile, new)
    for field, message in block_weight_mistakes(with_new, new):
        raise BadInput(message, field=field.removeprefix(f"conditions.{new}."))
    differences = tuple(
        f"{field} {value_text(value)} ({name}: {value_text(present[field])})" for field, value in different.items()
    )
    for other in experiment.conditions:
        if _settings(experiment, profile, other) == settings:
            if other not in conditions_of(experiment, profile):
                raise BadInput(f"these are the settings of {other}, which profile {profile} does not have")
            return ChosenCondition(other, "" if other == name else name, differences), None
    return ChosenCondition(new, name, differences, is_new=True), addition


def _settings(experiment: Experiment, profile: str, condition: str) -> Settings:
    try:
        return structs.replace(resolve(experiment, profile, RunId(condition, 0)), condition="")
    except msgspec.ValidationError as error:  # fields that do not fit each other, said in words by the structs
        raise BadInput(error_in_words(error)) from error


def _toml(changes: Mapping[str, Any]) -> str:
    lines: list[str] = []
    for name, value in sorted(changes.items(), key=lambda one: "." in one[0]):  # what is in no table comes first
        lines.append(f"{name} = {toml_value(value)}")
    return "\n".join(lines) + "\n"


def error_lines(choice: LaunchChoice) -> Iterator[str]:
    """Each error of ``choice`` with the field that it is in; a setting's error names the setting itself."""
    yield from (one.message if one.field == "settings" else f"{one.field}: {one.message}" for one in choice.errors)
