"""Hosts, profiles and experiment files that an open console can be switched to."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from console.commands.context import Context
from console.hosts.host_config import read_hosts
from console.sanitize import sanitize_line
from console.user_settings import state_folder
from engine.contract.durable import write_durably
from engine.contract.experiment_reader import read_experiment
from engine.contract.experiment_text import DERIVED_SUFFIX
from engine.contract.toml_file import find_config

_MAX_FILES = 50
_MAX_RECENT = 20
_HEAD_BYTES = 100_000  # of a file, to see whether it is an experiment's


class ContextSwitcher:
    """Lists what the console can be switched to, and opens it as if the options had named it. Its methods read files.

    Attributes:
        present: host, profile and experiment file that are open.
    """

    def __init__(self, context: Context) -> None:
        self.present = (context.host_name, context.profile, context.experiment_file.absolute())
        self._options = context.options

    def hosts(self) -> tuple[tuple[str, str], ...]:
        """Name of each host of ``hosts.toml``, and what it is; raises BadInput."""
        hosts = read_hosts(self._options.hosts or find_config("hosts.toml"))
        found = []
        for name, host in hosts.items():
            login = "@".join(filter(None, (host.user, host.address)))
            found.append((name, sanitize_line(", ".join(filter(None, (host.title, host.launcher, login))))))
        return tuple(found)

    def files(self) -> tuple[Path, ...]:
        """Experiment files: what is open, those opened before, newest first, then others beside it and in ``./configs``."""
        file = self.present[2]
        folders = dict.fromkeys((file.parent, Path("configs").absolute()))
        beside = (one for folder in folders for one in _experiment_files(folder))
        recent = (one for one in _read_recent() if _looks_like_experiment(one))
        return tuple(dict.fromkeys((file, *recent, *beside)))[:_MAX_FILES]

    def profiles(self, file: Path) -> tuple[tuple[str, str], ...]:
        """Name and title of each profile of the experiment in ``file``; raises BadInput."""
        profiles = read_experiment(file).profiles
        return tuple((name, sanitize_line(one.title)) for name, one in profiles.items())

    def open(self, host: str, profile: str, file: Path) -> Context:
        """Context of the choice, with the other options as they were; raises BadInput."""
        chosen = {"host": host, "profile": profile, "experiment": file}
        return Context(argparse.Namespace(**vars(self._options) | chosen))

    def note_opened(self, host: str, profile: str, file: Path) -> None:
        """Note that these are open from now on."""
        self.present = (host, profile, file)
        self.remember()

    def remember(self) -> None:
        """Add the open file to those opened before, unless read-only; an error of writing is ignored."""
        if self._options.read_only:
            return
        file, path = self.present[2], _recent_file()
        recent = dict.fromkeys((file, *_read_recent()))
        text = "".join(f"{one}\n" for one in list(recent)[:_MAX_RECENT] if "\n" not in str(one))
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, text.encode("utf-8", "surrogateescape"))


def _recent_file() -> Path:
    return state_folder() / "recent-experiments"


def _read_recent() -> list[Path]:
    """The files opened before, newest first; none where that cannot be read."""
    try:
        lines = _recent_file().read_bytes().decode("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []
    return [Path(line) for line in lines if line.startswith("/")][:_MAX_RECENT]


def _experiment_files(folder: Path) -> Iterator[Path]:
    """The files in ``folder`` that look like experiments, by name."""
    for path in sorted(folder.glob("*.toml")):
        if not path.name.endswith(DERIVED_SUFFIX) and _looks_like_experiment(path):
            yield path


def _looks_like_experiment(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    return b"[profiles." in head and b"[conditions." in head
