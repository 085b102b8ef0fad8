"""Every key, straight from the registry."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from console.ui.actions import Scope, bindings, in_scope, shown_key
from console.ui.pane import Reading

_SECTIONS: tuple[tuple[str, tuple[Scope, ...]], ...] = (
    ("Everywhere", ("app",)),
    ("Host", ("host",)),
    ("Runs", ("runs",)),
    ("Live", ("live", "log", "search")),
    ("Items", ("items", "table")),
    ("Results and this page", ("reading", "help")),
    ("A question of the console's", ("confirm",)),
    ("A question of the host's", ("prompt", "answer")),
)


class HelpScreen(ModalScreen[None], inherit_bindings=False):
    """The keys by view; scrolls."""

    BINDINGS = bindings("help")

    def compose(self) -> ComposeResult:
        """All sections in one text."""
        with Reading(id="help") as page:
            page.border_title = "Keys"
            page.border_subtitle = "Esc closes"
            yield Static(Content("\n").join(_lines()))

    def action_close(self) -> None:
        """Back to the view."""
        self.dismiss(None)


def _lines() -> list[Content]:
    lines: list[Content] = []
    for title, scopes in _SECTIONS:
        lines += (
            [Content(""), Content.styled(title, "bold underline")]
            if lines
            else [Content.styled(title, "bold underline")]
        )
        actions = dict.fromkeys(action for scope in scopes for action in in_scope(scope))
        for action in actions:
            keys = " ".join(shown_key(key) for key in action.keys)
            lines.append(Content.assemble((f"{keys:>12}", "bold"), f"  {action.help}"))
    return lines
