"""``qllm-console abort``: end runs with all their processes."""

from __future__ import annotations

import asyncio

import msgspec

from console import exit_codes
from console.commands.connect import attached
from console.commands.context import Context
from console.commands.output import put, say
from console.hosts.ssh.errors import LinkDown
from console.session import Outcome
from engine.contract.bad_input import BadInput


def abort(context: Context) -> int:
    """Abort what ``--all``, ``--condition`` and ``--seed`` name; naming it is the confirmation."""
    options = context.options
    if not (options.all or options.condition or options.seed):
        raise BadInput("say what to abort: --all, --condition or --seed", field="abort")
    try:
        outcomes = asyncio.run(_abort(context))
    except LinkDown as error:
        say(f"qllm-console: {error}")
        return exit_codes.UNREACHABLE
    if options.json:
        put(msgspec.json.encode(outcomes).decode())
    else:
        for outcome in outcomes:
            put(f"{outcome.run}: {outcome.note}")
    return exit_codes.DONE if all(outcome.done for outcome in outcomes) else exit_codes.FAILED


async def _abort(context: Context) -> tuple[Outcome, ...]:
    chosen = context.chosen_runs()
    session = context.session()
    async with attached(session):
        plan = session.plan_abort(chosen)
        say(plan.question)
        return await session.abort(plan)
