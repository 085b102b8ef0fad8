"""The tiny experiment, run once by the real engine on the real embedded host, for every test that reads its results."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.console.tiny import console, write_experiment


class FinishedExperiment(NamedTuple):
    """Where it is, and what ``qllm-console run --json`` printed at its end."""

    experiment: Path
    runs: Path
    printed: dict[str, Any]
    said: str


@pytest.fixture(scope="session", autouse=True)
def _own_memory(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What consoles remember is kept apart from what the developer's own console does."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FinishedExperiment:
    folder = tmp_path_factory.mktemp("finished")
    experiment = write_experiment(folder)
    done = console("run", experiment, folder / "runs", "--json")
    assert done.returncode == 0, done.stderr
    return FinishedExperiment(experiment, folder / "runs", json.loads(done.stdout), done.stderr)
