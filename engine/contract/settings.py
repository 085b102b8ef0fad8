"""The settings of one run, resolved from an experiment and a profile, and ``spec.json``, which keeps them in its folder."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from engine.contract.bad_input import BadInput
from engine.contract.experiment import (
    USER_BUNDLES,
    Curriculum,
    DataSlice,
    Edition,
    EncoderSettings,
    Experiment,
    Gates,
    Training,
    Verification,
    profile_of,
)
from engine.contract.input_files import InputFile


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
    training: Training
    gates: Gates
    data: DataSlice
    data_seed: int
    synthetics: Verification = Verification()
    inputs: tuple[InputFile, ...] = ()

    @property
    def run(self) -> RunId:
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


decode_spec = msgspec.json.Decoder(Spec).decode


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
        raise BadInput(f"not a run's spec: {error}", file=path) from error


def run_ids(experiment: Experiment, profile: str) -> tuple[RunId, ...]:
    """The matrix of a profile: every condition with every seed, condition by condition."""
    chosen = profile_of(experiment, profile)
    conditions = chosen.conditions or tuple(experiment.conditions)
    return tuple(RunId(condition, seed) for condition in conditions for seed in chosen.seeds or experiment.seeds)


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
        raise BadInput("a seed is a whole number from 0 to 2147483647", field="--seed")
    condition = experiment.conditions[run.condition]
    overrides = {"epochs": chosen.epochs, "warm_start_steps": chosen.warm_start_steps}
    overrides = {name: value for name, value in overrides.items() if value is not None}
    named = [*condition.files(), *(experiment.evaluation.files() if experiment.evaluation else ())]
    return Settings(
        experiment=experiment.name,
        profile=profile,
        condition=run.condition,
        seed=run.seed,
        edition=condition.edition,
        curriculum=experiment.curricula[condition.curriculum],
        encoder=experiment.encoder,
        training=msgspec.structs.replace(experiment.training, **overrides),
        gates=experiment.gates,
        data=chosen.data,
        data_seed=experiment.data_seed,
        synthetics=experiment.synthetics,
        inputs=tuple(
            InputFile(role, name, experiment.files[name].sha256, experiment.files[name].size) for role, name in named
        ),
    )
