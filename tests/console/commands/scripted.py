"""A session without a host for commands that follow runs: a script of snapshots, shown one after the other."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from console.cli import parse
from console.commands.context import Context
from console.runs.run_view import RunView
from console.runs.snapshot import HostView, Snapshot, SyncState
from console.session import Session
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId, run_ids
from engine.contract.state import RunState
from engine.contract.toml_file import find_config

EXPERIMENT = read_experiment(find_config("scaling.toml"))
RUNS = run_ids(EXPERIMENT, "full")
A42, A123 = RUNS[:2]


def shown(states: dict[RunId, str], link: str = "up", reason: str = "") -> Snapshot:
    """A snapshot in which the runs have these states, each of one launch; the others are not launched."""
    views = {
        run: RunView(run, RunState(cast(Any, states[run]), "k", reason=reason)) if run in states else RunView(run)
        for run in RUNS
    }
    host = HostView("box", "the box", "ssh", "", link=cast(Any, link), last_reply_at=1.0, runs_reported=True)
    return Snapshot(host, "scaling", "full", views, dict.fromkeys(RUNS, SyncState()))


class ScriptedSession:
    """Shows the snapshots of ``script``; after the last one the link needs the operator, which ends every command."""

    def __init__(self, script: Iterable[Snapshot]) -> None:
        self._script = iter(script)
        self.snapshot = next(self._script)
        self.ready, self.stopped = asyncio.Event(), asyncio.Event()
        self.misconfigured = None
        self.last_question_at = 0.0
        self._listeners: list[Callable[[Snapshot], None]] = []

    def subscribe(self, callback: Callable[[Snapshot], None]) -> None:
        self._listeners.append(callback)
        if len(self._listeners) == 2:  # the reporter of the link is the first, the command the second
            asyncio.get_running_loop().call_soon(self._show_next)

    def _show_next(self) -> None:
        snapshot = next(self._script, None)
        if snapshot is None:
            self.stopped.set()
            return
        self.snapshot = snapshot
        for listener in self._listeners:
            listener(snapshot)
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: loop.call_soon(lambda: loop.call_soon(self._show_next)))

    async def run(self) -> None:
        self.ready.set()
        await asyncio.Event().wait()

    async def close(self) -> None: ...


def scripted_context(arguments: Sequence[str], script: Iterable[Snapshot]) -> Context:
    """What a command line gives its command, with a session of ``script``."""

    class Scripted(Context):
        def session(self, *_: object, **__: object) -> Session:
            return cast(Session, ScriptedSession(script))

    options: Namespace = parse(arguments)
    options.runs = Path("/nowhere")
    return Scripted(options)
