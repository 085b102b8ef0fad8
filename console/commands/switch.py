"""What an open console can be switched to: hosts, profiles, experiment files; opened as if its options had named them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from console.commands.context import Context
from console.hosts.host_config import read_hosts
from console.sanitize import sanitize_line
from engine.contract.experiment_reader import read_experiment
from engine.contract.experiment_text import DERIVED_SUFFIX
from engine.contract.toml_file import find_config

_MAX_FILES = 50
_HEAD_BYTES = 100_000  # of a file, to see whether it is an experiment's


class ContextSwitcher:
    """The choices beside what the console was opened with. Its methods read files.

    Attributes:
        present: host, profile and experiment file that are open.
    """

    def __init__(self, context: Context) -> None:
        self.present = (context.host_name, context.profile, context.experiment_file.absolute())
        self._options = context.options
        self._opened = [self.present[2]]

    def hosts(self) -> tuple[tuple[str, str], ...]:
        """Name of each host of ``hosts.toml``, and what it is; raises BadInput."""
        hosts = read_hosts(self._options.hosts or find_config("hosts.toml"))
        found = []
        for name, host in hosts.items():
            login = "@".join(filter(None, (host.user, host.address)))
            found.append((name, sanitize_line(", ".join(filter(None, (host.title, host.launcher, login))))))
        return tuple(found)

    def files(self) -> tuple[Path, ...]:
        """Experiment files: those opened so far, newest first, then others in their folders and in ``./configs``."""
        folders = dict.fromkeys((*(file.parent for file in self._opened), Path("configs").absolute()))
        beside = (file for folder in folders for file in _experiment_files(folder))
        return tuple(dict.fromkeys((*reversed(self._opened), *beside)))[:_MAX_FILES]

    def profiles(self, file: Path) -> tuple[tuple[str, str], ...]:
        """Name and title of each profile of the experiment in ``file``; raises BadInput."""
        profiles = read_experiment(file).profiles
        return tuple((name, sanitize_line(one.title)) for name, one in profiles.items())

    def open(self, host: str, profile: str, file: Path) -> Context:
        """What to open in place of what is open; raises BadInput."""
        chosen = {"host": host, "profile": profile, "experiment": file}
        return Context(argparse.Namespace(**vars(self._options) | chosen))

    def note_opened(self, host: str, profile: str, file: Path) -> None:
        """These are open from now on."""
        self.present = (host, profile, file)
        self._opened = [one for one in self._opened if one != file] + [file]


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
