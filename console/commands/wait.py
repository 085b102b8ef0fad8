"""``qllm-console wait``: wait until runs have reached a state."""

from __future__ import annotations

import time

from console import exit_codes
from console.commands.answers import WaitAnswer, print_json
from console.commands.connect import Changes, command, connected
from console.commands.context import Context
from console.commands.output import print_line, report
from console.commands.status import run_status
from console.commands.until import Until, parse_until, reached, states_text
from console.runs.snapshot import Snapshot
from console.session import Session


@command
async def wait(context: Context) -> int:
    """Wait for the condition of ``--until``, then print the state of the runs.

    Returns:
        0 once it is reached; 3 once the runs have ended otherwise, so that it cannot be reached any more.
    """
    until = parse_until(context.options.until, context.chosen_runs())
    session = context.session()
    started = time.monotonic()
    async with connected(session):
        answer = await _until(session, until)
        snapshot = session.snapshot
    if context.options.json:
        runs = tuple(run_status(snapshot.runs[run], snapshot) for run in until.runs)
        waited = round(time.monotonic() - started, 1)
        print_json("wait", "wait", WaitAnswer(context.options.until, answer, waited, runs))
    else:
        print_line(_text(context.options.until, answer, until, snapshot))
        if any(snapshot.runs[run].state_name == "finished" for run in until.runs):  # this command syncs nothing
            report(f"next: {context.command_line('sync', 'pull')}, then {context.command_line('results')}")
    return exit_codes.DONE if answer else exit_codes.NOT_REACHED


async def _until(session: Session, until: Until) -> bool:
    """Wait until ``until`` is reached (True) or cannot be any more (False); transitions are reported on stderr meanwhile."""
    changes = Changes(session)
    snapshot = session.snapshot
    while (answer := reached(until, snapshot.runs)) == "not yet":
        snapshot, found = await changes.next()
        for one in found:
            report(
                one.text, "run" if one.run else "message", run=one.run and run_status(snapshot.runs[one.run], snapshot)
            )
    return answer == "yes"


def _text(typed: str, answer: bool, until: Until, snapshot: Snapshot) -> str:
    states = states_text(snapshot.runs[run] for run in until.runs)
    return f"{typed}: {'reached' if answer else 'not reached, and cannot be any more'}; {states}"
