"""Copying and exporting from the present view."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from console.sanitize import sanitize_line
from console.ui.commands import CommandApp, Notice
from engine.contract.durable import write_durably

if TYPE_CHECKING:
    from console.ui.exports import Export
    from console.ui.pane import Pane

_SHOWN = 60  # characters of a copied text in the notice


class SharingCommands(CommandApp, inherit_bindings=False):
    """App mixin with the dialogs of copy and export."""

    cli_options: tuple[str, ...] = ()

    @property
    def present_pane(self) -> Pane:
        """The view that is shown."""
        raise NotImplementedError

    def command_of_view(self) -> str:
        """The command line that does without the console what the present view is for, its options quoted."""
        from console.ui.clipboard import command_line

        pane, snapshot = self.present_pane, self.present_pane.snapshot
        options = list(self.cli_options)
        if snapshot is not None and self.session is not None:
            options += ["--host", snapshot.host.name] if snapshot.host.name not in ("", "local") else []
            options += ["--profile", snapshot.profile] if snapshot.profile != "full" else []
        return command_line("qllm-console", *pane.command(), *options)

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
        from console.ui.clipboard import write_wrapped

        self.copy_to_clipboard(text)
        if self._driver is not None:
            write_wrapped(text, self._driver.write)

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


def _write(one: Export, path: Path, replaces: bool) -> None:
    from console.ui.exports import write_new

    content = one.content()
    if replaces:
        write_durably(path, content)
    else:
        write_new(path, content)
