"""``qllm-console wait``: wait until runs are as a condition says."""

from __future__ import annotations

import time

from console import exit_codes
from console.commands.answers import WaitAnswer, print_json
from console.commands.changes import Changes
from console.commands.connect import command, connected
from console.commands.context import Context
from console.commands.output import print_line, report
from console.commands.status import run_status
from console.commands.until import Until, parse_until, reached, states_text
from console.runs.snapshot import Snapshot
from console.session import Session


@command
async def wait(context: Context) -> int:
    """Wait until the runs are as ``--until`` says, then print how they are.

    Returns:
        0 once they are; 3 once they have ended otherwise, so that they cannot become so.
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
    return exit_codes.DONE if answer else exit_codes.NOT_REACHED


async def _until(session: Session, until: Until) -> bool:
    """Wait for the end; reports on stderr what happens meanwhile. Whether ``until`` was reached."""
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
