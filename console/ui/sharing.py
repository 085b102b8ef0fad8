"""The dialogs of copy and export: what the present view offers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from console.ui.actions import bindings
from console.ui.dialogs import Choices
from console.ui.exports import Export, proposed_name
from engine.contract.local_paths import expand_home


class CopyDialog(ModalScreen[str | None], inherit_bindings=False):
    """What can be copied, a line each, as name and text; the result is the text, None for nothing."""

    BINDINGS = bindings("copying")

    def __init__(self, texts: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._texts = texts

    def compose(self) -> ComposeResult:
        lines = [Content.assemble((f"{name:<9}", "$foreground-muted"), text) for name, text in self._texts]
        with Vertical(id="copying"):
            yield Static(Content.styled("Copy", "bold"))
            yield Choices(lines, height=8, id="copy-list")
            yield Static("Up, Down choose   Enter copies   Esc cancels", markup=False, id="copy-keys")

    def action_move(self, by: int) -> None:
        self.query_one(Choices).move(by)

    @on(Choices.DoubleClicked)
    def action_choose(self) -> None:
        self.dismiss(self._texts[self.query_one(Choices).selected][1])

    def action_cancel(self) -> None:
        self.dismiss(None)


class ExportDialog(ModalScreen[tuple[Export, Path, bool] | None], inherit_bindings=False):
    """What is exported, and to which file; the result has True if an existing file is to be replaced.

    Args:
        prefix: beginning of the file names that are proposed.
    """

    BINDINGS = bindings("exporting")

    def __init__(self, exports: Sequence[Export], prefix: str) -> None:
        super().__init__()
        self._exports = exports
        self._prefix = prefix
        self._proposed = ""
        self._replaces: Path | None = None

    def compose(self) -> ComposeResult:
        with Vertical(id="exporting"):
            yield Static(Content.styled("Export", "bold"))
            yield Choices([Content(one.label) for one in self._exports], height=8, id="export-list")
            yield Static(Content.styled(f"to a file, in {Path.cwd()} unless it names a folder", "$foreground-muted"))
            yield Input(id="export-file")
            yield Static("", id="export-state", markup=False)
            yield Static("Up, Down choose   Enter writes   Esc cancels", markup=False)

    def on_mount(self) -> None:
        """Propose a name, and let it be edited at once."""
        self._propose()
        self.query_one(Input).focus()

    def _propose(self) -> None:
        """Propose the file name of the selected export, unless another was typed."""
        field = self.query_one(Input)
        if field.value == self._proposed:
            one = self._exports[self.query_one(Choices).selected]
            field.value = self._proposed = proposed_name(self._prefix, one.name)

    @on(Choices.Clicked)
    def _select_clicked(self) -> None:
        self._propose()

    def action_move(self, by: int) -> None:
        self.query_one(Choices).move(by)
        self._propose()

    @on(Input.Changed)
    def _forget_question(self) -> None:
        self._replaces = None
        self.query_one("#export-state", Static).update("")

    @on(Input.Submitted)
    def _write(self, event: Input.Submitted) -> None:
        event.stop()
        typed = event.value.strip()
        try:
            path = Path(expand_home(typed))
            problem = self._problem(path) if typed else "Name a file."
        except ValueError:
            problem = "There is no such user."
        except OSError as error:
            problem = f"It cannot be written: {error.strerror}."
        if problem:
            self.query_one("#export-state", Static).update(Content.styled(problem, "$text-warning"))
        else:
            self.dismiss((self._exports[self.query_one(Choices).selected], path, self._replaces == path))

    def _problem(self, path: Path) -> str:
        """Why ``path`` is not written now; "" if it is. An existing file is replaced if it is given again."""
        if path.is_dir():
            return "That is a folder: name a file in it."
        if not path.absolute().parent.is_dir():
            return f"There is no folder {path.parent}."
        if path.exists() and self._replaces != path:
            self._replaces = path
            return "It exists: Enter again replaces it."
        return ""

    def action_cancel(self) -> None:
        self.dismiss(None)
