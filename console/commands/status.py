"""``qllm-console status``: the runs as they are on the host."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from console import exit_codes
from console.commands.connect import attached
from console.commands.context import Context
from console.commands.output import put, say, table
from console.format import size
from console.hosts.ssh.errors import LinkDown
from console.runs.run_view import RunView, fraction_done, training_seconds_left
from console.runs.snapshot import Snapshot, SyncState


def status(context: Context) -> int:
    """Ask the host once and print what it says."""
    try:
        snapshot = asyncio.run(_look(context))
    except LinkDown as error:
        say(f"qllm-console: {error}")
        return exit_codes.UNREACHABLE
    views = snapshot.runs.values()
    if context.options.json:
        rows = [_row(view, snapshot) for view in views]
        put(msgspec.json.encode({"host": snapshot.host.name, "runs": rows}).decode())
    else:
        rows = [{**_row(view, snapshot), "home": _sync_text(snapshot.sync_states[view.run])} for view in views]
        columns = ("condition", "seed", "state", "stage", "done", "left_s", "home", "reason")
        put(table(columns, [[_shown(row[column]) for column in columns] for row in rows]))
    return exit_codes.DONE


async def _look(context: Context) -> Snapshot:
    session = context.session()
    async with attached(session):
        return session.snapshot


def _row(view: RunView, snapshot: Snapshot) -> dict[str, Any]:
    running = view.name == "running"
    return {
        "condition": view.run.condition,
        "seed": view.run.seed,
        "state": view.name,
        "stage": view.stage if running else "",
        "done": fraction_done(view) if running else None,
        "left_s": training_seconds_left(view) if running else None,
        "home": snapshot.sync_states[view.run].status,
        "home_bytes": snapshot.sync_states[view.run].bytes_done,
        "reason": view.state.reason if view.state else "",
    }


def _sync_text(runs_dir: SyncState) -> str:
    return f"coming home {size(runs_dir.bytes_done)}" if runs_dir.status in ("syncing", "pulling") else runs_dir.status


def _shown(value: object) -> str:
    return "" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
