"""``qllm-console restore``: bring back what a later launch of a run has set aside, or list it."""

from __future__ import annotations

import time

from console import exit_codes
from console.commands.answers import SetAsideAnswer, print_json
from console.commands.connect import command, connected, follow_launches
from console.commands.context import Context
from console.commands.limits import WaitLimit
from console.commands.output import print_line, report, table
from console.runs.set_aside import SetAside
from console.runs.snapshot import sync_status
from console.session import Session
from engine.contract.bad_input import BadInput
from engine.contract.settings import RunId, run_ids


@command
async def restore(context: Context) -> int:
    """List what was set aside of a run; with ``--key``, exchange it with the present launch, here and on the host.

    Returns:
        0 also when the launch is in place already; 1 when the host refused, or the local copy did not follow.
    """
    run, prefix = _run(context), context.options.key
    session = context.session()
    limit = WaitLimit(session, [run])
    async with connected(session):
        found = await session.list_set_aside(run)
        if prefix is None:
            _print(context, run, found)
            return exit_codes.DONE
        key = _key(found, run, prefix)
        outcome = await session.restore(run, key, found.present)
        if not outcome.done:
            report(f"qllm-console: {run.label} is as it was: {outcome.note}")
            return exit_codes.FAILED
        await follow_launches(session, {run: outcome.key})
        synced = await _synced(session, run, limit)
    if context.options.json:
        print_json("restored", "restore", outcome)
    else:
        print_line(f"{run.label}: launch {outcome.key} is in place again ({outcome.note})")
    return exit_codes.DONE if synced else exit_codes.FAILED


async def _synced(session: Session, run: RunId, limit: WaitLimit) -> bool:
    """Wait for the local copy; whether it is that of the restored launch, where that one can have one."""
    while run in sync_status(session.snapshot).not_synced and run not in limit.given_up:
        await limit.wait()
    limit.report_given_up(session.snapshot)
    status = sync_status(session.snapshot)
    return run in status.synced or run not in status.due


def _run(context: Context) -> RunId:
    """The run that the command line names, as ``A/42`` or ``A_seed42``.

    Raises:
        BadInput: the profile has no such run.
    """
    runs = run_ids(context.experiment, context.profile)
    for run in runs:
        if context.options.run in (run.label, str(run)):
            return run
    known = ", ".join(run.label for run in runs)
    raise BadInput(f"no run {context.options.run!r} in profile {context.profile}; known: {known}", field="RUN")


def _key(found: SetAside, run: RunId, prefix: str) -> str:
    """The key that begins with ``prefix``: of what was set aside, or of the present launch.

    Raises:
        BadInput: none does, or several do.
    """
    keys = [one.key for one in found.launches if prefix and one.key.startswith(prefix)]
    if not keys and prefix and found.present.startswith(prefix):
        return found.present
    if len(keys) != 1:
        many = f"{len(keys)} launches that were" if keys else "no launch that was"
        raise BadInput(
            f"{many} set aside of {run.label} begin with {prefix!r}; `restore` alone lists them", field="--key"
        )
    return keys[0]


def _print(context: Context, run: RunId, found: SetAside) -> None:
    if context.options.json:
        print_json("set-aside", "restore", SetAsideAnswer(run.condition, run.seed, found.present, found.launches))
    elif not found.launches:
        print_line(f"nothing was set aside of {run.label}")
    else:
        rows = [(one.key, one.state, _time(one.ended_at), one.content_text, one.reason) for one in found.launches]
        print_line(table(("key", "state", "ended", "has", "reason"), rows))


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds)) if seconds else ""
