"""Derived conditions and added seeds: made from an experiment and a difference in TOML, checked, and written beside it."""

from __future__ import annotations

import getpass
import itertools
import json
import re
import socket
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec import Struct, structs

from console.results.next_steps.records import Change
from console.sanitize import sanitize_line
from engine.contract.bad_input import BadInput
from engine.contract.derived import AddedSeeds, Derivation
from engine.contract.durable import write_durably
from engine.contract.experiment import Condition, ConditionTable, Experiment, profile_of, root_of
from engine.contract.experiment_reader import parse_experiment
from engine.contract.experiment_text import derived_path, join_texts
from engine.contract.file_lock import locked
from engine.contract.overrides import flatten, without_replaced
from engine.contract.settings import RunId, Settings, profile_training, resolve, seeds_of
from engine.contract.toml_file import line_of, load_toml, read_text

TABLES: tuple[str, ...] = get_args(ConditionTable)
FIELDS = ("title", "edition", "bundles", "dev", "curriculum")
"""Fields of a condition that are no tables."""

FIRST_LINES = """\
# Conditions and seeds that were added once results had been read, by qllm-console. They belong to the experiment in the
# file beside this one. May be edited and commented; a condition that has runs should stay as it is.
"""
_TYPED = Path("difference")  # named in no message: an error in a typed text says its line and field
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_FIRST_SEEDS = (789, 1011, 1213)  # then every 202nd, as the experiment's own 42, 123, 456 say nothing about the next


class Addition(Struct, frozen=True):
    """Something to add to an experiment: conditions of these ``names``, or ``seeds``, or both; and their TOML."""

    names: tuple[str, ...]
    toml: str
    seeds: tuple[int, ...] = ()

    @property
    def title(self) -> str:
        """``B.2 and C.2``, ``seeds 7``, ``B.2 and seeds 7, 8``."""
        seeds = f"seeds {', '.join(map(str, self.seeds))}" if self.seeds else ""
        *first, last = (*self.names, seeds) if seeds else self.names
        return f"{', '.join(first)} and {last}" if first else last

    def has(self, run: RunId) -> bool:
        """Whether ``run`` is one that it adds."""
        return run.seed in self.seeds or run.condition in self.names


class Origin(Struct, frozen=True):
    """Why something is added, in which profile, after which results ("" is none), when (UTC, ISO 8601) and by whom."""

    reason: str
    profile: str
    results: str
    at: str
    by: str


def origin(reason: str, profile: str, results: str) -> Origin:
    """Origin of a condition or of seeds that this user adds to the experiment now."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return Origin(sanitize_line(reason.strip(), limit=900), profile, results, at, user())


def user() -> str:
    """``user@machine``."""
    return sanitize_line(f"{getpass.getuser()}@{socket.gethostname()}")


def next_name(experiment: Experiment, parent: str) -> str:
    """The name of the next condition that is derived from ``parent``: ``B.2``, then ``B.3``, also from ``B.2``."""
    root = root_of(experiment, parent)
    number = 2
    while f"{root}.{number}" in experiment.conditions:
        number += 1
    return f"{root}.{number}"


def next_seeds(experiment: Experiment, profile: str, count: int) -> tuple[int, ...]:
    """``count`` seeds that the profile does not have."""
    known = set(seeds_of(experiment, profile))
    candidates = itertools.chain(_FIRST_SEEDS, itertools.count(_FIRST_SEEDS[-1] + 202, 202))
    return tuple(itertools.islice((seed for seed in candidates if seed not in known), count))


def difference_text(experiment: Experiment, profile: str, parent: str, changes: Mapping[Any, Any]) -> str:
    """``changes`` of a condition as TOML to edit; a comment behind each value says what ``parent`` has."""
    present = resolve(experiment, profile, RunId(parent, 0))
    lines = []
    for field, value in changes.items():
        if field not in TABLES:
            lines.append(
                f"{field} = {toml_value(value)}  # {parent}: {toml_value(getattr(experiment.conditions[parent], field))}"
            )
            continue
        lines += [""] if lines else []
        lines.append(f"[{field}]")
        table = structs.asdict(_table(present, field))
        lines += [f"{key} = {toml_value(one)}{_comment(parent, table.get(key))}" for key, one in value.items()]
    return "\n".join(lines) + "\n"


def derive(experiment: Experiment, profile: str, parent: str, difference: str, origin: Origin) -> Addition:
    """The condition that differs from ``parent`` by the TOML ``difference``.

    Raises:
        BadInput: the difference is no TOML, names something else than fields of a condition, or is empty.
    """
    changes = load_toml(difference, _TYPED)
    for field, value in changes.items():
        if field not in (*TABLES, *FIELDS) or (field in TABLES) != isinstance(value, dict):
            known = ", ".join((*FIELDS, *(f"[{table}]" for table in TABLES)))
            message = f"a condition can differ in {known}"
            raise BadInput(message, file=_TYPED, line=line_of(difference, field), field=field)
    if not changes.keys() - {"title"}:
        raise BadInput(f"nothing differs from {parent}")
    name = next_name(experiment, parent)
    fields = _fields(experiment, profile, parent, changes)
    derivation = Derivation(parent, origin.reason, origin.at, (profile,), origin.results, origin.by)
    tables = {table: fields.pop(table) for table in TABLES if table in fields}
    tables["derived"] = {key: value for key, value in structs.asdict(derivation).items() if value}
    key = f"conditions.{_key(name)}"
    blocks = [_block(f"[{key}]", fields), *(_block(f"[{key}.{table}]", one) for table, one in tables.items())]
    return Addition((name,), "\n".join(blocks))


def added_seeds(seeds: Iterable[int], origin: Origin) -> Addition:
    """Further ``seeds`` for every condition of a profile."""
    seeds = tuple(seeds)
    fields = {"seeds": list(seeds), "reason": origin.reason, "at": origin.at, "profiles": [origin.profile]}
    return Addition((), _block("[[added_seeds]]", fields | {"results": origin.results, "by": origin.by}), seeds)


def joined(additions: Iterable[Addition]) -> Addition:
    """One addition that adds what all of ``additions`` add."""
    additions = tuple(additions)
    names = tuple(name for one in additions for name in one.names)
    seeds = tuple(seed for one in additions for seed in one.seeds)
    return Addition(names, "\n".join(one.toml for one in additions), seeds)


def planned(experiment: Experiment, addition: Addition) -> Experiment:
    """``experiment`` with ``addition`` as ``derive`` or ``added_seeds`` made it, before it is written; its text stays."""
    tree = tomllib.loads(addition.toml)
    conditions = msgspec.convert(tree.get("conditions", {}), dict[str, Condition])
    seeds = msgspec.convert(tree.get("added_seeds", ()), tuple[AddedSeeds, ...])
    return structs.replace(
        experiment,
        conditions=experiment.conditions | conditions,
        added_seeds=(*experiment.added_seeds, *seeds),
    )


def with_addition(file: Path, addition: Addition, profile: str) -> tuple[str, Experiment]:
    """The whole text of the file of derived conditions with ``addition``, and the experiment that it gives.

    Raises:
        BadInput: the experiment would not be valid, or the condition would have the settings of another one.
    """
    path = derived_path(file)
    present = read_text(path) if path.exists() else FIRST_LINES
    text = f"{present.rstrip()}\n\n{addition.toml}"
    experiment = parse_experiment(join_texts(file, read_text(file), text))
    for name in addition.names:
        _refuse_repetition(experiment, profile, name)
    return text, experiment


def write_addition(file: Path, addition: Addition, profile: str) -> Experiment:
    """Add ``addition`` durably to the file beside the experiment's ``file``; returns the experiment that it gives.

    Raises:
        BadInput: as ``with_addition``, or the file cannot be written; it is then as it was.
    """
    path = derived_path(file)
    lock = path.with_name(f".{path.name}.lock")
    try:
        with locked(lock):
            text, experiment = with_addition(file, addition, profile)
            write_durably(path, text.encode())
            lock.unlink()  # while it is held: nobody then waits for a file that is gone
    except OSError as error:
        advice = f"copy {file.name} to a folder of yours and name it with --experiment"
        raise BadInput(f"cannot be written: {error.strerror or error}; {advice}", file=path) from error
    return experiment


def error_in_typed(error: BadInput, addition: Addition, difference: str) -> str:
    """``error`` of ``with_addition`` as one line about the typed ``difference`` that ``addition`` was made of."""
    field = re.sub(r"^added_seeds\[\d+\]\.", "", error.field or "")
    for name in addition.names:
        field = field.removeprefix(f"conditions.{name}").lstrip(".")
    line = line_of(difference, field) if field else None
    line = error.line if error.file == _TYPED else line
    where = f"line {line}: " if line else ""
    return f"{where}{field}{': ' if field else ''}{error.message}"


def toml_value(value: Any) -> str:
    """``value`` as TOML on one line."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float():
            return repr(value)
        case dict():
            return "{ " + ", ".join(f"{_key(key)} = {toml_value(one)}" for key, one in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(map(toml_value, value)) + "]"
        case None:
            return "none"
        case _:  # JSON's escapes are TOML's, but for the delete character
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _fields(experiment: Experiment, profile: str, parent: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the condition that ``changes`` make of ``parent``, those that say nothing left out."""
    base = experiment.conditions[parent]
    fields: dict[str, Any] = {name: getattr(base, name) for name in FIELDS}
    fields["title"] = _title(experiment, parent, changes)
    fields |= {name: value for name, value in changes.items() if name not in TABLES}
    if isinstance(fields["title"], str):
        fields["title"] = sanitize_line(fields["title"])
    if "edition" in changes and "bundles" not in changes:
        fields |= {"bundles": (), "dev": ()}
    if "bundles" in changes and "edition" not in changes:
        fields["edition"] = None
    for table in TABLES:
        stated = _stated(base, table, profile_training(profile_of(experiment, profile)))
        if table == "curriculum_weights" and "curriculum" in changes:
            stated = {}  # they are of the curriculum that is replaced
        own = changes.get(table, {})
        fields[table] = without_replaced(stated, own) | dict(own)
    return {name: value for name, value in fields.items() if value}


def _stated(base: Condition, table: str, of_profile: Mapping[str, Any]) -> dict[str, Any]:
    """What ``base`` overrides in ``table`` and its profile does not replace, which a derived condition's would not be."""
    stated: dict[str, Any] = getattr(base, table)
    return without_replaced(stated, of_profile) if table == "training" and base.derived is None else dict(stated)


def _title(experiment: Experiment, parent: str, changes: Mapping[str, Any]) -> str:
    parts = [f"{key.rpartition('.')[2]} {value}" for key, value in flatten(changes).items()]
    return sanitize_line(f"from {parent}: {', '.join(parts)}", limit=120)


def _refuse_repetition(experiment: Experiment, profile: str, name: str) -> None:
    """Raise BadInput if ``name`` resolves to the settings of another condition: its runs would say nothing new."""

    def settings(condition: str) -> Settings:
        return structs.replace(resolve(experiment, profile, RunId(condition, 0)), condition="")

    own = settings(name)
    for other in experiment.conditions:
        if other != name and settings(other) == own:
            raise BadInput(f"it would have the settings of {other} in profile {profile}")


def _table(settings: Settings, table: str) -> Struct:
    found: Struct = getattr(settings, "curriculum" if table == "curriculum_weights" else table)
    return found


def _comment(parent: str, value: object) -> str:
    return "" if value is None else f"  # {parent}: {toml_value(msgspec.to_builtins(value))}"


def _block(header: str, fields: Mapping[str, Any]) -> str:
    return "\n".join([header, *_lines(fields)]) + "\n"


def _lines(fields: Mapping[str, Any]) -> Iterator[str]:
    yield from (
        f"{_key(key)} = {toml_value(value)}" for key, value in fields.items() if value is not None and value != ""
    )


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else json.dumps(name)


def change_text(experiment: Experiment, profile: str, change: Change) -> str:
    """The TOML of ``change``, to be edited and given to ``draft``."""
    if not change.more_seeds:
        return change.toml
    return f"seeds = {toml_value(next_seeds(experiment, profile, change.more_seeds))}\n"


def draft(experiment: Experiment, profile: str, change: Change, typed: str, origin: Origin) -> Addition:
    """What the edited TOML ``typed`` of ``change`` adds to the experiment.

    Raises:
        BadInput: as ``derive``, or it is not a list of seeds where seeds are added.
    """
    if not change.more_seeds:
        return derive(experiment, profile, change.parent, typed, origin)
    fields = load_toml(typed, _TYPED)
    seeds = fields.get("seeds")
    if fields.keys() != {"seeds"} or not isinstance(seeds, list) or not all(type(seed) is int for seed in seeds):
        raise BadInput("seeds are whole numbers: seeds = [789, 1011]", file=_TYPED, line=1)
    return added_seeds(seeds, origin)
