"""Fixtures of the tests of connections."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.console.hosts.ssh.desk import Desk


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    if shutil.which("ssh") is None:
        pytest.skip("OpenSSH's ssh is not installed (Debian: apt-get install openssh-client)")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with ExitStack() as opened:
        yield Desk(tmp_path, opened, monkeypatch)
