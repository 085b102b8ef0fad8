"""Switches to another host, profile or experiment: a new session takes the place of the old one, whose runs continue."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from console.ui.commands import CommandApp
from console.ui.launch.switcher import Opened, Switcher, Target
from console.ui.session_protocol import SessionProtocol
from engine.contract.bad_input import BadInput

if TYPE_CHECKING:
    from console.hosts.ssh.prompts import Prompter


class SwitchCommands(CommandApp, inherit_bindings=False):
    """App mixin that switches to another host, profile or experiment."""

    switcher: Switcher | None = None

    def action_switch(self) -> None:
        """Choose what to switch to."""
        from console.ui.launch.switch_dialog import SwitchDialog

        if self.switcher is None:
            self.show_notice(
                "This console shows local copies alone: open it without `view` to choose a host.", "warning"
            )
        elif self.may_leave_session():
            self.push_screen(SwitchDialog(self.switcher), self._switch_to)

    def may_leave_session(self) -> bool:
        """Whether no command waits for the host's answer; else a notice says so."""
        if self._pending:
            self.show_notice(f"Still {', '.join(self._pending.values())}; wait for the host's answer.", "warning")
        return not self._pending

    def _switch_to(self, target: Target | None) -> None:
        if target is not None and self.may_leave_session():
            self.run_worker(self._switch(*target), group="switch", exclusive=True, exit_on_error=False)

    async def _switch(self, host: str, profile: str, file: Path) -> None:
        """Open the new session; only if that succeeds, end the old one and show the new one."""
        assert self.switcher is not None
        try:
            opened = await asyncio.to_thread(self.switcher.open, host, profile, file)
            session = await asyncio.to_thread(opened.session, self.prompter_for_session())
        except (BadInput, OSError) as error:
            self.show_notice(f"Not switched: {error}", "error")
            return
        await self.leave_session()
        await self.show_session(session, opened)
        await asyncio.to_thread(self.switcher.note_opened, host, profile, file)
        self.show_notice(f"Switched to {opened.host_title}, {opened.experiment.name}, {opened.profile}.")

    def prompter_for_session(self) -> Prompter:
        """Who asks the operator what a connection needs."""
        raise NotImplementedError

    async def leave_session(self) -> None:
        """End what works for the present session, and close it."""
        raise NotImplementedError

    async def show_session(self, session: SessionProtocol, opened: Opened) -> None:
        """Show and follow ``session`` in place of the one before."""
        raise NotImplementedError


def options_for(options: tuple[str, ...], file: Path) -> tuple[str, ...]:
    """``options`` of a command line, of pairs of a name and a value, with ``file`` as the experiment's."""
    pairs = list(zip(options[::2], options[1::2], strict=True))
    others = [one for pair in pairs if pair[0] != "--experiment" for one in pair]
    return ("--experiment", str(file), *others)
