"""The question before something is destroyed or left; another key answers than the one that asked."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from console.ui.actions import bindings


class ConfirmDialog(ModalScreen[bool], inherit_bindings=False):
    """Shows one question; True when it was answered with y."""

    BINDINGS = bindings("confirm")

    def __init__(self, question: str, yes: str) -> None:
        super().__init__()
        self._question = question
        self._yes = yes

    def compose(self) -> ComposeResult:
        """The question and the two answers."""
        with Vertical(id="dialogue"):
            yield Static(Content(self._question), id="question")
            yield Static(
                Content.assemble(
                    ("y", "bold $text-error"), f"  {self._yes}     ", ("n", "bold"), "  leave it as it is"
                ),
                id="answers",
            )

    def action_confirm(self) -> None:
        """Yes."""
        self.dismiss(True)

    def action_cancel(self) -> None:
        """No."""
        self.dismiss(False)
