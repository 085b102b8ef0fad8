"""The text of an experiment: its file, and after it the file of what was added once results were read, as one TOML.

``scaling.derived.toml`` beside ``scaling.toml`` holds derived conditions and added seeds. Both together are sent to a
host as one file, so that an error in it still has to be told from which of the two it came.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from engine.contract.bad_input import BadInput
from engine.contract.toml_file import convert_toml, line_of, load_toml, read_text

T = TypeVar("T")

CONDITIONS, ADDED_SEEDS = "conditions", "added_seeds"
DERIVED_SUFFIX = ".derived.toml"


def derived_path(file: Path) -> Path:
    """Where the derived conditions of the experiment in ``file`` are kept."""
    return file.with_name(file.stem + DERIVED_SUFFIX)


class ExperimentText(NamedTuple):
    """Text of an experiment; lines after the first ``own_lines`` are those of its derived conditions."""

    file: Path
    text: str
    own_lines: int

    def parse(self, shape: type[T]) -> T:
        """The text converted to ``shape``; raises BadInput."""
        try:
            return convert_toml(load_toml(self.text, self.file), shape, self.text, self.file)
        except BadInput as error:
            raise self.located(error) from error

    def error_at(self, field: str, message: str) -> BadInput:
        """The error for dotted ``field``."""
        return self.located(BadInput(message, file=self.file, line=line_of(self.text, field), field=field))

    def located(self, error: BadInput) -> BadInput:
        """``error`` with the file and the line in it where ``error`` names a line of the whole text."""
        if error.line is None or error.line <= self.own_lines:
            return error
        line = error.line - self.own_lines
        return BadInput(error.message, file=derived_path(self.file), line=line, field=error.field)


def read_experiment_text(file: Path) -> ExperimentText:
    """Read the experiment of ``file``, with its derived conditions if it has any.

    Raises:
        BadInput: a file cannot be read, or the derived ones cannot be added to the experiment.
    """
    text, path = read_text(file), derived_path(file)
    return join_texts(file, text, read_text(path) if path.exists() else "")


def join_texts(file: Path, own: str, derived: str) -> ExperimentText:
    """One text of the experiment in ``file`` and its derived conditions, each as its TOML; "" is none.

    Raises:
        BadInput: one of them is not TOML; or the derived text has anything but conditions of its own, each with a table
            ``derived``, and added seeds, or would not mean the same behind the experiment's.
    """
    if not derived.strip():
        return ExperimentText(file, own, own.removesuffix("\n").count("\n") + 1)
    first = own if own.endswith("\n") else own + "\n"
    path, own_tree = derived_path(file), load_toml(own, file)
    tree = load_toml(derived, path)
    for field, message in _mistakes(own_tree, tree, file.name):
        raise BadInput(message, file=path, line=line_of(derived, field), field=field)
    try:
        joined = own_tree | tree | {CONDITIONS: own_tree.get(CONDITIONS, {}) | tree.get(CONDITIONS, {})}
        means_the_same = tomllib.loads(first + derived) == joined
    except (tomllib.TOMLDecodeError, TypeError):  # not to be joined, or conditions that are no table
        means_the_same = False
    if not means_the_same:
        message = (
            'conditions are stated as tables, [conditions."B.2"], and added seeds as [[added_seeds]], in both files'
        )
        raise BadInput(message, file=path)
    return ExperimentText(file, first + derived, first.count("\n"))


def _mistakes(own: dict[str, Any], derived: dict[str, Any], name: str) -> list[tuple[str, str]]:
    """Field and message of what may not be in the derived text, though it might be in the experiment's."""
    others = [field for field in derived if field not in (CONDITIONS, ADDED_SEEDS)]
    found = [(field, f"only derived conditions and added seeds are kept here; move it to {name}") for field in others]
    if ADDED_SEEDS in derived and ADDED_SEEDS in own:
        found.append((ADDED_SEEDS, f"{name} has some too; move them there"))
    conditions, known = (tree.get(CONDITIONS, {}) for tree in (derived, own))
    for condition, fields in conditions.items() if isinstance(conditions, dict) else ():
        field = f"{CONDITIONS}.{condition}"
        if isinstance(known, dict) and condition in known:
            found.append((field, f"{name} has a condition {condition} already"))
        elif not isinstance(fields, dict) or "derived" not in fields:
            found.append((field, "a condition here has a table `derived` that says from which one, and why"))
    return found
