"""The real command line over the real embedded host, with a job in place of the engine that takes no time."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console import cli, session
from console.commands.context import Context
from console.hosts.remote.launch_request import launch_request
from tests.console.tiny import PROFILE, write_experiment

FOLDER = "tiny-tiny"


def use_job(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Have every launch run Python ``code`` in its run folder, in place of the engine."""
    within = f"import os, sys; os.chdir(sys.argv[1]); exec({code!r})"

    def request(*arguments: Any, **options: Any) -> dict[str, Any]:
        return {**launch_request(*arguments, **options), "argv": ["python3", "-c", within, "{run}"]}

    async def no_error(*_: object) -> str:
        return ""

    monkeypatch.setattr(session, "launch_request", request)
    monkeypatch.setattr(session, "engine_error", no_error)


def command(name: str, folder: Path, *arguments: str) -> Callable[[], int]:
    """A command as a user types it, to be called in this process: returns its exit code."""
    options = cli.parser().parse_args([name, *arguments], Namespace(**cli.DEFAULTS))
    options.experiment, options.profile, options.runs = write_experiment(folder), PROFILE, folder / "runs"
    module = __import__(f"console.commands.{name}", fromlist=[name])
    return lambda: int(getattr(module, name)(Context(options)))


def workspace(folder: Path) -> Path:
    return folder / "runs" / ".local-host"


def run_folders(folder: Path) -> Path:
    """The run folders on the host."""
    return workspace(folder) / "runs" / FOLDER


def states(folder: Path) -> dict[str, dict[str, Any]]:
    """The state file of each run on the host, by the run's name."""
    found = {}
    for path in run_folders(folder).glob("[!.]*/state.json"):
        found[path.parent.name] = json.loads(path.read_bytes())
    return found


def launches(folder: Path) -> set[str]:
    """Keys of all launches that the host ever claimed."""
    root = workspace(folder)
    return {path.parent.name for name in ("jobs", "ended") for path in root.glob(f"{name}/*/job.json")}


def set_aside(folder: Path) -> list[str]:
    """Names of the run folders that later launches have set aside on the host."""
    return sorted(path.name for path in run_folders(folder).glob(".previous/*"))
