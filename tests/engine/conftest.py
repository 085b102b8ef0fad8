"""What the engine's tests share: one workspace for whole runs, and no deadline on examples that share their machine."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Empty at first; whoever runs first fills it with the tiny experiment's data and token states."""
    return tmp_path_factory.mktemp("workspace")
