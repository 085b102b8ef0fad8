"""``qllm-console abort``: end runs with all their processes."""

from __future__ import annotations

from console import exit_codes
from console.commands.answers import OutcomesAnswer, print_json
from console.commands.connect import command, connected
from console.commands.context import Context
from console.commands.output import print_line, report
from engine.contract.bad_input import BadInput


@command
async def abort(context: Context) -> int:
    """Abort the runs that ``--all``, ``--condition`` and ``--seed`` name; naming them is the confirmation."""
    options = context.options
    if not (options.all or options.condition or options.seed):
        raise BadInput("say what to abort: --all, --condition or --seed", field="abort")
    chosen = context.chosen_runs()
    session = context.session()
    async with connected(session):
        plan = session.plan_abort(chosen)
        report(plan.question)
        outcomes = await session.abort(plan)
    if context.options.json:
        print_json("outcomes", "abort", OutcomesAnswer(outcomes))
    else:
        for outcome in outcomes:
            print_line(f"{outcome.run.label}: {outcome.note}")
    return exit_codes.DONE if all(outcome.done for outcome in outcomes) else exit_codes.FAILED
