"""The console's push and ``rsync -az``, in turn, from the same folder over the same OpenSSH server on the loopback.

The console's link is up, as it is in a session, and what a transfer starts on the host is within its time; rsync starts
its ssh each time, as it always does. What the console does beyond rsync is in its time too: SHA-256 at both ends, a
second count of both folders, receipts, and waiting until the host's disk has it all (rsync does not).
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from console.hosts.ssh.channels import HostConnection
from console.hosts.ssh.connection import open_connection
from console.hosts.transfer.folder_sync import push
from console.hosts.transfer.request import SyncRequest
from console.hosts.transfer.verdict import Verdict
from tests.bench.row import Row, row
from tests.console.hosts.sshd import Sshd, started

GOAL = 1.0
NOTE = "peer: rsync -az, same sshd, a connection each time; ours: link up, and flushed to disk, which rsync's is not"


class Sides:
    """Both ways to bring ``source`` to the host.

    Args:
        folder: everything is below it.
        sshd: the server.
        connection: a link to it.
        run: runs a coroutine on the link's event loop.
    """

    def __init__(self, folder: Path, sshd: Sshd, connection: HostConnection, runner: asyncio.Runner) -> None:
        self.source = folder / "source"
        self.source.mkdir()
        self._folder = folder
        self._connection = connection
        self._runner = runner
        known = folder / "operator" / "known_hosts"
        ssh = (
            f"ssh -F none -p {sshd.port} -i {sshd.identity} -o UserKnownHostsFile={known} -o StrictHostKeyChecking=yes"
        )
        self._rsync = ["rsync", "-az", "-e", ssh, f"{self.source}/", f"{sshd.user}@127.0.0.1:{folder}/theirs"]

    def ours(self, number: int) -> float:
        """Seconds of a push into folder ``number``."""
        request = SyncRequest(self.source, f"ours{number}", self._folder / f"notes{number}")
        os.sync()  # what the other side left for later is not ours to wait for
        started = time.perf_counter()
        verdict: Verdict = self._runner.run(push(self._connection, request))
        assert verdict.full, verdict.sentence()
        return time.perf_counter() - started

    def theirs(self, number: int) -> float:
        """Seconds of rsync into folder ``number``."""
        os.sync()
        started = time.perf_counter()
        subprocess.run([*self._rsync[:-1], f"{self._rsync[-1]}{number}/"], check=True)
        return time.perf_counter() - started

    def pairs(self, count: int, place: Callable[[int], int]) -> list[tuple[float, float]]:
        """(ours, theirs), each side first every other time, after one of each to warm up.

        Folders are never deleted in between: file systems are slow to give out numbers of files just deleted.
        """
        self.ours(0), self.theirs(0)
        found = []
        for number in range(1, count + 1):
            if number % 2:
                ours, theirs = self.ours(place(number)), self.theirs(place(number))
            else:
                theirs, ours = self.theirs(place(number)), self.ours(place(number))
            found.append((ours, theirs))
        return found


@contextmanager
def sides() -> Iterator[Sides]:
    """Both sides, with an empty source folder; everything is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="qllm-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        (folder / "sshd").mkdir()
        sshd = stack.enter_context(started(Sshd(folder / "sshd", getpass.getuser())))
        runner = stack.enter_context(asyncio.Runner())
        host = msgspec.structs.replace(sshd.host(folder), python=sys.executable)
        link = open_connection(host, folder, sshd.access(folder / "operator"))
        connection = runner.run(_enter(link))
        try:
            yield Sides(folder, sshd, connection, runner)
        finally:
            runner.run(_leave(link))


async def _enter(link: contextlib.AbstractAsyncContextManager[HostConnection]) -> HostConnection:
    return await link.__aenter__()


async def _leave(link: contextlib.AbstractAsyncContextManager[HostConnection]) -> None:
    await link.__aexit__(None, None, None)


def compared(name: str, fill: Callable[[Path], None], count: int, *, first: bool) -> Row:
    """One comparison, of a source that ``fill`` makes: of the first sync of it, or of one when nothing changed."""
    if not shutil.which("rsync"):
        raise SystemExit("rsync is not installed (Debian: apt-get install rsync)")
    with sides() as both:
        fill(both.source)
        if not first:
            for _ in range(2):  # the second time, hashes are known
                both.ours(0)
        return row(name, both.pairs(count, lambda number: number if first else 0), GOAL, NOTE)
