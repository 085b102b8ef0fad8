"""One embedded SSH server for the tests of a process: starting one takes longer than most of them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import asyncssh
import psutil

from console.hosts.agent.job_environment import passed_on
from engine.contract.import_path import isolated_python

Running: TypeAlias = tuple[int, str, asyncssh.SSHKey]
Open: TypeAlias = Callable[[Collection[str]], AbstractAsyncContextManager[Running]]


class SharedServer:
    """The server as the product starts it, in the environment of the session's start, and again once a test has killed it.

    A test that has changed what a server inherits gets one of its own.
    """

    def __init__(self, own_server: Open) -> None:
        self._own_server = own_server
        self._process: subprocess.Popen[str] | None = None
        self._inherited = inherited()
        self._running: Running | None = None

    @asynccontextmanager
    async def open(self, environment: Collection[str] = ()) -> AsyncIterator[Running]:
        """Stand-in for ``embedded_host.embedded_server``."""
        if environment or self._inherited != inherited():
            async with self._own_server(environment) as running:
                yield running
            return
        if self._running is None or self._process is None or self._process.poll() is not None:
            self._running = self._start()
        yield self._running

    def close(self) -> None:
        """End it, as closing a console does."""
        if self._process is not None:
            self._process.communicate(timeout=20)

    def _start(self) -> Running:
        client_key = asyncssh.generate_private_key("ssh-ed25519")
        environ, folder = self._inherited
        self._process = subprocess.Popen(
            [
                *isolated_python(),
                "-m",
                "console.hosts.ssh.embedded_server",
                client_key.export_public_key().decode().strip(),
            ],
            env=environ,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        port, host_key = self._process.stdout.readline().strip().split(" ", 1)
        return int(port), host_key, client_key


def inherited() -> tuple[dict[str, str], Path]:
    """What a server inherits and a test may change: the environment and the working folder."""
    return passed_on(os.environ), Path.cwd()


def kill_servers() -> None:
    """SIGKILL every embedded server of this process, which cuts every link to them."""
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # one of an earlier test that has ended, as a zombie counts too
            if "console.hosts.ssh.embedded_server" in child.cmdline():
                child.kill()
