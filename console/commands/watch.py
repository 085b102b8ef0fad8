"""``qllm-console watch``: the runs as they change, as a table that is redrawn on a terminal, else a line for each change."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Callable

from console.commands.answers import TransitionLine, json_line
from console.commands.connect import Changes, command, connected
from console.commands.context import Context
from console.commands.output import print_line, report, write
from console.commands.status import status_answer, status_table
from console.commands.verdict_message import VerdictMessage
from console.commands.when_done import run_when_done
from console.hosts.when_done import check_command, wait_until_done
from console.runs.snapshot import Snapshot
from console.runs.transitions import Transition, state_counts
from console.sanitize import sanitize_line
from console.session import Session
from engine.contract.bad_input import BadInput


@command
async def watch(context: Context) -> int:
    """Show the runs until interrupted, until ``--timeout`` is over, or with ``--until synced`` until all is done.

    If the host's entry has ``notify``, the verdict is sent once all runs have ended and are synced.

    Raises:
        BadInput: a command without ``--until``, or one that cannot be run here.

    Returns:
        0 once all is done; 1 if the command that is run then fails.
    """
    argv = _command_when_done(context)
    session = context.session()
    screen = _Screen() if sys.stdout is not None and sys.stdout.isatty() and not context.options.json else None
    verdict = VerdictMessage(session, context.host.notify, context.runs_dir / session.snapshot.folder)
    async with connected(session):
        if context.host.notify:
            session.subscribe(verdict.update)
            verdict.update(session.snapshot)
        tasks = [asyncio.create_task(_show(context, session, screen))]
        if context.waits_for_synced:
            on_reasons = _reporter(session, screen)
            tasks.append(asyncio.create_task(wait_until_done(session, context.chosen_runs(), on_reasons)))
        try:
            for ended in (await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED))[0]:
                ended.result()
            await verdict.sent()  # before a command that may end this machine or the host
        finally:
            for task in tasks:
                task.cancel()
        return await run_when_done(argv)


def _command_when_done(context: Context) -> tuple[str, ...]:
    if not context.waits_for_synced:
        if context.options.argv:
            raise BadInput("needs --until synced, after which it is run", field="COMMAND")
        return ()
    typed = tuple(context.options.argv)
    return check_command(typed, "COMMAND") if typed else check_command(context.host.when_done, "when_done")


def _reporter(session: Session, screen: _Screen | None) -> Callable[[str], None]:
    """Shows why not all is done: below the table on a terminal, else on stderr."""

    def on_reasons(text: str) -> None:
        if screen is None:
            report(f"not done yet: {text}")
        else:
            screen.note = f"not done yet: {text}"
            screen.draw(session.snapshot)

    return on_reasons


async def _show(context: Context, session: Session, screen: _Screen | None) -> None:
    """Show each change of the runs, on and on."""
    changes = Changes(session)
    snapshot = session.snapshot
    if screen is not None:
        screen.draw(snapshot)
    elif context.options.json:
        print_line(json_line("status", "watch", status_answer(context, snapshot)))
    else:
        print_line(status_table(snapshot))
    while True:
        snapshot, found = await changes.next()
        if screen is not None:
            screen.draw(snapshot)
        for one in found if screen is None else ():
            print_line(_line(one, as_json=context.options.json))


def _line(one: Transition, *, as_json: bool) -> str:
    if as_json:
        return json_line("transition", "watch", TransitionLine(round(time.time(), 3), one.kind, one.text, one.run))
    return f"{time.strftime('%H:%M:%S')}  {one.text}"


class _Screen:
    """Redraws the table of runs in place on a terminal, in at most as many lines as that has."""

    def __init__(self) -> None:
        self._lines = 0
        self.note = ""

    def draw(self, snapshot: Snapshot) -> None:
        """Draw ``snapshot`` in place of what is there."""
        columns, rows = shutil.get_terminal_size()
        lines = watch_lines(snapshot, columns, rows - (2 if self.note else 1), time.strftime("%H:%M:%S"))
        lines += [sanitize_line(self.note)[:columns]] if self.note else []
        up = f"\x1b[{self._lines}F" if self._lines else ""
        write(sys.stdout, f"{up}\x1b[J" + "\n".join(lines) + "\n")
        self._lines = len(lines)


def watch_lines(snapshot: Snapshot, columns: int, rows: int, clock: str) -> list[str]:
    """At most ``rows`` lines of at most ``columns`` characters: how many runs are in which state, then the table."""
    counts = ", ".join(
        f"{number:,} {'not launched' if name == 'none' else name}" for name, number in state_counts(snapshot).items()
    )
    host = snapshot.host
    link = host.link if host.link == "up" else f"{host.link}: {host.detail}" if host.detail else host.link
    lines = [f"{clock}  {host.title}  link {link}  {counts}", *status_table(snapshot).splitlines()]
    if len(lines) > rows:
        lines = [*lines[: rows - 1], f"… and {len(lines) - rows + 1:,} more lines; a taller terminal shows them"]
    return [sanitize_line(line)[:columns] for line in lines]
