"""``qllm-console preflight``: checks of what a run needs on its host, repaired on request."""

from __future__ import annotations

from console import exit_codes
from console.commands.answers import PreflightAnswer, print_json
from console.commands.connect import command, connected
from console.commands.context import Context
from console.commands.output import print_line, report, table
from console.hosts.preflight.checks import worst_status


@command
async def preflight(context: Context) -> int:
    """Print the checks; exit code 0 if none of them blocks a run."""
    session = context.session()
    async with connected(session):
        checks = await session.upkeep.preflight()
        if context.options.repair:
            done: set[str] = set()
            # one repair can show the next: WordNet and requirements are looked for in the engine's environment
            while left := {check.repair: check.name for check in checks if check.repair and check.repair not in done}:
                repair, name = next(iter(left.items()))
                done.add(repair)
                last = ""
                async for step in session.upkeep.repair(repair):
                    if step != last:
                        report(f"{name}: {step}")
                    last = step
                checks = await session.upkeep.preflight()
    if context.options.json:
        print_json("preflight", "preflight", PreflightAnswer(context.host_name, worst_status(checks), checks))
    else:
        rows = [[check.status, check.name, check.found, check.advice] for check in checks]
        print_line(table(("status", "check", "found", "what to do"), rows))
    return exit_codes.FAILED if worst_status(checks) == "blocker" else exit_codes.DONE
