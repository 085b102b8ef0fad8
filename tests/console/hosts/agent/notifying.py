"""A workspace that notifies a service of the test's own, and launches in it."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.hosts.agent import notify
from console.hosts.agent.claims import Claim, claim
from console.hosts.agent.workspace import Workspace
from console.hosts.remote.agent_package import agent_file
from tests.console.notify_server import NotifyServer, notify_server

ENGINE = [sys.executable, "-I", "-m", "engine.cli", "notify"]


@pytest.fixture
def service() -> Iterator[NotifyServer]:
    with notify_server() as running:
        yield running


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace whose agent is this process, started from the shipped file."""
    program = tmp_path / "agent.pyz"
    program.write_bytes(agent_file()[0])
    monkeypatch.setattr(sys, "argv", [str(program)])
    return Workspace(tmp_path / "host")


def claimed(
    workspace: Workspace, code: str = "", run: str = "A_seed42", command: list[str] = ENGINE, operator: str = ""
) -> Claim:
    """A claimed launch of Python ``code``."""
    argv = [sys.executable, "-c", code, "{run}"]
    request = {"key": uuid.uuid4().hex, "folder": "scaling", "run": run, "argv": argv}
    settings = {"command": command, "host": "the\x1b[1m box", "operator": operator}
    found = claim(workspace, {**request, "notify": settings})
    assert isinstance(found, Claim)
    return found


def logged(workspace: Workspace) -> list[dict[str, Any]]:
    return list(notify.log(workspace, {})["messages"])
