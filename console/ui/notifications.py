"""Notifications of ended runs and lost hosts: notices, the terminal's title, bell, desktop notes, the operator's command."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from msgspec import Struct

from console.runs.snapshot import Snapshot
from console.runs.staleness import staleness
from console.runs.transitions import Transition, TransitionKind, state_counts, transitions
from console.sanitize import sanitize_line
from console.ui.actions import key_of
from console.ui.commands import Severity
from console.ui.terminal import through_tmux
from console.user_settings import NotifySettings
from engine.contract.settings import RunId

MAX_TEXT = 300  # characters of what leaves the console's own screen
MAX_NAMED = 3  # more runs that ended the same way at once are only counted
COMMAND_EVERY_S = 5.0  # a flapping link, or many runs that end one after the other, starts no storm of processes
COMMAND_LIMIT_S = 10.0
END_NOTICE_S = 30.0
_SEVERITIES: dict[TransitionKind, Severity] = {
    "finished": "information",
    "failed": "error",
    "aborted": "warning",
    "lost": "error",
    "host lost": "warning",
    "host back": "information",
    "all ended": "information",
}
"""Transitions that are notified of, with their severity; starts and warnings have their place on the screen."""
_TITLE_WORDS = {"finished": "done", "none": "to launch"}


class Message(Struct, frozen=True):
    """One line for the operator; what ``stays`` is shown for half a minute."""

    text: str
    severity: Severity = "information"
    stays: bool = False


def messages(found: Sequence[Transition], own_aborts: frozenset[RunId] = frozenset()) -> tuple[Message, ...]:
    """Messages for ``found``: each run, or their number where many end alike at once; none for runs of ``own_aborts``."""
    made: list[Message] = []
    for kind, severity in _SEVERITIES.items():
        alike = [one for one in found if one.kind == kind and not (kind == "aborted" and one.run in own_aborts)]
        if len(alike) > MAX_NAMED:
            made.append(Message(f"{len(alike):,} runs {kind}", severity))
        elif kind == "all ended":
            key = key_of("show_view('results')")
            made += [Message(f"{one.text}: {key} shows the verdict", severity, stays=True) for one in alike]
        else:
            made += [Message(one.text, severity) for one in alike]
    return tuple(made)


def title_text(snapshot: Snapshot, now: float) -> str:
    """The terminal's title: ``2 running, 6 done, 1 failed``; of a host that is not heard from as of when that is."""
    counts = state_counts(snapshot)
    if len(counts) > 1:
        counts.pop("none", None)
    text = ", ".join(f"{count:,} {_TITLE_WORDS.get(name, name)}" for name, count in counts.items())
    stale = staleness(snapshot.host, now)
    return f"{text} ({stale.note})" if stale.kind in ("silent", "not reached") else text


class TerminalSignals:
    """Escape sequences beside the screen: title, bell, desktop note. Texts are made safe here.

    Args:
        write: writes to the terminal.
        in_tmux: tmux is between; it hands on a desktop note only within a passthrough, and only if it is set to.
    """

    def __init__(self, write: Callable[[str], object], *, in_tmux: bool) -> None:
        self._write = write
        self._in_tmux = in_tmux
        self._title = ""

    def set_title(self, text: str) -> None:
        """Set the title by OSC 2; the one before is pushed on the terminal's stack first."""
        if text != self._title:
            before, self._title = self._title, text
            self._write(("" if before else "\x1b[22;2t") + f"\x1b]2;{_safe(text)}\x1b\\")

    def restore_title(self) -> None:
        """Take the title back that was pushed."""
        if self._title:
            self._title = ""
            self._write("\x1b[23;2t")

    def bell(self) -> None:
        """Ring the bell, which tmux and most terminals turn into a mark at the window."""
        self._write("\a")

    def desktop_note(self, text: str) -> None:
        """Show ``text`` on the desktop by OSC 9."""
        sequence = f"\x1b]9;{_safe(text)}\x1b\\"
        if self._in_tmux:
            sequence = through_tmux(sequence)
        self._write(sequence)


class NotifyCommand:
    """The operator's own command: one process at a time, with a pause between; texts that come meanwhile are joined.

    Args:
        argv: program and arguments, without a shell; ``{title}`` and ``{text}`` in them are replaced, and without a
            ``{text}`` the text is added as the last argument.
        on_error: told why the command fails, the first time.
    """

    def __init__(self, argv: Sequence[str], on_error: Callable[[str], None], every_s: float = COMMAND_EVERY_S) -> None:
        self._argv = tuple(argv)
        self._on_error = on_error
        self._every_s = every_s
        self._waiting: list[str] = []
        self._is_running = False
        self._has_failed = False

    def arguments(self, title: str, text: str) -> list[str]:
        """The command with its texts."""
        has_text = any("{text}" in part for part in self._argv)
        parts = [part.replace("{title}", title).replace("{text}", text) for part in self._argv]
        return parts if has_text else [*parts, text]

    async def notify(self, title: str, text: str) -> None:
        """Run the command for ``text``; returns at once if it is running: ``text`` then goes with the next process."""
        self._waiting.append(text)
        if self._is_running or not self._argv:
            return
        self._is_running = True
        try:
            while self._waiting:
                texts, self._waiting = self._waiting, []
                more = f" and {len(texts) - MAX_NAMED} more" if len(texts) > MAX_NAMED else ""
                await self._run(self.arguments(_safe(title), _safe("; ".join(texts[:MAX_NAMED]) + more)))
                await asyncio.sleep(self._every_s)
        finally:
            self._is_running = False

    async def _run(self, argv: list[str]) -> None:
        null = asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(*argv, stdin=null, stdout=null, stderr=null)
        except (OSError, ValueError) as error:  # ValueError: a null byte
            self._fail(getattr(error, "strerror", None) or str(error))
            return
        try:
            code = await asyncio.wait_for(process.wait(), COMMAND_LIMIT_S)
            if code:
                self._fail(f"exit code {code}")
        except TimeoutError:
            self._fail(f"it took more than {COMMAND_LIMIT_S:.0f} s")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def _fail(self, reason: str) -> None:
        if not self._has_failed:
            self._has_failed = True
            self._on_error(f"The command of [notify] in settings.toml failed: {self._argv[0]}: {_safe(reason)}")


class Notifier:
    """Notifies the operator of transitions between successive snapshots; of the state in the first one, nothing.

    Args:
        show: shows a notice for some seconds, or for as long as its severity asks.
        signals: None where there is no terminal to signal to.
        start: runs a coroutine in the background.
    """

    def __init__(
        self,
        settings: NotifySettings,
        show: Callable[[str, Severity, float | None], None],
        signals: TerminalSignals | None,
        start: Callable[[object], object],
    ) -> None:
        self._settings = settings
        self._show = show
        self._signals = signals
        self._start = start
        self._command = NotifyCommand(settings.command, lambda text: show(text, "warning", None))
        self._last: Snapshot | None = None

    def begin_again(self) -> None:
        """Take the next snapshot as the first: it is of another host, profile or experiment."""
        self._last = None

    def update(self, snapshot: Snapshot, own_aborts: set[RunId], now: float) -> None:
        """Notify of what is new in ``snapshot``; those of ``own_aborts`` that ended are removed from it."""
        if self._signals is not None:
            self._signals.set_title(title_text(snapshot, now))
        last, self._last = self._last, snapshot
        if last is None or last is snapshot or snapshot.host.link == "replay":
            return
        if (last.folder, last.host.name) != (snapshot.folder, snapshot.host.name):
            return  # another host or experiment is shown
        found = transitions(last, snapshot)
        made = messages(found, frozenset(own_aborts))
        own_aborts.difference_update(one.run for one in found if one.kind == "aborted" and one.run is not None)
        for message in made:
            self._show(f"{message.text}.", message.severity, END_NOTICE_S if message.stays else None)
        if made:
            self._signal("; ".join(message.text for message in made), snapshot.folder)

    def _signal(self, text: str, folder: str) -> None:
        if self._signals is not None:
            if self._settings.bell:
                self._signals.bell()
            if self._settings.osc9:
                self._signals.desktop_note(text)
        if self._settings.command:
            self._start(self._command.notify(f"qllm-console: {folder}", text))

    def close(self) -> None:
        """Give the terminal its title back."""
        if self._signals is not None:
            self._signals.restore_title()


def _safe(text: str) -> str:
    return sanitize_line(text, MAX_TEXT)
