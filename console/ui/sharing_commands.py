"""Copying and exporting from the present view; the clipboard is the terminal's own, also over SSH (OSC 52)."""

from __future__ import annotations

import asyncio
import os
import shlex
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from console.sanitize import sanitize_line
from console.ui.commands import CommandApp, Notice
from console.ui.terminal import in_tmux, through_tmux
from engine.contract.durable import write_durably

if TYPE_CHECKING:
    from console.ui.exports import Export
    from console.ui.pane import Pane

_SHOWN = 60  # characters of a copied text in the notice
_SCREEN_PIECE = 700  # bytes; GNU Screen drops longer strings


class SharingCommands(CommandApp, inherit_bindings=False):
    """App mixin with the dialogs of copy and export."""

    cli_options: tuple[str, ...] = ()

    @property
    def present_pane(self) -> Pane:
        """The view that is shown."""
        raise NotImplementedError

    def command_of_view(self) -> str:
        """The command line that does without the console what the present view is for, its options quoted."""
        pane, snapshot = self.present_pane, self.present_pane.snapshot
        options = list(self.cli_options)
        if snapshot is not None and self.session is not None:
            options += ["--host", snapshot.host.name] if snapshot.host.name not in ("", "local") else []
            options += ["--profile", snapshot.profile] if snapshot.profile != "full" else []
        return shlex.join(("qllm-console", *pane.command(), *options))

    def action_copy(self) -> None:
        """Choose what is copied: the selected row, its run, the command."""
        from console.ui.sharing import CopyDialog

        pane = self.present_pane
        texts = [("row", sanitize_line(pane.row_text()))]
        if pane.selected is not None and pane.SCOPE in ("runs", "live"):
            texts += [("run", pane.selected.label), ("folder", str(pane.selected))]
        texts.append(("command", self.command_of_view()))
        self.push_screen(CopyDialog([one for one in texts if one[1]]), self._copy)

    def _copy(self, text: str | None) -> None:
        if text is not None:
            self.put_in_clipboard(text)
            self.show_notice(f"Copied: {text if len(text) <= _SHOWN else text[: _SHOWN - 3] + '...'}")

    def put_in_clipboard(self, text: str) -> None:
        """Put ``text`` into the terminal's clipboard, and into that of Textual, from which inputs paste."""
        self.copy_to_clipboard(text)  # which writes the plain sequence
        if self._driver is not None and (wrapped := wrapped_clipboard(text, os.environ)):
            self._driver.write(wrapped)

    def action_export(self) -> None:
        """Choose what is written to which file: the table or the chart of the view, or the screen."""
        from console.ui.exports import Export
        from console.ui.sharing import ExportDialog

        if self.is_web and self.read_only:  # whoever has the page's address could write files of this machine
            self.show_notice("A read-only page writes no files.", "warning")
            return
        pane = self.present_pane
        screen = self.export_screenshot(title=f"{self.title} {pane.SCOPE}")
        exports = [*pane.exports(), Export("the screen as SVG", f"{pane.SCOPE}-screen.svg", screen.encode)]
        prefix = pane.snapshot.folder if pane.snapshot is not None else ""
        self.push_screen(ExportDialog(exports, prefix), self._export)

    def _export(self, chosen: tuple[Export, Path, bool] | None) -> None:
        if chosen is None:
            return
        one, path, replaces = chosen

        async def export() -> Notice:
            await asyncio.to_thread(_write, one, path, replaces)
            return f"Wrote {one.label} to {path}.", "information"

        self.run_command("export", f"writing {path.name}", export())


def wrapped_clipboard(text: str, environ: Mapping[str, str]) -> str:
    """What tmux and GNU Screen hand on to their terminal so that ``text`` is in its clipboard (OSC 52); "" without them."""
    plain = f"\x1b]52;c;{b64encode(text.encode()).decode()}\x07"
    if environ.get("STY"):
        pieces = [plain[at : at + _SCREEN_PIECE] for at in range(0, len(plain), _SCREEN_PIECE)]
        return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
    return through_tmux(plain) if in_tmux(environ) else ""


def with_experiment(options: tuple[str, ...], file: Path) -> tuple[str, ...]:
    """``options`` of a command line, of pairs of a name and a value, with ``file`` as the experiment's."""
    pairs = list(zip(options[::2], options[1::2], strict=True))
    others = [one for pair in pairs if pair[0] != "--experiment" for one in pair]
    return ("--experiment", str(file), *others)


def _write(one: Export, path: Path, replaces: bool) -> None:
    from console.ui.exports import write_new

    content = one.content()
    if replaces:
        write_durably(path, content)
    else:
        write_new(path, content)
