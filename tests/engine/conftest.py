"""What the engine's tests share: a workspace for whole runs, a tiny encoder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import wordnet_once
from tests.engine.tiny_encoder import write_tiny_encoder


@pytest.fixture(scope="session", autouse=True)
def wordnet_is_read_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        wordnet_once.share(patch)
        yield


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Empty at first; whoever runs first fills it with the tiny experiment's data and token states."""
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random encoder of two layers, 16 wide; not to be changed."""
    folder = tmp_path_factory.mktemp("encoder")
    write_tiny_encoder(folder)
    return folder
