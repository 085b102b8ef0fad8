"""Names of the settings that a condition may change: looked up as typed, with a help text and the check of a value in words."""

from __future__ import annotations

import difflib
import functools
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

import msgspec
from msgspec import Struct, inspect

from console.sanitize import sanitize_line
from engine.contract.bad_input import BadInput
from engine.contract.experiment import Condition, Edition, Experiment, Recipe
from engine.contract.overrides import flatten
from engine.contract.settings import RunId, resolve

_WEIGHTS = "curriculum_weights"
_OF_EXPERIMENT = (
    "gates",
    "data",
    "analysis",
    "timeline",
    "expected",
    "outcomes",
    "development",
    "evaluation",
    "profiles",
)
_FILES = ("bundles", "dev")
_TIERS = {"tier1": "tier1_easy", "tier2": "tier2_robust", "tier3": "tier3_adversarial"}
_HELP = {
    "edition": "training data: the built edition",
    "curriculum": "named curriculum: how often each tier is drawn",
    "encoder.model": "minilm, a folder, or a Hugging Face name",
    "encoder.layers": "hidden states that the head pools; several are joined",
    "encoder.max_tokens": "tokens that are read of a text",
    "encoder.trained_layers": "highest layers that are trained with the head",
    "encoder.lora_rank": "rank of trained additions to attention; 0 trains the layers themselves",
    "model.architecture": "head: attention pooling, or a correction of mean pooling",
    "model.sense_text": "what is read for a sense",
    "model.embedding_size": "width of a sense head's vectors",
    "model.hidden_size": "width of a residual head's correction",
    "model.dropout": "share of activations dropped in training",
    "model.context_weights": "residual head: weights of its mix for contexts, two for each layer",
    "model.gloss_weights": "residual head: weights of its mix for glosses, two for each layer",
    "training.epochs": "passes over the training bundles; replaces steps",
    "training.steps": "optimizer steps; replaces epochs",
    "training.batch_size": "bundles in a batch",
    "training.learning_rate": "of the head, per step",
    "training.weight_decay": "AdamW's weight decay",
    "training.encoder_learning_rate": "of trained encoder layers, per step",
    "training.warm_up_steps": "steps over which the encoder's rate rises",
    "training.final_learning_rate_ratio": "last learning rate over the first",
    "training.gradient_clip": "largest norm of a gradient",
    "training.warm_start_steps": "steps towards mean pooling before training",
    "training.warm_start_learning_rate": "learning rate of the warm start",
    "training.temperature": "of the contrastive loss",
    "training.hard_negative_top_k": "hardest negatives that count more",
    "training.hard_negative_multiplier": "how much more they count",
    "training.margin_easy": "margin to easy negatives, in cosine",
    "training.margin_hard": "margin to hard negatives, in cosine",
    "training.slack_weight": "weight of missed margins",
    "training.pull_weight": "weight of staying near mean pooling's similarities",
    "training.gloss_weight": "weight of telling a context's gloss from others",
    "training.entropy_weight": "weight of attention entropy below its minimum",
    "training.min_entropy": "attention entropy that is not penalized, in nats",
    "training.target_penalty": "weight of attention on the target word",
    "training.measurements": "measurements on development data in a run",
    "synthetics.least_similarity": "least cosine of a synthetic context to its original",
    "synthetics.least_gap": "by how much that exceeds its nearest sibling's",
    "curriculum_weights.tier1_easy": "how often an easy bundle is drawn",
    "curriculum_weights.tier2_robust": "oversampling of tier 2: how often against tier 1",
    "curriculum_weights.tier3_adversarial": "oversampling of tier 3: how often against tier 1",
}


class SettingName(Struct, frozen=True):
    """One setting of a condition.

    Attributes:
        name: dotted, such as ``training.epochs``.
        table: the table that has it; "" for a field of the condition itself.
        field: its name in the table.
        help: what it is.
        value: what a value is, such as ``a whole number from 1 to 10,000``.
    """

    name: str
    table: str
    field: str
    help: str
    value: str


@functools.cache
def setting_names() -> tuple[SettingName, ...]:
    """Every setting that a condition may change, table by table."""
    return tuple(_all_names())


def find_setting(typed: str) -> SettingName:
    """The setting of that name: in full, by its last part where only one has it, or with ``curriculum.tier3`` and the like.

    Raises:
        BadInput: there is none; the message says what was meant, or why it is not a setting of a condition.
    """
    name = typed.strip().lower().replace("-", "_")
    known = {one.name: one for one in setting_names()}
    if (found := known.get(_full_name(name))) is not None:
        return found
    by_field = [one for one in known.values() if one.field == _TIERS.get(name, name)]
    if len(by_field) == 1:
        return by_field[0]
    shown = sanitize_line(typed.strip(), limit=60)
    first = name.partition(".")[0]
    if first in ("seed", "seeds"):
        raise BadInput("seeds are not settings of a condition: they are chosen beside them", field=shown)
    if first in _OF_EXPERIMENT:
        raise BadInput("holds for the whole experiment: change it in the experiment's file", field=shown)
    if first in _FILES:
        raise BadInput("names files: state a condition with them in the experiment's file", field=shown)
    if not name:
        raise BadInput("the name of a setting is missing, such as training.epochs=3", field="setting")
    near = _nearest(name, known)
    raise BadInput(f"no such setting{f'; did you mean {near}?' if near else ''}", field=shown)


def matching_settings(typed: str) -> tuple[SettingName, ...]:
    """Settings whose name has every part of ``typed``, those that begin with it first."""
    words = typed.strip().lower().replace("-", "_").split()
    named = [one for one in setting_names() if all(word in f"{one.name} {one.help.lower()}" for word in words)]
    if not words:
        return tuple(named)
    full = _full_name(words[0])
    return tuple(
        sorted(named, key=lambda one: not (one.name.startswith((words[0], full)) or one.field.startswith(words[0])))
    )


def parse_value(setting: SettingName, typed: str, experiment: Experiment) -> Any:
    """The value that ``typed`` states for ``setting``; text needs no quotes.

    Raises:
        BadInput: it is not such a value; the message says what is.
    """
    text = typed.strip()
    shown = sanitize_line(text, limit=60)
    wanted = f"one of {', '.join(experiment.curricula)}" if setting.name == "curriculum" else setting.value
    if not text:
        raise BadInput(f"its value is missing: {wanted}", field=setting.name)
    try:
        value = msgspec.convert(_literal(text, _types()[setting.name]), _annotations()[setting.name])
    except (ValueError, msgspec.ValidationError):
        raise BadInput(f"{shown} is not {wanted}", field=setting.name) from None
    if setting.name == "curriculum" and value not in experiment.curricula:
        raise BadInput(f"{shown} is not {wanted}", field=setting.name)
    return msgspec.to_builtins(value)


def possible_values(setting: SettingName, typed: str, experiment: Experiment) -> tuple[str, ...]:
    """The values that begin with ``typed`` of a setting that has only some; none of any other."""
    kind = _types()[setting.name]
    values = map(str, kind.values) if isinstance(kind, inspect.LiteralType) else ()
    known = experiment.curricula if setting.name == "curriculum" else sorted(values)
    return tuple(value for value in known if value.startswith(typed.strip()))


def present_values(experiment: Experiment, profile: str, condition: str) -> Mapping[str, Any]:
    """Value of every setting of ``condition`` under ``profile``, by its name."""
    settings = resolve(experiment, profile, RunId(condition, 0))
    tables = {table: getattr(settings, table) for table in ("encoder", "model", "training", "synthetics")}
    values = flatten(msgspec.to_builtins(tables | {_WEIGHTS: settings.curriculum}))
    return values | {"edition": settings.edition, "curriculum": experiment.conditions[condition].curriculum}


def _full_name(name: str) -> str:
    table, _, field = name.rpartition(".")
    table = _WEIGHTS if table == "curriculum" else table
    field = _TIERS.get(field, field)
    return f"{table}.{field}" if table else field


def _nearest(name: str, known: Mapping[str, SettingName]) -> str:
    full = difflib.get_close_matches(_full_name(name), known, n=1, cutoff=0.75)
    by_field = {one.field: one.name for one in known.values()}
    last = difflib.get_close_matches(_full_name(name).rpartition(".")[2], by_field, n=1, cutoff=0.7)
    return full[0] if full else by_field[last[0]] if last else ""


def _all_names() -> Iterator[SettingName]:
    for name, kind in _types().items():
        table, _, field = name.rpartition(".")
        yield SettingName(name, table, field, _HELP[name], _kind_text(kind))


@functools.cache
def _types() -> dict[str, inspect.Type]:
    """Type of each setting's value."""
    tables = get_type_hints(Recipe)
    found: dict[str, inspect.Type] = {}
    for name, annotation in _annotations().items():
        table, _, field = name.rpartition(".")
        if table:
            info = inspect.type_info(tables[table])
            assert isinstance(info, inspect.StructType)
            found[name] = next(_not_none(one.type) for one in info.fields if one.name == field)
        else:
            found[name] = _not_none(inspect.type_info(annotation))
    return found


@functools.cache
def _annotations() -> dict[str, Any]:
    own = get_type_hints(Condition, include_extras=True)
    named = {"edition": Edition, "curriculum": own["curriculum"]}
    for table, shape in get_type_hints(Recipe).items():
        named |= {f"{table}.{name}": kind for name, kind in get_type_hints(shape, include_extras=True).items()}
    return named


def _not_none(kind: inspect.Type) -> inspect.Type:
    if isinstance(kind, inspect.UnionType):
        return next(one for one in kind.types if not isinstance(one, inspect.NoneType))
    return kind


def _literal(text: str, kind: inspect.Type) -> Any:
    """``text`` as TOML, or as it is where text is wanted; a list needs no brackets."""
    if isinstance(kind, inspect.StrType | inspect.LiteralType):
        quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
        return text[1:-1] if quoted else text
    if isinstance(kind, inspect.FloatType):
        return float(text)  # TOML has neither .2 nor 2.
    if isinstance(kind, inspect.VarTupleType) and not text.startswith("["):
        text = f"[{text}]"
    if "\n" in text:
        raise ValueError("a value is on one line")
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _kind_text(kind: inspect.Type) -> str:
    """What a value of ``kind`` is, for people."""
    match kind:
        case inspect.IntType():
            return "a whole number" + _range(kind)
        case inspect.FloatType():
            return "a number" + _range(kind)
        case inspect.LiteralType():
            return "one of " + ", ".join(sorted(map(str, kind.values)))
        case inspect.VarTupleType():
            return f"a list such as [1, 2], each {_kind_text(kind.item_type)}"
        case _:
            return "text"


def _range(kind: inspect.IntType | inspect.FloatType) -> str:
    """`` from 8 to 8,192``, `` above 0``; the bound of a float that only keeps infinity out is left out."""
    if isinstance(kind, inspect.IntType) and kind.ge is not None and kind.le is not None:
        return f" from {kind.ge:,} to {kind.le:,}"
    if kind.le is not None and kind.le < 1e6:
        return f" from {kind.ge:g} to {kind.le:g}"
    if kind.lt is not None:
        return f" from {kind.ge:g} to below {kind.lt:g}"
    return f" above {kind.gt:g}" if kind.gt is not None else f", {kind.ge:g} or more" if kind.ge is not None else ""
