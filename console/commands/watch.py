"""``qllm-console watch``: the runs as they change, as a table that is redrawn on a terminal, else a line for each change."""

from __future__ import annotations

import shutil
import sys
import time

from console.commands.answers import TransitionLine, json_line
from console.commands.connect import Changes, command, connected
from console.commands.context import Context
from console.commands.output import print_line, write
from console.commands.status import status_answer, status_table
from console.runs.snapshot import Snapshot
from console.runs.transitions import Transition, state_counts
from console.sanitize import sanitize_line


@command
async def watch(context: Context) -> int:
    """Show the runs until interrupted, or until ``--timeout`` is over."""
    session = context.session()
    screen = _Screen() if sys.stdout is not None and sys.stdout.isatty() and not context.options.json else None
    async with connected(session):
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

    def draw(self, snapshot: Snapshot) -> None:
        """Draw ``snapshot`` in place of what is there."""
        columns, rows = shutil.get_terminal_size()
        lines = watch_lines(snapshot, columns, rows - 1, time.strftime("%H:%M:%S"))
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
