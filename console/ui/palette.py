"""The command palette: what the present view does most comes first, what destroys last, marked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, Protocol, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from console.ui.action import Action, key_label
from console.ui.actions import VIEW_SCOPES, VIEWS, Scope, ViewName, actions_in

_DESTRUCTIVE_SCORE = 0.01
"""Factor of the search score of an action that destroys, which puts it below all others."""


class Command(NamedTuple):
    """A line of the palette: its title, the note below it, whether it destroys, what it does."""

    title: str
    note: str
    destructive: bool
    run: Callable[[], object]
    words: str = ""  # what it is also found by: its label and its name in keys.toml

    @property
    def shown(self) -> Content:
        """The title, marked if it destroys."""
        return Content.styled(f"! {self.title}", "$text-error") if self.destructive else Content(self.title)


class ActionApp(Protocol):
    """What the palette needs of the app."""

    @property
    def present_view(self) -> ViewName: ...
    @property
    def scopes_everywhere(self) -> tuple[Scope, ...]: ...
    @property
    def own_themes(self) -> list[str]: ...
    def is_on(self, action: Action, /) -> bool: ...
    def use_theme(self, name: str, /) -> None: ...
    async def run_in_view(self, view: ViewName | None, scope: Scope, call: str, /) -> None: ...


def commands(app: ActionApp) -> list[Command]:
    """Every action of the views, likely ones first: of the present view with a label, everywhere, the rest, other views."""
    present = app.present_view
    found: list[tuple[int, Command]] = []
    seen: set[Action] = set()
    for view, scope, action in _actions(present, app.scopes_everywhere):
        if action in seen or not app.is_on(action) or action.id == "command_palette":
            continue
        seen.add(action)
        rank = 4 if action.destructive else (0 if action.label else 2) if view == present else 1 if view is None else 3
        note = f"key {' or '.join(map(key_label, action.keys))}" + ("; asks first" if action.destructive else "")
        title = action.help if view in (None, present) else f"{dict(VIEWS)[view]}: {action.help}"
        run = partial(app.run_in_view, view, scope, action.call)
        words = f"{action.label} {action.id}".replace("_", " ")
        found.append((rank, Command(title, note, action.destructive, run, words)))
    found += [
        (3, Command(f"Use the theme {name}", "for now; settings.toml keeps one", False, partial(app.use_theme, name)))
        for name in app.own_themes
    ]
    return [command for _, command in sorted(found, key=lambda one: one[0])]


def _actions(present: ViewName, everywhere: tuple[Scope, ...]) -> Iterator[tuple[ViewName | None, Scope, Action]]:
    """Every action of every view, those of the present one first, with its view (None: everywhere) and its scope."""
    for scope in everywhere:
        for action in actions_in(scope):
            yield None, scope, action
    for view in sorted(VIEW_SCOPES, key=lambda one: one != present):
        for scope in VIEW_SCOPES[view]:
            for action in actions_in(scope):
                yield view, scope, action


class ActionPalette(Provider):
    """What Textual's palette shows and searches."""

    async def discover(self) -> Hits:
        """All, in their order."""
        for command in commands(cast(ActionApp, self.app)):
            yield DiscoveryHit(command.shown, command.run, command.title, command.note)

    async def search(self, query: str) -> Hits:
        """Those that match ``query``, the best first, but what destroys last."""
        matcher = self.matcher(query)
        for command in commands(cast(ActionApp, self.app)):
            if (score := max(matcher.match(command.title), matcher.match(command.words))) > 0:
                shown = matcher.highlight(command.title)
                if command.destructive:
                    shown, score = Content.styled("! ", "$text-error") + shown, score * _DESTRUCTIVE_SCORE
                yield Hit(score, shown, command.run, command.title, command.note)
