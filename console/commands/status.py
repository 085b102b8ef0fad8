"""``qllm-console status``: the runs as they are on the host."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import msgspec

from console import exit_codes
from console.commands.attach import attached, say
from console.commands.context import Context
from console.commands.table import table
from console.run_view import RunView, fraction_done, training_seconds_left
from console.session import LinkDown
from console.snapshot import Snapshot


def status(context: Context) -> int:
    """Ask the host once and print what it says."""
    try:
        snapshot = asyncio.run(_look(context))
    except LinkDown as error:
        say(f"qllm-console: {error}")
        return exit_codes.UNREACHABLE
    rows = [_row(view, snapshot) for view in snapshot.runs.values()]
    if context.options.json:
        sys.stdout.write(msgspec.json.encode({"host": snapshot.host.name, "runs": rows}).decode() + "\n")
    else:
        columns = ("condition", "seed", "state", "stage", "done", "left_s", "home", "reason")
        print(table(columns, [[_shown(row[column]) for column in columns] for row in rows]))
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
        "home": snapshot.homes[view.run].status,
        "reason": view.state.reason if view.state else "",
    }


def _shown(value: object) -> str:
    return "" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
