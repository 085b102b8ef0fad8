"""ProxyCommand: a shell command of the operator's ssh configuration whose input and output are the connection.

As ssh does it, the user's shell runs it: the one place where a text from a file is given to a shell.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket

from console.sanitize import sanitize_line

STOP_TIMEOUT_S = 2.0
MAX_STDERR_BYTES = 4096
CANNOT_RUN = (126, 127)  # the shell's exit codes for a command that is not executable, or not found


class ProxyCommand:
    """The process of a ProxyCommand, whose input and output carry one connection to a host.

    Attributes:
        socket: this end of the connection.
    """

    def __init__(self, process: asyncio.subprocess.Process, ours: socket.socket) -> None:
        self.socket = ours
        self._process = process
        self._stderr = b""
        self._draining = asyncio.create_task(self._drain())

    @classmethod
    async def start(cls, command: str) -> ProxyCommand:
        """Run ``command`` with ``$SHELL``, in a session of its own: it reads no terminal, and Ctrl+C does not end it.

        Raises:
            OSError: the shell cannot be run.
        """
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                os.environ.get("SHELL") or "/bin/sh",
                "-c",
                f"exec {command}",
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        return cls(process, ours)

    async def stop(self) -> None:
        """Close the connection, and end the command with all processes that it started."""
        self.socket.close()
        waiting = asyncio.create_task(self._process.wait())
        for number in (signal.SIGHUP, signal.SIGKILL):
            if self._process.returncode is not None and self._draining.done():
                break  # nothing is left of the group, whose number may be another's by now
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
            # no asyncio.timeout: before Python 3.11.3 it raises no TimeoutError in a task that is being cancelled
            await asyncio.wait({waiting, self._draining}, timeout=STOP_TIMEOUT_S)
        for task in (waiting, self._draining):  # a process that left the group may keep its stderr open
            task.cancel()
        await asyncio.gather(waiting, self._draining, return_exceptions=True)

    @property
    def cannot_run(self) -> bool:
        """Whether the shell did not find the command, or could not run it."""
        return self._process.returncode in CANNOT_RUN

    @property
    def last_error(self) -> str:
        """The last line on its stderr, safe to show; "" if there is none."""
        lines = self._stderr.decode("utf-8", "replace").strip().splitlines()
        return sanitize_line(lines[-1].strip(), 400) if lines else ""

    async def _drain(self) -> None:
        """Read stderr to its end: left to the terminal, it would be written across the screen."""
        assert self._process.stderr is not None
        while chunk := await self._process.stderr.read(MAX_STDERR_BYTES):
            self._stderr = (self._stderr + chunk)[-MAX_STDERR_BYTES:]
