"""``qllm-console logs``: the logs of runs: their local copies, or with ``-f`` followed on the host."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from console import exit_codes
from console.commands.answers import LogLineAnswer, json_line
from console.commands.connect import command, connected, next_poll
from console.commands.context import Context
from console.commands.output import print_line, report
from console.commands.until import has_ended
from console.hosts.pull.local_runs import LocalRun
from console.runs.log_query import BadPattern, LogMatcher, LogQuery
from console.runs.log_store import LogStore
from console.runs.log_text import LogLine
from console.session import Session
from engine.contract.bad_input import BadInput
from engine.contract.experiment import folder_name
from engine.contract.settings import RunId

LEVELS = ("debug", "info", "warning", "error")
FOLLOW_TAIL = 20  # lines of each log before those that come
_AT_ONCE = 2000


def logs(context: Context) -> int:
    """Print the log of one run, or of all that ``--condition`` and ``--seed`` choose, each line behind its run's name.

    Raises:
        BadInput: there is no such run, or the pattern cannot be used.
    """
    runs = _runs(context)
    output = _Output(context, runs)
    if context.options.follow:
        return _follow(runs, output)(context)
    folder = context.runs_dir / folder_name(context.experiment, context.profile)
    for run in runs:
        local = LocalRun(folder, run)
        local.refresh()
        local.log.catch_up()
        output.print_new(run, local.log, context.options.tail)
        if local.log.error or local.error:
            report(f"qllm-console: {run.label}: {local.log.error or local.error}", "error")
            output.failed = True
    if not output.found_log and not output.failed:
        report("no log has been synced of " + ", ".join(run.label for run in runs) + "; -f follows the host's")
    return exit_codes.FAILED if output.failed else exit_codes.DONE


def _follow(runs: tuple[RunId, ...], output: _Output) -> Callable[[Context], int]:
    """A command that prints what the host's logs have and get, until all runs that were launched have ended."""

    @command
    async def follow(context: Context) -> int:
        session = context.session()
        tail = FOLLOW_TAIL if context.options.tail is None else context.options.tail
        async with connected(session):
            while True:
                over = _over(session, runs)
                for run in runs:
                    await asyncio.to_thread(output.print_new, run, session.log(run), tail)
                if over:
                    return exit_codes.DONE
                await next_poll(session)

    return follow


def _over(session: Session, runs: Iterable[RunId]) -> bool:
    """Whether all of ``runs`` that were launched have ended, and one was."""
    launched = [view for run, view in session.snapshot.runs.items() if run in runs and view.state is not None]
    return bool(launched) and all(map(has_ended, launched))


def _runs(context: Context) -> tuple[RunId, ...]:
    chosen = context.chosen_runs()
    named = context.options.run
    if named is None:
        return chosen
    found = tuple(run for run in chosen if named in (run.label, str(run)))
    if not found:
        raise BadInput(f"no run {named!r}; known: {', '.join(run.label for run in chosen)}", field="RUN")
    return found


class _Output:
    """Prints what is new of logs, as the options filter it."""

    def __init__(self, context: Context, runs: tuple[RunId, ...]) -> None:
        options = context.options
        self.found_log = self.failed = False
        self._json = options.json
        self._prefix = len(runs) > 1
        self._levels = LEVELS[LEVELS.index(options.level) :] if options.level else None
        self._printed: dict[RunId, tuple[int, int]] = {}
        try:
            self._matcher = LogMatcher(LogQuery.parse(options.grep)) if options.grep else None
            self._matching([LogLine(0, "")])
        except BadPattern as error:
            raise BadInput(str(error), field="--grep") from error

    def print_new(self, run: RunId, store: LogStore, tail: int | None) -> None:
        """Print the lines of ``store`` that were not printed yet; of a log that is new here the last ``tail``. Blocks."""
        store.catch_up()
        self.found_log |= store.total > 0
        opened, start = self._printed.get(run, (-1, 0))
        self._printed[run] = store.opened, store.total
        if opened == store.opened:
            new: Iterable[LogLine] = self._filtered(folded(store, start))
        else:
            new = self._filtered(folded(store, 0))
            new = new if tail is None else deque(new, tail)
        for line in new:
            print_line(self._text(run, line))

    def _filtered(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        batch: list[LogLine] = []
        for line in lines:
            if self._levels is None or line.level in self._levels or (line.continued and "error" in self._levels):
                batch.append(line)
            if len(batch) >= _AT_ONCE:
                yield from self._matching(batch)
                batch = []
        yield from self._matching(batch)

    def _matching(self, lines: list[LogLine]) -> list[LogLine]:
        if self._matcher is None or not lines:
            return lines
        return [lines[at] for at in self._matcher.matching("\n".join(line.text for line in lines))]

    def _text(self, run: RunId, line: LogLine) -> str:
        if self._json:
            return json_line(
                "log-line", "logs", LogLineAnswer(run, line.number, line.time, line.level, line.step, line.text)
            )
        at = "" if line.time is None else time.strftime("%Y-%m-%d %H:%M:%S  ", time.localtime(line.time))
        return f"{run.label}  {at}{line.text}" if self._prefix else f"{at}{line.text}"


def folded(store: LogStore, start: int) -> Iterator[LogLine]:
    """The lines of ``store`` from ``start`` on; of progress that overwrites or repeats itself only the last one."""
    last: LogLine | None = None
    number = start
    while number < store.total:
        block = store.block(store.index.block_of_line(number))
        begins_row = set(block.starts)
        for line in block.lines[number - block.first_line :]:
            if last is not None and line.number - block.first_line in begins_row:
                yield last
            last = line
        number = block.first_line + len(block.lines)
    if last is not None:
        yield last
