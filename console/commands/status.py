"""``qllm-console status``: the runs as the host knows them now, and how far they are synced."""

from __future__ import annotations

from typing import Any

import msgspec

from console import exit_codes
from console.commands.connect import command, connected
from console.commands.context import Context
from console.commands.output import print_line, table
from console.format import size
from console.runs.run_view import RunView, fraction_done, training_seconds_left
from console.runs.snapshot import NOT_SEALED, Snapshot, SyncState
from engine.contract.settings import differences, run_ids


@command
async def status(context: Context) -> int:
    """Ask the host once and print its answer."""
    session = context.session()
    async with connected(session):
        snapshot = session.snapshot
    views = snapshot.runs.values()
    if context.options.json:
        rows = [_row(view, snapshot) for view in views]
        body: dict[str, Any] = {"host": snapshot.host.name, "conditions": conditions_of(context), "runs": rows}
        body |= {"disk_free": snapshot.host.disk_free, "disk_full": snapshot.host.disk_full}
        body |= {"unnamed_runs": snapshot.host.unnamed_runs}
        print_line(msgspec.json.encode(body).decode())
    else:
        rows = [{**_row(view, snapshot), "sync": _sync_text(snapshot.sync_states[view.run])} for view in views]
        columns = ("condition", "seed", "state", "stage", "done", "left_s", "sync", "reason")
        print_line(table(columns, [[_cell(row[column]) for column in columns] for row in rows]))
    return exit_codes.DONE


def conditions_of(context: Context) -> dict[str, Any]:
    """Title of each condition of the profile, and where it differs from the experiment's base."""
    experiment, profile = context.experiment, context.profile
    names = dict.fromkeys(run.condition for run in run_ids(experiment, profile))
    return {
        name: {"title": experiment.conditions[name].title, "differences": differences(experiment, name, profile)}
        for name in names
    }


def _row(view: RunView, snapshot: Snapshot) -> dict[str, Any]:
    running = view.state_name == "running"
    sync = snapshot.sync_states[view.run]
    return {
        "condition": view.run.condition,
        "seed": view.run.seed,
        "state": view.state_name,
        "stage": view.stage if running else "",
        "done": fraction_done(view) if running else None,
        "left_s": training_seconds_left(view) if running else None,
        "sync": sync.status,
        "synced_bytes": sync.bytes_done,
        "reason": (view.state.reason if view.state else "") or sync.note * (NOT_SEALED in sync.note),
    }


def _sync_text(sync: SyncState) -> str:
    return f"{sync.status} {size(sync.bytes_done)}" if sync.status in ("syncing", "pulling") else sync.status


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
