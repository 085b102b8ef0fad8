"""``qllm-console status``: the runs as the host knows them now, and how far they are synced."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from msgspec import structs

from console import exit_codes
from console.commands.answers import ConditionTitle, CostAnswer, RunStatus, StatusAnswer, print_json
from console.commands.connect import Changes, command, connected
from console.commands.context import Context
from console.commands.output import print_line, table
from console.format import duration, size
from console.runs.estimates import Estimate, MeasuredRuns, cost_text, estimate, left_text
from console.runs.failures import failure_of
from console.runs.run_view import RunView, fraction_done, training_seconds_left
from console.runs.snapshot import NOT_SEALED, Snapshot, SyncState
from console.session import Session
from engine.contract.settings import differences, resolve, run_ids

HOST_TIME_S = 10.0


@command
async def status(context: Context) -> int:
    """Ask the host once and print its answer."""
    session = context.session()
    async with connected(session):
        if session.snapshot.host.price_per_hour is not None:
            await _host_time(session)
        snapshot = session.snapshot
    if context.options.json:
        print_json("status", "status", status_answer(context, snapshot))
    else:
        found = _estimate(context, snapshot)
        print_line(f"{context.experiment.name}, profile {context.profile}, on {snapshot.host.title}")
        print_line(status_table(snapshot))
        for view in snapshot.runs.values():
            if (failure := failure_of(view)) is not None:
                print_line(f"{view.run.label}: next: {failure.next_step}; {failure.resume}")
        if found.active:
            print_line(f"time: {left_text(found)}")
        if cost := cost_text(found):
            print_line(f"cost: {cost}")
    return exit_codes.DONE


async def _host_time(session: Session) -> None:
    """Wait for the host's clock, by which costs are told, a moment at most."""
    changes = Changes(session)
    with suppress(TimeoutError):
        async with asyncio.timeout(HOST_TIME_S):
            while session.snapshot.host_history.host_time(time.monotonic()) is None:
                await changes.next()


def status_answer(context: Context, snapshot: Snapshot) -> StatusAnswer:
    """The runs in ``snapshot`` as JSON has them."""
    host, runs = snapshot.host, tuple(run_status(view, snapshot) for view in snapshot.runs.values())
    return StatusAnswer(
        host.name,
        conditions_of(context),
        runs,
        host.disk_free,
        host.disk_full,
        host.unnamed_runs,
        _cost(_estimate(context, snapshot)),
    )


def _estimate(context: Context, snapshot: Snapshot) -> Estimate:
    settings = {run: resolve(context.experiment, context.profile, run) for run in snapshot.runs}
    expected = MeasuredRuns(settings, snapshot.runs).expected_of_all(settings)
    return estimate(snapshot, expected, snapshot.host_history.host_time(time.monotonic()))


def _cost(found: Estimate) -> CostAnswer | None:
    if found.spent is None:
        return None
    left = None if found.cost is None else found.cost - found.spent
    return CostAnswer(found.currency, found.spent, found.cost, left, found.at_least, found.idle)


def status_table(snapshot: Snapshot) -> str:
    """The runs as a text table, with their GPUs where they are bound to some."""
    statuses = {view.run: run_status(view, snapshot) for view in snapshot.runs.values()}
    columns = ["condition", "seed", "state", "stage", "done", "training left", "sync", "reason"]
    if any(status.gpu for status in statuses.values()):
        columns.insert(-1, "gpu")
    rows = []
    for run, status in statuses.items():
        row = structs.asdict(status) | {
            "done": None if status.done is None else f"{100 * status.done:.0f}%",
            "training left": None if status.left_s is None else duration(status.left_s),
            "sync": _sync_text(snapshot.sync_states[run]),
            "gpu": f"{status.gpu.index} {status.gpu.uuid}" if status.gpu else None,
        }
        rows.append(["" if row[column] is None else str(row[column]) for column in columns])
    return table(columns, rows)


def conditions_of(context: Context) -> dict[str, ConditionTitle]:
    """Title of each condition of the profile, and where it differs from the experiment's base."""
    experiment, profile = context.experiment, context.profile
    names = dict.fromkeys(run.condition for run in run_ids(experiment, profile))
    return {
        name: ConditionTitle(experiment.conditions[name].title, differences(experiment, name, profile))
        for name in names
    }


def run_status(view: RunView, snapshot: Snapshot) -> RunStatus:
    """One run as ``status`` prints it."""
    running = view.state_name == "running"
    sync = snapshot.sync_states[view.run]
    return RunStatus(
        view.run.condition,
        view.run.seed,
        view.state_name,
        view.stage if running else "",
        fraction_done(view) if running else None,
        training_seconds_left(view) if running else None,
        sync.status,
        sync.bytes_done,
        (view.state.reason if view.state else "") or sync.note * (NOT_SEALED in sync.note),
        view.state.gpu if view.state else None,
        failure_of(view),
    )


def _sync_text(sync: SyncState) -> str:
    return f"{sync.status} {size(sync.bytes_done)}" if sync.status in ("syncing", "pulling") else sync.status
