"""The experiment as its TOML file states it: conditions, seeds, settings, gates, profiles, contingency."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct, structs

from engine.contract.analysis_settings import AnalysisSettings, ExpectedOutcome, Timeline
from engine.contract.bad_input import BadInput
from engine.contract.derived import AddedSeeds, Derivation, Seed
from engine.contract.input_files import DevelopmentFiles, FileName, HashedFile, Role, UserEvaluation
from engine.contract.overrides import Overrides

Edition = Literal["v2.2", "v2.3", "enriched"]
WORDNET_DEVELOPMENT = "wordnet"
"""Name of the development set that is made of the built dataset's development lemmas."""

USER_BUNDLES = "own"
"""In place of an edition's name where a condition trains on the user's own files."""

Tier = Literal["tier1_easy", "tier2_robust", "tier3_adversarial"]
EASY: Tier = "tier1_easy"
ROBUST: Tier = "tier2_robust"
ADVERSARIAL: Tier = "tier3_adversarial"
TIERS: tuple[Tier, ...] = (EASY, ROBUST, ADVERSARIAL)  # by rising danger

# every number is bounded: one far above what anybody trains for is a typing mistake, found before the run
PositiveInt = Annotated[int, Meta(ge=1, le=1_000_000_000)]
NonNegativeInt = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Epochs = Annotated[int, Meta(ge=1, le=10_000)]
Steps = Annotated[int, Meta(ge=1, le=100_000_000)]
EarlySteps = Annotated[int, Meta(ge=0, le=100_000_000)]
Width = Annotated[int, Meta(ge=1, le=65_536)]
Fraction = Annotated[float, Meta(ge=0.0, le=1.0)]
PositiveFloat = Annotated[float, Meta(gt=0.0, le=1e6)]  # bounded, because TOML can write inf
NonNegativeFloat = Annotated[float, Meta(ge=0.0, le=1e6)]
DEFAULT_EPOCHS = 5
BOTH_BUDGETS = "a budget is in epochs or in steps, not in both"
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$(?!\n)")]


class EncoderSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The encoder: ``minilm`` is the packaged all-MiniLM-L6-v2; else a folder or a Hugging Face name.

    ``layers`` are hidden-state indices (0 is the embedding layer); several are concatenated, so H = the encoder's width
    (MiniLM: 384) x their number. Of a text ``max_tokens`` are read, fewer where the encoder has fewer positions.

    The encoder is frozen, but for ``trained_layers``: the highest of ``layers`` and those directly below it, that many in
    all, are trained with the head; with a ``lora_rank`` only additions of that rank to their attention's query and value
    projections.
    """

    model: str = "minilm"
    layers: Annotated[tuple[Annotated[int, Meta(ge=0, le=1_000)], ...], Meta(min_length=1)] = (6,)
    max_tokens: Annotated[int, Meta(ge=8, le=8192)] = 128
    trained_layers: Annotated[int, Meta(ge=0, le=3)] = 0
    lora_rank: Annotated[int, Meta(ge=0, le=1_024)] = 0

    def __post_init__(self) -> None:
        if self.trained_layers > max(self.layers):
            raise ValueError(f"there are no {self.trained_layers} layers to train up to layer {max(self.layers)}")
        if self.lora_rank and not self.trained_layers:
            raise ValueError("lora_rank is of trained layers, and there are none")

    @property
    def input_layer(self) -> int | None:
        """The layer whose states are the input of the trained layers; None where none are trained."""
        return max(self.layers) - self.trained_layers if self.trained_layers else None

    @property
    def cached_layers(self) -> tuple[int, ...]:
        """The layers whose states of the untrained encoder are cached: ``layers``, and the input of trained layers."""
        lowest = self.input_layer
        return self.layers if lowest is None or lowest in self.layers else (*self.layers, lowest)


class DataSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How the data are built, for all conditions alike: ``seed`` is that of the splits, not of a run.

    The ``reference_encoder``, under frozen mean pooling, gives tiers, negatives, adversarial bundles, killers and the
    verification of synthetic contexts, whatever a condition's head reads; so no head changes the evaluation.
    """

    seed: Seed = 0
    reference_encoder: EncoderSettings = EncoderSettings()

    def __post_init__(self) -> None:
        if self.reference_encoder.trained_layers:
            raise ValueError("the reference encoder is not trained")


class Curriculum(Struct, frozen=True, forbid_unknown_fields=True):
    """How often a bundle of a tier is drawn, relative to tier1 (1.0 everywhere is uniform)."""

    tier1_easy: PositiveFloat = 1.0
    tier2_robust: PositiveFloat = 1.0
    tier3_adversarial: PositiveFloat = 1.0

    def weight(self, tier: str | None) -> float:
        """The sampling weight of ``tier``; bundles without a tier count as tier1."""
        return float(getattr(self, tier)) if tier in TIERS else self.tier1_easy


class Condition(Struct, frozen=True, forbid_unknown_fields=True):
    """One arm of the experiment: its training data, its curriculum, and where its settings differ from the base.

    The data are a built ``edition``, or the user's files of ``bundles``, named relative to the experiment's file. Files
    of development bundles are in ``dev``; without any, some lemmas of ``bundles`` are held out for development.

    The tables override fields of the experiment's tables of the same name, ``curriculum_weights`` those of the
    condition's curriculum. ``derived`` is of a condition that was made from another one, once results were read.
    """

    title: str
    curriculum: str
    edition: Edition | None = None
    bundles: tuple[FileName, ...] = ()
    dev: tuple[FileName, ...] = ()
    encoder: Overrides = {}
    model: Overrides = {}
    training: Overrides = {}
    synthetics: Overrides = {}
    curriculum_weights: Overrides = {}
    derived: Derivation | None = None

    def files(self) -> Iterator[tuple[Role, str]]:
        """Role and name of each file."""
        yield from (("bundles", name) for name in self.bundles)
        yield from (("dev", name) for name in self.dev)


SenseText = Literal["gloss", "lemma: gloss", "lemma (pos): gloss"]


class ModelSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The head's architecture.

    Attributes:
        architecture: ``sense_head`` is attention pooling and a projection; ``residual`` a fixed mix of mean pooling and
            the target word's tokens, plus a correction that training begins at zero.
        sense_text: what is read for a sense; ``lemma (pos): gloss`` is such as ``bank (noun): sloping land``.
        embedding_size: of a sense_head's vectors; those of a residual head are as wide as its mix.
        hidden_size: of the correction of a residual head.
        context_weights, gloss_weights: of a residual head's mix, for contexts and for glosses: a weight for the mean of
            each layer, then one for the target word's tokens of each layer; empty gives equal weights.
    """

    architecture: Literal["sense_head", "residual"] = "sense_head"
    sense_text: SenseText = "lemma: gloss"
    embedding_size: Width = 256
    hidden_size: Width = 256
    dropout: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.1
    context_weights: tuple[NonNegativeFloat, ...] = ()
    gloss_weights: tuple[NonNegativeFloat, ...] = ()


class Training(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of training; rates are per step, margins are differences of cosines, entropy is in nats.

    ``encoder_learning_rate`` is that of trained encoder layers; it rises over the first ``warm_up_steps``.

    The budget is in ``epochs`` or in optimizer ``steps``, the other is None; without either it is ``DEFAULT_EPOCHS``.
    The head is measured on development data ``measurements`` times, evenly over the steps, and once before them.
    """

    epochs: Epochs | None = None
    steps: Steps | None = None
    batch_size: Annotated[int, Meta(ge=1, le=65_536)] = 64
    learning_rate: PositiveFloat = 3e-4
    weight_decay: NonNegativeFloat = 0.01
    encoder_learning_rate: PositiveFloat = 2e-5
    warm_up_steps: EarlySteps = 50
    final_learning_rate_ratio: Fraction = 0.1
    gradient_clip: PositiveFloat = 1.0
    warm_start_steps: EarlySteps = 100
    warm_start_learning_rate: PositiveFloat = 3e-4
    temperature: PositiveFloat = 0.1
    hard_negative_top_k: Annotated[int, Meta(ge=1, le=1_000)] = 3
    hard_negative_multiplier: PositiveFloat = 2.0
    margin_easy: NonNegativeFloat = 0.05
    margin_hard: NonNegativeFloat = 0.15
    slack_weight: NonNegativeFloat = 3.0
    pull_weight: NonNegativeFloat = 1.0
    gloss_weight: NonNegativeFloat = 0.0
    entropy_weight: NonNegativeFloat = 0.1
    min_entropy: NonNegativeFloat = 1.0
    target_penalty: NonNegativeFloat = 0.0
    measurements: Annotated[int, Meta(ge=1, le=10_000)] = 10

    def __post_init__(self) -> None:
        if self.epochs is not None and self.steps is not None:
            raise ValueError(BOTH_BUDGETS)
        if self.epochs is None and self.steps is None:
            structs.force_setattr(self, "epochs", DEFAULT_EPOCHS)

    @property
    def budget(self) -> str:
        """``5 epochs`` or ``2000 steps``."""
        return f"{self.epochs} epochs" if self.steps is None else f"{self.steps} steps"

    def total_steps(self, batches: int) -> int:
        """Optimizer steps of the whole training, with ``batches`` in an epoch."""
        return self.steps if self.steps is not None else (self.epochs or DEFAULT_EPOCHS) * batches


class Verification(Struct, frozen=True, forbid_unknown_fields=True):
    """Thresholds for a synthetic context: cosine to its original, and by how much that exceeds its nearest sibling's."""

    least_similarity: Fraction = 0.5
    least_gap: Annotated[float, Meta(ge=-1.0, le=1.0)] = 0.05


class Expected(Struct, frozen=True, forbid_unknown_fields=True):
    """Expected size of an edition; ``tiers`` counts the bundles that are not adversarial."""

    bundles: PositiveInt
    adversarial: NonNegativeInt = 0
    tiers: dict[Tier, NonNegativeInt] = {}


class Gates(Struct, frozen=True, forbid_unknown_fields=True):
    """Ship blockers: the minimum of each metric, as fractions of 1."""

    retrieval_top1: Fraction = 0.30
    retrieval_top3: Fraction = 0.50
    coherence_accuracy: Fraction = 0.80


class DataSlice(Struct, frozen=True, forbid_unknown_fields=True):
    """Part of the data that a profile uses: lemmas per split, evaluation items, adversarial bundles; None is all."""

    train_lemmas: PositiveInt | None = None
    dev_lemmas: PositiveInt | None = None
    eval_lemmas: PositiveInt | None = None
    retrieval_items: PositiveInt | None = None
    coherence_items: PositiveInt | None = None
    adversarial_bundles: PositiveInt | None = None


class Profile(Struct, frozen=True, forbid_unknown_fields=True):
    """A named size of the experiment; None keeps the experiment's own value, and that of each condition.

    ``epochs`` or ``steps`` replaces the budget of every condition.
    """

    title: str
    conditions: tuple[str, ...] | None = None
    seeds: tuple[Seed, ...] | None = None
    epochs: Epochs | None = None
    steps: Steps | None = None
    warm_start_steps: EarlySteps | None = None
    strict: bool = True
    data: DataSlice = DataSlice()


ConditionTable = Literal["encoder", "model", "training", "synthetics", "curriculum_weights"]
"""Tables of a condition that override the experiment's: the fields of ``Recipe``."""


class Contingency(Struct, frozen=True, forbid_unknown_fields=True):
    """One step of the contingency plan for a failed ship blocker; ``conditions`` are those it applies to.

    Attributes:
        changes: what the step changes in a condition: new values by field, by the table of a condition that has them.
        fall_back: the condition that is shipped instead, if it passes every ship blocker.
    """

    title: str
    advice: str
    conditions: tuple[str, ...]
    changes: dict[ConditionTable, Overrides] = {}
    fall_back: str | None = None


class ExperimentFile(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole experiment as its file states it; see ``configs/scaling.toml``."""

    name: Name
    hypothesis: str
    seeds: Annotated[tuple[Seed, ...], Meta(min_length=1)]
    conditions: dict[Name, Condition]
    curricula: dict[Name, Curriculum]
    profiles: dict[Name, Profile]
    data: DataSettings = DataSettings()
    encoder: EncoderSettings = EncoderSettings()
    expected: dict[Edition, Expected] = {}
    synthetics: Verification = Verification()
    model: ModelSettings = ModelSettings()
    training: Training = Training()
    gates: Gates = Gates()
    timeline: Timeline = Timeline()
    contingency: tuple[Contingency, ...] = ()
    development: dict[Name, DevelopmentFiles] = {}
    evaluation: UserEvaluation | None = None
    analysis: AnalysisSettings = AnalysisSettings()
    outcomes: dict[Name, ExpectedOutcome] = {}
    added_seeds: tuple[AddedSeeds, ...] = ()


class Experiment(ExperimentFile, frozen=True, forbid_unknown_fields=True):
    """The experiment with the user's own files that it names, found and hashed, by their names in it.

    ``text`` is the TOML that it was read from, derived conditions included, as a launch sends it to a host.
    """

    files: dict[str, HashedFile] = {}
    text: str = ""


class Recipe(Struct, frozen=True):
    """The tables of settings that a condition may override."""

    encoder: EncoderSettings
    model: ModelSettings
    training: Training
    synthetics: Verification
    curriculum_weights: Curriculum

    def overridden(self, condition: Condition) -> Iterator[tuple[str, Struct, Overrides]]:
        """Name, base and overrides of each table that ``condition`` overrides."""
        for name in self.__struct_fields__:
            if changes := getattr(condition, name):
                yield name, getattr(self, name), changes


def base_recipe(experiment: ExperimentFile, condition: Condition) -> Recipe:
    """The experiment's tables, and the curriculum that ``condition`` names, without its overrides."""
    curriculum = experiment.curricula[condition.curriculum]
    return Recipe(experiment.encoder, experiment.model, experiment.training, experiment.synthetics, curriculum)


def root_of(experiment: ExperimentFile, name: str) -> str:
    """The condition, not derived itself, that ``name`` is derived from in the end; ``name`` if it is not derived."""
    while (derived := experiment.conditions[name].derived) is not None:
        name = derived.parent
    return name


def profile_of(experiment: Experiment, name: str) -> Profile:
    """The profile called ``name``.

    Raises:
        BadInput: there is none.
    """
    if name not in experiment.profiles:
        raise BadInput(f"no profile {name!r}; known: {', '.join(experiment.profiles)}", field="--profile")
    return experiment.profiles[name]


def folder_name(experiment: Experiment, profile: str) -> str:
    """Folder of the experiment's runs within the runs folder; each profile but ``full`` has its own, so scores never mix."""
    return experiment.name if profile == "full" else f"{experiment.name}-{profile}"
