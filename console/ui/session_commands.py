"""Opens the session, follows it, and switches to one on another host, profile or experiment; runs continue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on, work
from textual.worker import Worker, WorkerCancelled, WorkerFailed, WorkerState

from console.ui.actions import key_of
from console.ui.commands import CommandApp
from console.ui.prompts import PromptQueue
from console.ui.session_protocol import Opened, SessionProtocol, Switcher, Target

if TYPE_CHECKING:
    from console.hosts.ssh.prompts import Prompter

_CLOSING_SECONDS = 5.0
_GROUPS = ("session", "preflight", "verify", "commands", "when_done")
"""Groups of the workers that work for a session."""


class SessionCommands(PromptQueue, CommandApp, inherit_bindings=False):
    """App mixin that has the session, from its opening after the first paint to its end.

    Attributes:
        make_session: makes the first session, in a thread.
        switcher: what can be opened in place of the session; None for nothing.
    """

    make_session: Callable[[Prompter], SessionProtocol]
    switcher: Switcher | None = None
    _follower: Worker[None] | None = None

    def use_session(self, session: SessionProtocol) -> None:
        """Show ``session`` in the views."""
        raise NotImplementedError

    def forget_session(self) -> None:
        """Close what is open about the present session, and take what the next one has as no news."""
        raise NotImplementedError

    async def show_opened(self, session: SessionProtocol, opened: Opened) -> None:
        """Show ``opened`` from the beginning, and begin ``session``."""
        raise NotImplementedError

    @work(thread=True, exit_on_error=False, group="session", name="open")
    def start_session(self) -> SessionProtocol:
        """Make the session in a thread."""
        return self.make_session(self.prompter)

    @on(Worker.StateChanged)
    def _session_worker_ended(self, event: Worker.StateChanged) -> None:
        error = event.worker.error
        match event.worker.name, event.state:
            case "open", WorkerState.SUCCESS if (session := event.worker.result) is not None:
                self.begin_session(session)
            case "open", WorkerState.ERROR:
                self.exit(return_code=2, message=str(error))
            case "follow", WorkerState.ERROR:
                text = f"The console stopped following the host: {error}"
                self.show_notice(f"{text}; {key_of('app.reconnect')} in view 1 connects again.", "error")
            case "switch", WorkerState.ERROR:
                self.show_notice(f"Not switched: {error}", "error")

    def begin_session(self, session: SessionProtocol) -> None:
        """Show and follow ``session``."""
        self.session = session
        self.use_session(session)
        self._follow(session)

    def _follow(self, session: SessionProtocol) -> None:
        self._follower = self.run_worker(session.run(), group="session", name="follow", exit_on_error=False)

    def action_reconnect(self) -> None:
        """Connect now; follow the host again if following ended with an error."""
        if self.asks_host() and self.session is not None:
            self.session.reconnect()
            if self._follower is not None and self._follower.is_finished:
                self._follow(self.session)

    def action_switch(self) -> None:
        """Open the dialog that lists other hosts, profiles and experiments to open instead."""
        from console.ui.launch.switch_dialog import SwitchDialog

        if self.switcher is None:
            text = "This console shows local copies alone: open it without `view` to choose a host."
            self.show_notice(text, "warning")
        elif self._may_leave_session():
            self.push_screen(SwitchDialog(self.switcher), self._switch_to)

    def _may_leave_session(self) -> bool:
        """Whether no command waits for the host's answer; else a notice says so."""
        if self._pending:
            self.show_notice(f"Still {', '.join(self._pending.values())}; wait for the host's answer.", "warning")
        return not self._pending

    def _switch_to(self, target: Target | None) -> None:
        if target is not None and self._may_leave_session():
            self.run_worker(self._switch(*target), name="switch", group="switch", exclusive=True, exit_on_error=False)

    async def _switch(self, host: str, profile: str, file: Path) -> None:
        """Open the new session; only if that succeeds, end the old one and show the new one."""
        assert self.switcher is not None
        opened = await asyncio.to_thread(self.switcher.open, host, profile, file)
        session = await asyncio.to_thread(opened.session, self.prompter)
        await self._leave_session()
        await self.show_opened(session, opened)
        await asyncio.to_thread(self.switcher.note_opened, host, profile, file)
        self.show_notice(f"Switched to {opened.host_title}, {opened.experiment.name}, {opened.profile}.")

    async def _leave_session(self) -> None:
        """End what works for the session, and close it; its runs continue."""
        self.forget_session()
        session, self.session = self.session, None
        workers = [worker for worker in self.workers if worker.group in _GROUPS]
        for worker in workers:
            worker.cancel()
        for worker in workers:
            with suppress(WorkerCancelled, WorkerFailed):
                await worker.wait()
        await self.close_session(session)
        self.own_aborts.clear()

    async def close_session(self, session: SessionProtocol | None) -> None:
        """Close ``session``, if there is one, or give up after some seconds."""
        try:
            if session is not None:
                await asyncio.wait_for(session.close(), _CLOSING_SECONDS)
        except TimeoutError:
            self.log.warning("the link did not close in time")
