"""What the console's tests share: one embedded server, an agent that starts at once, and a finished tiny experiment."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from console.hosts.agent import gpu_claims
from console.hosts.remote import agent_package
from console.hosts.ssh import embedded_host
from tests.console.hosts.agent_bytecode import agent_with_bytecode
from tests.console.hosts.shared_server import SharedServer
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


@pytest.fixture(scope="session", autouse=True)
def _own_gpu_claims() -> Iterator[None]:
    """GPUs are claimed apart from the developer's own runs, by whichever user a test has: in a folder like /tmp."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="qllm-test-gpus-") as folder:
        Path(folder).chmod(0o1777)
        patch.setattr(gpu_claims, "PLACE", Path(folder))
        yield


@pytest.fixture(scope="session", autouse=True)
def _agent_starts_at_once(_own_gpu_claims: None) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agent_package, "agent_file", agent_with_bytecode)
        yield


@pytest.fixture(scope="session")
def shared_server() -> Iterator[SharedServer]:
    shared = SharedServer(embedded_host.embedded_server)
    yield shared
    shared.close()


@pytest.fixture(autouse=True)
def _use_shared_server(shared_server: SharedServer) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:  # of its own, so that the order of other fixtures stays what it is
        patch.setattr(embedded_host, "embedded_server", shared_server.open)
        yield


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FinishedExperiment:
    folder = tmp_path_factory.mktemp("finished")
    experiment = write_experiment(folder)
    done = console("run", experiment, folder / "runs", "--json")
    assert done.returncode == 0, done.stderr
    return FinishedExperiment(experiment, folder / "runs", json.loads(done.stdout), done.stderr)
