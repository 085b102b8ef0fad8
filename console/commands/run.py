"""``qllm-console run``: launch, follow to the end, bring home, print the results."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec

from console import exit_codes
from console.commands.connect import attached
from console.commands.context import Context
from console.commands.output import put, say
from console.commands.results import print_results
from console.hosts.ssh.errors import LinkDown
from console.runs.launch_plan import LaunchPlan
from console.runs.run_view import RunView
from console.runs.snapshot import Snapshot, SyncState
from console.session import Outcome, Session
from engine.contract.settings import RunId
from engine.contract.state import SEALED

ENGINE_BAD_INPUT = 2
ENGINE_SHIP_BLOCKER = 5


def run(context: Context) -> int:
    """Launch what the options choose and wait until it has ended and is home.

    Returns:
        0 when every chosen run finished; else the exit code of the worst that happened. Detached, 0 when each run
        that was to be launched was.
    """
    try:
        return asyncio.run(_run(context))
    except LinkDown as error:
        say(f"qllm-console: {error}")
        return exit_codes.UNREACHABLE


async def _run(context: Context) -> int:
    chosen = context.chosen_runs()
    session = context.session()
    changed = asyncio.Event()
    session.subscribe(lambda _: changed.set())
    async with attached(session):
        reporter = _Reporter(chosen)
        reporter.take(session.snapshot)
        outcomes = await _launch(session, session.plan_launch(chosen, again=context.options.fresh))
        launched = exit_codes.DONE if all(outcome.done for outcome in outcomes) else exit_codes.FAILED
        if context.options.detach:
            if context.options.json:
                put(msgspec.json.encode(outcomes).decode())
            return launched
        while not _over(session.snapshot, chosen):
            await changed.wait()
            changed.clear()
            reporter.take(session.snapshot)
        snapshot = session.snapshot
    print_results(session.results(), context.options.json)
    return _exit_code(snapshot, chosen) or launched


async def _launch(session: Session, plan: LaunchPlan) -> tuple[Outcome, ...]:
    """Launch; a broken link is waited for, and the same launch asked for again, which starts nothing twice.

    Returns when the session follows what was launched, and no longer what it replaced.
    """
    say(plan.question)
    before = {run: _key(session, run) for run in plan.launch}
    while True:
        try:
            outcomes = await session.launch(plan)
            break
        except LinkDown as error:
            say(f"not launched yet: {error}")
            session.ready.clear()
            await session.ready.wait()
    for outcome in outcomes:
        if not outcome.done:
            say(f"{outcome.run}: {outcome.note}")
    launched = {outcome.run for outcome in outcomes if outcome.done}
    while any(_key(session, run) in (before[run], None) for run in launched):
        session.ready.clear()
        await session.ready.wait()
    return outcomes


def _key(session: Session, run: RunId) -> str | None:
    """The launch that is known of a run."""
    state = session.snapshot.runs[run].state
    return state.key if state else None


def _over(snapshot: Snapshot, chosen: Iterable[RunId]) -> bool:
    """Every run has ended, and what its launch left is at home or was found damaged."""
    for run in chosen:
        view, runs_dir = snapshot.runs[run], snapshot.sync_states[run]
        if view.active:
            return False
        if view.name in SEALED and not _synced(view, runs_dir) and runs_dir.status != "damaged":
            return False
    return True


def _synced(view: RunView, runs_dir: SyncState) -> bool:
    """The capsule at home is of the launch that is known now, and of no older one."""
    return view.state is not None and runs_dir.status == "synced" and runs_dir.key == view.state.key


def _exit_code(snapshot: Snapshot, chosen: Iterable[RunId]) -> int:
    codes = {_code_of(snapshot.runs[run], snapshot.sync_states[run]) for run in chosen}
    for code in (exit_codes.BAD_INPUT, exit_codes.FAILED, exit_codes.SHIP_BLOCKER):
        if code in codes:
            return code
    return exit_codes.DONE


def _code_of(view: RunView, runs_dir: SyncState) -> int:
    if view.name == "finished":
        return exit_codes.DONE if _synced(view, runs_dir) else exit_codes.FAILED
    code = view.state.exit_code if view.state else None
    if view.name == "failed" and code == ENGINE_BAD_INPUT:
        return exit_codes.BAD_INPUT
    if view.name == "failed" and code == ENGINE_SHIP_BLOCKER:
        return exit_codes.SHIP_BLOCKER
    return exit_codes.FAILED


class _Reporter:
    """Says a line when a run changes its state or its stage."""

    def __init__(self, runs: Iterable[RunId]) -> None:
        self._runs = tuple(runs)
        self._said: dict[RunId, str] = {}

    def take(self, snapshot: Snapshot) -> None:
        for run in self._runs:
            view = snapshot.runs[run]
            line = view.name if view.name != "running" else f"running: {view.stage or 'starting'}"
            if view.state and view.state.ended and view.state.reason:
                line += f" ({view.state.reason})"
            if line != self._said.get(run) and view.state is not None:
                self._said[run] = line
                say(f"{run}: {line}")
