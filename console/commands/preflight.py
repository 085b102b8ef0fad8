"""``qllm-console preflight``: what a run needs of its host, looked at and, if asked, repaired."""

from __future__ import annotations

import asyncio

import msgspec

from console import exit_codes
from console.commands.connect import attached
from console.commands.context import Context
from console.commands.output import put, say, table
from console.hosts.preflight.checks import Check, worst
from console.hosts.ssh.errors import LinkDown


def preflight(context: Context) -> int:
    """Print the checklist; 0 if nothing blocks a run."""
    try:
        checks = asyncio.run(_look(context))
    except LinkDown as error:
        say(f"qllm-console: {error}")
        return exit_codes.UNREACHABLE
    if context.options.json:
        body = {"host": context.host_name, "status": worst(checks), "checks": checks}
        put(msgspec.json.encode(body).decode())
    else:
        rows = [[check.status, check.name, check.found, check.advice] for check in checks]
        put(table(("status", "check", "found", "what to do"), rows))
    return exit_codes.FAILED if worst(checks) == "blocker" else exit_codes.DONE


async def _look(context: Context) -> tuple[Check, ...]:
    session = context.session()
    async with attached(session):
        checks = await session.preflight()
        if context.options.repair:
            for check in checks:
                if check.repair is not None:
                    async for step in session.repair(check.repair):
                        say(f"{check.name}: {step}")
            checks = await session.preflight()
    return checks
