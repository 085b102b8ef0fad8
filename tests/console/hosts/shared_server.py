"""One embedded SSH server for the tests of a process: starting one takes longer than most of them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import asyncssh

from console.hosts.agent.job_environment import passed_on
from engine.contract.import_path import isolated_python

Running: TypeAlias = tuple[int, str, asyncssh.SSHKey]
Open: TypeAlias = Callable[[Collection[str]], AbstractAsyncContextManager[Running]]


class SharedServer:
    """The server as the product starts it; a test that has changed what a server inherits gets one of its own."""

    def __init__(self, own_server: Open) -> None:
        self._own_server = own_server
        self._process: subprocess.Popen[str] | None = None
        self._inherited: object = None
        self._running: Running | None = None

    @asynccontextmanager
    async def open(self, environment: Collection[str] = ()) -> AsyncIterator[Running]:
        """Stand-in for ``embedded_host.embedded_server``."""
        if self._running is None:
            self._running = self._start()
        changed = environment or self._inherited != inherited()
        if changed or self._process is None or self._process.poll() is not None:
            async with self._own_server(environment) as running:
                yield running
        else:
            yield self._running

    def close(self) -> None:
        """End it, as closing a console does."""
        if self._process is not None:
            self._process.communicate(timeout=20)

    def _start(self) -> Running:
        client_key = asyncssh.generate_private_key("ssh-ed25519")
        self._inherited = inherited()
        self._process = subprocess.Popen(
            [
                *isolated_python(),
                "-m",
                "console.hosts.ssh.embedded_server",
                client_key.export_public_key().decode().strip(),
            ],
            env=passed_on(os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        port, host_key = self._process.stdout.readline().strip().split(" ", 1)
        return int(port), host_key, client_key


def inherited() -> object:
    """What a child process inherits and a test may change: the environment and the working folder."""
    return {name: text for name, text in os.environ.items() if name != "PYTEST_CURRENT_TEST"}, Path.cwd()
