"""The settings of one run, resolved from an experiment and a profile, and ``spec.json``, which keeps them in its folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from engine.contract.bad_input import BadInput
from engine.contract.experiment import (
    USER_BUNDLES,
    Condition,
    Curriculum,
    DataSlice,
    Edition,
    EncoderSettings,
    Experiment,
    Gates,
    ModelSettings,
    Profile,
    Recipe,
    Training,
    Verification,
    base_recipe,
    profile_of,
)
from engine.contract.input_files import InputFile, Role
from engine.contract.overrides import flatten, override, without_replaced


class RunId(Struct, frozen=True, order=True):
    """One run of the matrix: a condition and a seed. ``str()`` is the name of its folder, such as ``A_seed42``."""

    condition: str
    seed: int

    def __str__(self) -> str:
        return f"{self.condition}_seed{self.seed}"

    @property
    def label(self) -> str:
        """How people read it, such as ``A/42``."""
        return f"{self.condition}/{self.seed}"


class Settings(Struct, frozen=True):
    """Everything the console determines of one run; resolved from an experiment and a profile."""

    experiment: str
    profile: str
    condition: str
    seed: int
    edition: Edition | None
    curriculum: Curriculum
    encoder: EncoderSettings
    model: ModelSettings
    training: Training
    gates: Gates
    data: DataSlice
    data_seed: int
    reference_encoder: EncoderSettings
    synthetics: Verification = Verification()
    inputs: tuple[InputFile, ...] = ()

    @property
    def run(self) -> RunId:
        """The run that these settings are of."""
        return RunId(self.condition, self.seed)

    @property
    def bundle_set(self) -> str:
        """The name of this run's bundles in a prepared dataset: its edition, or ``own``."""
        return self.edition or USER_BUNDLES

    @property
    def has_user_evaluation(self) -> bool:
        """Whether the run is evaluated on the user's own files."""
        return any(file.role == "retrieval" for file in self.inputs)

    @property
    def needs_wordnet(self) -> bool:
        """Whether any of its data is built from WordNet."""
        return self.edition is not None or not self.has_user_evaluation

    def fingerprint(self) -> str:
        """SHA-256 of the settings; runs with the same settings have the same fingerprint."""
        import hashlib  # not at the top: loading OpenSSL delays the console's first paint

        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


class Spec(Struct, frozen=True):
    """Content of ``spec.json``, written before training: the settings, and fingerprints, versions and device of the host."""

    settings: Settings
    settings_fingerprint: str
    data_fingerprint: str
    encoder_fingerprint: str
    eval_fingerprint: str
    device: str
    versions: dict[str, str]
    git: str


def decode_spec(text: bytes) -> Spec:
    """The spec in ``text``; raises ``msgspec.MsgspecError``."""
    return msgspec.json.decode(text, type=Spec)  # a decoder made on import would delay the console's first paint


def read_spec(path: Path) -> Spec:
    """Read a run's ``spec.json``.

    Raises:
        BadInput: missing or malformed.
    """
    try:
        return decode_spec(path.read_bytes())
    except OSError as error:
        raise BadInput(f"not a run folder: {error.strerror}", file=path) from error
    except msgspec.MsgspecError as error:
        from engine.contract.validation_words import error_in_words  # only here: it delays every start

        raise BadInput(f"not a run's spec: {error_in_words(error)}", file=path) from error


def run_ids(experiment: Experiment, profile: str) -> tuple[RunId, ...]:
    """The matrix of a profile: every condition with every seed, condition by condition."""
    seeds = seeds_of(experiment, profile)
    return tuple(RunId(condition, seed) for condition in conditions_of(experiment, profile) for seed in seeds)


def conditions_of(experiment: Experiment, profile: str) -> tuple[str, ...]:
    """The conditions of a profile; those that were derived in it come last."""
    derived = {name: one.derived for name, one in experiment.conditions.items() if one.derived is not None}
    own = profile_of(experiment, profile).conditions
    if own is None:
        own = tuple(name for name in experiment.conditions if name not in derived)
    return (*own, *(name for name, one in derived.items() if profile in one.profiles and name not in own))


def seeds_of(experiment: Experiment, profile: str) -> tuple[int, ...]:
    """The seeds of a profile, those that were added to it last."""
    added = (seed for one in experiment.added_seeds if profile in one.profiles for seed in one.seeds)
    return (*(profile_of(experiment, profile).seeds or experiment.seeds), *added)


def resolve(experiment: Experiment, profile: str, run: RunId) -> Settings:
    """The settings of one run.

    Raises:
        BadInput: the experiment has no such profile or condition, or the seed is out of range.
    """
    chosen = profile_of(experiment, profile)
    if run.condition not in experiment.conditions:
        raise BadInput(
            f"no condition {run.condition!r}; known: {', '.join(experiment.conditions)}", field="--condition"
        )
    if not 0 <= run.seed < 2**31:
        raise BadInput("a seed is a whole number from 0 to 2,147,483,647", field="--seed")
    condition = experiment.conditions[run.condition]
    recipe = _recipe(experiment, condition, chosen)
    return Settings(
        experiment=experiment.name,
        profile=profile,
        condition=run.condition,
        seed=run.seed,
        edition=condition.edition,
        curriculum=recipe.curriculum_weights,
        encoder=recipe.encoder,
        model=recipe.model,
        training=recipe.training,
        gates=experiment.gates,
        data=chosen.data,
        data_seed=experiment.data.seed,
        reference_encoder=experiment.data.reference_encoder,
        synthetics=recipe.synthetics,
        inputs=tuple(_inputs(experiment, condition)),
    )


def _inputs(experiment: Experiment, condition: Condition) -> Iterator[InputFile]:
    """The user's own files that a run of ``condition`` reads."""
    sets: list[tuple[str, Iterable[tuple[Role, str]]]] = [("", condition.files())]
    sets += [(name, development.files()) for name, development in experiment.development.items()]
    if experiment.evaluation is not None:
        sets.append(("", experiment.evaluation.files()))
    for development, files in sets:
        for role, name in files:
            file = experiment.files[name]
            yield InputFile(role, name, file.sha256, file.size, development)


def encoders_of(experiment: Experiment, profile: str) -> tuple[EncoderSettings, ...]:
    """Every encoder that the runs of a profile or its data read, the reference encoder first."""
    chosen = profile_of(experiment, profile)
    conditions = [experiment.conditions[name] for name in conditions_of(experiment, profile)]
    encoders = [experiment.data.reference_encoder, *(_recipe(experiment, one, chosen).encoder for one in conditions)]
    return tuple(dict.fromkeys(encoders))


class Difference(Struct, frozen=True):
    """A setting in which a condition differs from the experiment's base: its dotted name, its value, the base's value."""

    setting: str
    value: Any
    base: Any

    def __str__(self) -> str:
        """As people read it: ``training.epochs 3 (base 5)``."""
        return f"{self.setting} {value_text(self.value)} (base {value_text(self.base)})"


def differences(experiment: Experiment, condition: str, profile: str | None = None) -> tuple[Difference, ...]:
    """Where ``condition`` overrides the base to another value, under ``profile`` if one is given.

    The base of ``curriculum_weights`` is the curriculum that the condition names.
    """
    chosen = None if profile is None else profile_of(experiment, profile)
    own = _recipe(experiment, experiment.conditions[condition], chosen)
    base = base_recipe(experiment, experiment.conditions[condition])
    if chosen is not None:
        base = structs.replace(base, training=override(base.training, profile_training(chosen)))
    values, base_values = (flatten(msgspec.to_builtins(recipe)) for recipe in (own, base))
    return tuple(
        Difference(name, value, base_values[name]) for name, value in values.items() if value != base_values[name]
    )


def _recipe(experiment: Experiment, condition: Condition, profile: Profile | None) -> Recipe:
    """The tables of settings of ``condition``: the base, overridden by the condition, overridden by the profile."""
    base = base_recipe(experiment, condition)
    changed = {name: override(table, changes) for name, table, changes in base.overridden(condition)}
    recipe = structs.replace(base, **changed)
    if profile is None:
        return recipe
    changes = profile_training(profile)
    if condition.derived is not None:  # made in this profile, so what it states is not replaced by the profile
        changes = without_replaced(changes, condition.training)
    return structs.replace(recipe, training=override(recipe.training, changes))


def profile_training(profile: Profile) -> dict[str, Any]:
    """The fields of ``[training]`` that a profile replaces in every condition but derived ones that state them."""
    names = ("epochs", "steps", "warm_start_steps")
    return {name: value for name in names if (value := getattr(profile, name)) is not None}


def value_text(value: object) -> str:
    """A setting's value for people: ``2``, ``[3, 6]``, ``none``."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(str, value))}]"
    return "none" if value is None else str(value)
