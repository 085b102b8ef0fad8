"""Which experiment file the runs of a local folder were launched from, so that no second experiment shares the folder."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from engine.contract.bad_input import BadInput
from engine.contract.durable import write_durably
from engine.contract.experiment import Experiment, folder_name
from engine.contract.toml_file import line_of, load_toml, read_text

SOURCE = ".experiment-source.json"
MAX_BYTES = 1 << 16


class ExperimentSource(Struct, frozen=True):
    """Experiment file of the latest launch from here, the experiment's name, and the folder's name, with the profile."""

    file: str
    name: str
    folder: str


def write_source(runs_dir: Path, file: Path, experiment: Experiment, profile: str) -> None:
    """Record that runs of ``experiment`` are launched from ``file``. Blocks; raises OSError."""
    source = ExperimentSource(str(file.absolute()), experiment.name, folder_name(experiment, profile))
    path, content = runs_dir / source.folder / SOURCE, msgspec.json.encode(source)
    if not path.is_file() or path.read_bytes() != content:
        write_durably(path, content)


def read_source(folder: Path) -> ExperimentSource | None:
    """What ``folder`` records; None if it records nothing that can be read. Blocks."""
    try:
        with open(folder / SOURCE, "rb") as file:
            return msgspec.json.decode(file.read(MAX_BYTES), type=ExperimentSource)
    except (OSError, msgspec.MsgspecError):
        return None


def check_source(runs_dir: Path, file: Path, experiment: Experiment, profile: str) -> None:
    """Check that the runs in the experiment's folder are not those of another experiment. Blocks.

    A file that was moved, renamed or copied as it is stays the same experiment.

    Raises:
        BadInput: they are: of another file with this name, or, where file names ignore case, of another name.
    """
    folder = folder_name(experiment, profile)
    source = read_source(runs_dir / folder)
    if source is None:
        return
    if source.folder != folder or source.name != experiment.name:
        other = f"{source.name!r} of {source.file}"
    elif _is_another(Path(source.file), file, experiment.name):
        other = f"the experiment of {source.file}, which has the same name"
    else:
        return
    message = f"{runs_dir / folder} holds the runs of {other}: choose another name, or another folder with --runs"
    raise BadInput(message, file=file, line=line_of(experiment.text, "name"), field="name")


def _is_another(known: Path, file: Path, name: str) -> bool:
    """Whether ``known`` still is an experiment called ``name``, and not the one in ``file``."""
    try:
        if known.samefile(file):
            return False
        text = read_text(known)
        return text != read_text(file) and load_toml(text, known).get("name") == name
    except (OSError, BadInput):
        return False
