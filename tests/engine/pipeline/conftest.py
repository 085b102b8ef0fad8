"""One finished run of the tiny experiment, shared by the tests of the pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.pipeline.finished_run import FinishedRun
from tests.engine.tiny_experiment import tiny_settings, write_experiment


@pytest.fixture(scope="session")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_experiment(tmp_path_factory.mktemp("experiment") / "experiment.toml")


@pytest.fixture(scope="session")
def finished(experiment: Path, workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """Not to be changed."""
    return FinishedRun(tiny_settings(experiment), tmp_path_factory.mktemp("run") / "A_seed42", workspace)
