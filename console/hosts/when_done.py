"""The operator's command for when all is done: every run has ended, and every byte on the host is local and verified."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from console.hosts.ssh.errors import LinkDown
from console.runs.snapshot import NOT_SEALED, Snapshot
from console.sanitize import sanitize_line
from engine.contract.bad_input import BadInput
from engine.contract.settings import RunId

CHECK_EVERY_S = 15.0  # while only the host can tell whether something is left: each check hashes every capsule again
DONE_TEXT = "all runs have ended, and every byte is local and verified"
MAX_OUTPUT = 4096  # bytes of a command's output that its last line is looked for in
POLL_S = 0.2
MAX_NAMED = 3  # reasons in one line


class Upkeep(Protocol):
    """What compares the host's workspace with the local files, byte for byte."""

    async def unsynced(self) -> tuple[str, ...]: ...


class Followed(Protocol):
    """Type of a connected session: the snapshot of its runs, and the comparison with the files on its host."""

    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def upkeep(self) -> Upkeep: ...


class Subscribed(Followed, Protocol):
    """A session that says when its snapshot has changed."""

    def subscribe(self, callback: Callable[[Snapshot], None], /) -> None: ...


def check_command(argv: Sequence[str], field: str) -> tuple[str, ...]:
    """``argv``, whose program can be run here.

    Raises:
        BadInput: it cannot; better now than after a night.
    """
    if argv and shutil.which(Path(argv[0]).expanduser()) is None:
        raise BadInput(f"no program {argv[0]!r} can be run on this machine", field=field)
    return (str(Path(argv[0]).expanduser()), *argv[1:]) if argv else ()


def undone(snapshot: Snapshot, runs: Iterable[RunId]) -> tuple[str, ...]:
    """Why not all is done as far as ``snapshot`` tells, a text for each reason; empty if it is."""
    if snapshot.host.link != "up":
        return (f"the host is not reached ({snapshot.host.link})",)
    found = []
    for run in runs:
        view, sync = snapshot.runs[run], snapshot.sync_states[run]
        if view.state is None:
            found.append(f"{run.label} was not launched")
        elif view.may_be_taken_back or view.state_name not in ("finished", "failed", "aborted"):
            found.append(f"{run.label} is {view.state_name}")
        elif sync.status != "synced" or sync.key != view.state.key:
            note = f" ({sync.note})" if sync.note else ""
            found.append(f"{run.label} is {NOT_SEALED if NOT_SEALED in sync.note else sync.status}{note}")
    return tuple(found)


async def still_undone(session: Followed, runs: Iterable[RunId]) -> tuple[str, ...]:
    """Why not all is done, by the session's snapshot and then by the host's whole workspace; empty if it is.

    A host that fails to answer is a reason too: whatever is in doubt is not done.
    """
    runs = tuple(runs)
    if reasons := undone(session.snapshot, runs):
        return reasons
    try:
        reasons = await session.upkeep.unsynced()
    except (LinkDown, BadInput) as error:
        return (sanitize_line(str(error)),)
    return reasons or undone(session.snapshot, runs)  # it may have changed meanwhile


async def wait_until_done(session: Subscribed, runs: Iterable[RunId], on_reasons: Callable[[str], None]) -> None:
    """Wait until all is done; ``on_reasons`` is told why it is not, each time that this changes."""
    runs = tuple(runs)
    changed = asyncio.Event()
    session.subscribe(lambda _: changed.set())
    last: tuple[str, ...] = ()
    while True:
        changed.clear()
        reasons = await still_undone(session, runs)
        if not reasons:
            return
        if reasons != last:
            last = reasons
            on_reasons(reasons_text(reasons))
        if undone(session.snapshot, runs):
            await changed.wait()
        else:  # only the host can tell when that is over
            await asyncio.sleep(CHECK_EVERY_S)


def reasons_text(reasons: Sequence[str]) -> str:
    """The first of ``reasons`` in one line, and how many more there are."""
    more = len(reasons) - MAX_NAMED
    return "; ".join(reasons[:MAX_NAMED]) + (f"; and {more:,} more" if more > 0 else "")


async def run_apart(argv: Sequence[str]) -> tuple[int, str]:
    """Run ``argv`` without a shell and a terminal; its exit code, and the last line that it printed.

    It goes on if the caller is cancelled: half of a stop call would leave the host in an unknown state.

    Raises:
        BadInput: it cannot be started.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(  # noqa: ASYNC220 - it only starts
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        except (OSError, ValueError) as error:  # ValueError: a null byte
            raise BadInput(f"{argv[0]}: {getattr(error, 'strerror', None) or error}", field="when_done") from error
        while process.poll() is None:  # noqa: ASYNC110 - no process of asyncio's, which would end with its loop
            await asyncio.sleep(POLL_S)
        output.seek(max(0, output.seek(0, os.SEEK_END) - MAX_OUTPUT))
        lines = output.read().decode("utf-8", "replace").strip().splitlines()
    return process.returncode, sanitize_line(lines[-1]) if lines else ""
