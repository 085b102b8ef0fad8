"""Reads an experiment file, with the derived conditions beside it, and checks what its types do not rule out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import structs

from engine.contract.analysis_settings import analysis_mistakes
from engine.contract.bad_input import BadInput
from engine.contract.derived import derived_mistakes
from engine.contract.experiment import BOTH_BUDGETS, WORDNET_DEVELOPMENT, Experiment, ExperimentFile, base_recipe
from engine.contract.experiment_text import ExperimentText, read_experiment_text
from engine.contract.input_files import HashedFile, find_file
from engine.contract.overrides import override
from engine.contract.toml_file import unfit_table


def read_experiment(path: Path, inputs: Path | None = None) -> Experiment:
    """Read and check an experiment file with its derived conditions, and find the user's own files that it names.

    Args:
        path: the TOML file; derived conditions are in the file beside it that ``derived_path`` names.
        inputs: the folder in which a host keeps the user's files under their hashes; None: they are beside ``path``.

    Raises:
        BadInput: unreadable, malformed, or a name in it is not defined.
    """
    return parse_experiment(read_experiment_text(path), inputs)


def parse_experiment(
    text: ExperimentText, inputs: Path | None = None, known_files: Mapping[str, HashedFile] | None = None
) -> Experiment:
    """The experiment of ``text``; as ``read_experiment``.

    Args:
        known_files: the user's own files by name, which are then not looked for; one that it lacks counts as empty.
    """
    experiment = text.parse(ExperimentFile)
    for field, message in _mistakes(experiment):
        raise text.error_at(field, message)
    for name, condition in experiment.conditions.items():
        for table, base, changes in base_recipe(experiment, condition).overridden(condition):
            try:
                override(base, changes)
            except msgspec.ValidationError as error:
                raise text.located(
                    unfit_table(error, ("conditions", name, table), changes, text.text, text.file, type(base))
                ) from error
        for field, message in block_weight_mistakes(experiment, name):
            raise text.error_at(field, message)
    _check_contingency(experiment, text)
    files: dict[str, HashedFile] = {}
    for field, name in _named_files(experiment):
        if known_files is not None:
            files[name] = known_files.get(name) or HashedFile(text.file.parent / name, "", 0)
            continue
        try:
            files[name] = files.get(name) or find_file(name, text.file, inputs)
        except BadInput as error:
            raise text.error_at(field, str(error)) from error
    return Experiment(**structs.asdict(experiment), files=files, text=text.text)


def _mistakes(experiment: ExperimentFile) -> Iterator[tuple[str, str]]:
    """Field and message of each mistake that the types do not rule out."""
    for name, condition in experiment.conditions.items():
        if (condition.edition is None) == (not condition.bundles):
            both = "" if condition.edition is None else ".edition"
            yield f"conditions.{name}{both}", "a condition has either an edition or files of bundles"
        if condition.dev and not condition.bundles:
            yield f"conditions.{name}.dev", "an edition has its own development bundles"
        if condition.curriculum not in experiment.curricula:
            known = ", ".join(experiment.curricula) or "none"
            yield f"conditions.{name}.curriculum", f"no curriculum {condition.curriculum!r}; known: {known}"
    for name, development in experiment.development.items():
        if name == WORDNET_DEVELOPMENT:
            yield f"development.{name}", "this name belongs to the development lemmas of the built data"
        if not any(development.files()):
            yield f"development.{name}", "a development set has a file of retrieval or of coherence items, or both"
    yield from _repeated("seeds", experiment.seeds)
    for name, profile in experiment.profiles.items():
        yield from _repeated(f"profiles.{name}.seeds", profile.seeds or ())
        yield from _repeated(f"profiles.{name}.conditions", profile.conditions or ())
        if profile.epochs is not None and profile.steps is not None:
            yield f"profiles.{name}.steps", BOTH_BUDGETS
        for condition_name in profile.conditions or ():
            if condition_name not in experiment.conditions:
                known = ", ".join(experiment.conditions) or "none"
                yield f"profiles.{name}.conditions", f"no condition {condition_name!r}; known: {known}"
    yield from derived_mistakes(
        {name: condition.derived for name, condition in experiment.conditions.items()},
        experiment.added_seeds,
        {name: profile.seeds or experiment.seeds for name, profile in experiment.profiles.items()},
    )
    if not experiment.conditions:
        yield "conditions", "an experiment needs at least one condition"
    yield from analysis_mistakes(experiment.conditions, experiment.analysis, experiment.outcomes)


def block_weight_mistakes(experiment: ExperimentFile, name: str) -> Iterator[tuple[str, str]]:
    """Field and message of block weights that do not fit the layers which the residual head of a condition reads."""
    condition = experiment.conditions[name]
    model = override(experiment.model, condition.model)
    if model.architecture != "residual":
        return
    layers = len(override(experiment.encoder, condition.encoder).layers)
    for field in ("context_weights", "gloss_weights"):
        weights: tuple[float, ...] = getattr(model, field)
        named = f"conditions.{name}.model.{field}" if field in condition.model else f"model.{field}"
        if weights and len(weights) != 2 * layers:
            wanted = f"none or {2 * layers} weights, two for each of its {layers} layers"
            yield named, f"condition {name} needs {wanted}; there are {len(weights)}"
        elif weights and not any(weights):
            yield named, "at least one weight is above 0"


def _check_contingency(experiment: ExperimentFile, text: ExperimentText) -> None:
    """Raise BadInput unless every step's conditions exist and can have its changes."""
    for index, step in enumerate(experiment.contingency):
        field = f"contingency[{index}]"
        for key, names in (("conditions", step.conditions), ("fall_back", (step.fall_back,) if step.fall_back else ())):
            for name in names:
                if name not in experiment.conditions:
                    known = ", ".join(experiment.conditions) or "none"
                    raise text.error_at(f"{field}.{key}", f"no condition {name!r}; known: {known}")
        for name in step.conditions:
            recipe = base_recipe(experiment, experiment.conditions[name])
            for table, changes in step.changes.items():
                try:
                    override(base := getattr(recipe, table), changes)
                except msgspec.ValidationError as error:
                    raise text.located(
                        unfit_table(
                            error, ("contingency", index, "changes", table), changes, text.text, text.file, type(base)
                        )
                    ) from error


def _repeated(field: str, values: tuple[object, ...]) -> Iterator[tuple[str, str]]:
    """A mistake for each value that ``field`` names more than once: one run would count as several."""
    for value, times in Counter(values).items():
        if times > 1:
            yield field, f"{value!r} is named {times} times"


def _named_files(experiment: ExperimentFile) -> Iterator[tuple[str, str]]:
    """Each of the user's own files, with the dotted field that names it."""
    for name, condition in experiment.conditions.items():
        yield from ((f"conditions.{name}.{role}", file) for role, file in condition.files())
    for name, development in experiment.development.items():
        roles = ((role.removeprefix("development_"), file) for role, file in development.files())
        yield from ((f"development.{name}.{role}", file) for role, file in roles)
    if experiment.evaluation is not None:
        yield from ((f"evaluation.{role}", file) for role, file in experiment.evaluation.files())
