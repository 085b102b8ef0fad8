"""The line at the bottom: the keys of the view in sight, from the registry, all of them if there is any way."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from console.ui.actions import Action, Scope, in_scope


class KeyLine(Widget):
    """One line; help and quit always have their place."""

    scope: reactive[Scope] = reactive[Scope]("runs")

    def __init__(self, *, read_only: bool, id: str | None = None) -> None:
        super().__init__(id=id)
        self._read_only = read_only

    def render(self) -> Content:
        """The keys in full, else in brief and closer together; of these as many as fit."""
        actions = [action for action in in_scope(self.scope) if not (self._read_only and action.changes_host)]
        always = in_scope("app")
        full = _parts([*actions, *always], _in_full)
        if sum(part.cell_length for part in full) <= self.size.width:
            return Content("").join(full)
        shown, last = [], _parts(always, _in_brief)
        room = self.size.width - sum(part.cell_length for part in last)
        for part in _parts(actions, _in_brief):
            room -= part.cell_length
            if room < 0:
                break
            shown.append(part)
        return Content("").join([*shown, *last])


def _parts(actions: Iterable[Action], words: Callable[[Action], tuple[str, str, str]]) -> list[Content]:
    """Each action that has a label, as ``words`` says it: keys, label, and what follows."""
    parts = []
    for action in actions:
        keys, label, gap = words(action)
        if label:
            parts.append(Content.assemble((f" {keys}", "bold $text-accent"), f" {label}{gap}"))
    return parts


def _in_full(action: Action) -> tuple[str, str, str]:
    return action.keys_shown, action.label, " "


def _in_brief(action: Action) -> tuple[str, str, str]:
    return *(action.brief or (action.keys_shown, action.label)), ""
