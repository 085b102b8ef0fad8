"""The line at the bottom: the keys of the view in sight, from the registry, as many as fit."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from console.ui.actions import Action, Scope, in_scope, shown_key


class KeyLine(Widget):
    """One line; help and quit always have their place."""

    scope: reactive[Scope] = reactive[Scope]("runs")

    def __init__(self, *, read_only: bool, id: str | None = None) -> None:
        super().__init__(id=id)
        self._read_only = read_only

    def render(self) -> Content:
        """The keys that fit."""
        always = [_key(action) for action in in_scope("app") if action.label]
        room = self.size.width - sum(part.cell_length for part in always)
        shown = []
        for action in in_scope(self.scope):
            if not action.label or (self._read_only and action.changes_host):
                continue
            part = _key(action)
            if part.cell_length > room:
                break
            shown.append(part)
            room -= part.cell_length
        return Content("").join([*shown, *always])


def _key(action: Action) -> Content:
    return Content.assemble((f" {action.shown or shown_key(action.keys[0])}", "bold $text-accent"), f" {action.label} ")
