"""The single-line bars around the views: status and tabs on top, keys at the bottom."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from console.format import age, whole_age
from console.runs.snapshot import HostView, Snapshot
from console.runs.staleness import staleness
from console.ui.action import Action, key_label
from console.ui.actions import VIEWS, Scope, ViewName, actions_in, actions_of_view, scopes_of_view
from console.ui.messages import ActionClicked
from console.ui.runs.run_text import MARKS

_LINK_MARKS = {
    "starting": ("◌", "$foreground-muted"),
    "connecting": ("◌", "$text-warning"),
    "up": ("●", "$text-success"),
    "lost": ("○", "bold $text-error"),
    "closed": ("○", "$foreground-muted"),
    "local": ("◍", "$text-warning"),
    "replay": ("◍", "$text-warning"),
}


def link_text(host: HostView, now: float, needs_input: bool) -> Content:
    """``● up, 2 s ago`` or ``○ lost 12 s, retrying``; ``now`` is ``time.monotonic()``."""
    sign, style = _LINK_MARKS[host.link]
    silence = whole_age(now - host.last_reply_at) if host.last_reply_at else ""
    text: str = host.link
    if host.link == "up" and silence:
        text = f"up, {silence} ago"
    elif host.link == "lost":
        text = f"{f'lost {silence}' if silence else 'not reached'}, {'needs input' if needs_input else 'retrying'}"
    elif host.link == "local":
        text = "no host"
    elif host.link == "replay":
        text = host.detail
    return Content.styled(f"{sign} {text}", style)


def run_counts_text(snapshot: Snapshot, *, short: bool = False) -> str:
    """``3 running  4 queued  2 finished``, short ``▶3 ◦4 ✓2``; ``9 to launch`` before the first.

    Where neither the host nor a local copy has told of any run yet, none may be there: ``9 not known yet``.
    """
    counts = Counter(view.state_name for view in snapshot.runs.values())
    names = [name for name in ("running", "queued", "finished", "failed", "aborted", "lost") if counts[name]]
    if not names:
        known = snapshot.host.runs_reported or snapshot.host.link in ("local", "replay")
        return f"{counts['none']} to launch" if known else f"{counts['none']} not known yet"
    if short:
        return " ".join(f"{MARKS[name].sign}{counts[name]}" for name in names)
    return "  ".join(f"{counts[name]} {name}" for name in names)


class StatusBar(Widget):
    """The host, its link and the age of the data; the experiment; how many runs are in which state."""

    snapshot: reactive[Snapshot | None] = reactive(None, init=False, repaint=False, always_update=True)
    text: reactive[Content] = reactive(Content(""), init=False)

    def __init__(self, title: str, *, read_only: bool, id: str | None = None) -> None:
        super().__init__(id=id)
        self.experiment_title = title
        self._read_only = read_only
        self.needs_input = False

    def watch_snapshot(self) -> None:
        self.tick()

    def on_resize(self) -> None:
        self.tick()

    def tick(self) -> None:
        """Update the age; the bar is drawn again only if its text changes."""
        if self.snapshot is not None:
            self.text = self._fit(self.snapshot)

    def render(self) -> Content:
        return self.text

    def _fit(self, snapshot: Snapshot) -> Content:
        """Without enough room the counts become signs, then the middle is cut; the link is never cut."""
        host = snapshot.host
        left = Content.styled(host.title, "bold") + "  " + link_text(host, time.monotonic(), self.needs_input)
        middle = Content.styled("  read-only", "bold $text-warning") if self._read_only else Content("")
        if host.lease:
            middle += Content.styled(f"  view only ({host.lease} has the lease)", "bold $text-warning")
        if host.disk_full:
            middle += Content.styled("  host's disk full", "bold $text-error")
        middle += Content(f"  {self.experiment_title}")
        room = self.size.width - left.cell_length
        stale = staleness(host, time.monotonic())
        mark = f"{stale.note}:  " if stale.kind in ("silent", "not reached") else ""
        right = mark + run_counts_text(snapshot)
        if len(right) + middle.cell_length + 2 > room:
            right = (f"{stale.short}: " if mark else "") + run_counts_text(snapshot, short=True)
        room = max(0, room - len(right) - 2)
        middle = middle.truncate(room, ellipsis=True)
        return left + middle.pad_right(max(0, room - middle.cell_length)) + Content(f"  {right}")


class TabBar(Widget):
    """The views, which a click opens; beside them the command under way, or how far the local copy is synced."""

    current: reactive[ViewName] = reactive[ViewName]("runs")
    busy_text: reactive[str] = reactive("")
    elapsed: reactive[str] = reactive("", init=False)
    sync_text: reactive[Content] = reactive(Content(""), init=False)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._busy_since = 0.0

    def watch_busy_text(self) -> None:
        """Start the time of the new command at zero."""
        self._busy_since = time.monotonic()
        self.tick()

    def tick(self) -> None:
        """Update the time of the command under way."""
        self.elapsed = age(time.monotonic() - self._busy_since) if self.busy_text else ""

    def render(self) -> Content:
        """Tabs on the left, the other text on the right, cut where there is no room."""
        tabs = Content("").join(
            Content.styled(
                _tab_text(number, title, name == self.current), "bold reverse" if name == self.current else ""
            )
            for number, (name, title) in enumerate(VIEWS, start=1)
        )
        room = max(0, self.size.width - tabs.cell_length)
        busy = Content.styled(f"{self.busy_text}, {self.elapsed} ", "$text-warning")
        right = (busy if self.busy_text else self.sync_text.pad_right(1)).truncate(room, ellipsis=True)
        return tabs.pad_right(max(0, room - right.cell_length)) + right

    async def on_click(self, event: events.Click) -> None:
        right = 0
        for number, (name, title) in enumerate(VIEWS, start=1):
            right += len(_tab_text(number, title, False))
            if event.x < right:
                await self.run_action(f"app.show_view('{name}')")
                return


def _tab_text(number: int, title: str, current: bool) -> str:
    return f">{number} {title}<" if current else f" {number} {title} "  # the signs also show without colour


class KeyBar(Widget):
    """The keys of the visible view, from the registry; help and quit are always there."""

    scope: reactive[Scope] = reactive[Scope]("runs")

    def __init__(
        self, *, read_only: bool, has_host: bool = True, in_replay: bool = False, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._read_only = read_only
        self._has_host = has_host
        self._scopes: tuple[Scope, ...] = ("replay",) if in_replay else ()

    def render(self) -> Content:
        """The keys, each with its label."""
        parts = [Content.assemble((f" {keys}", "bold $text-accent"), f" {label}") for keys, label in self._parts()]
        return Content("").join(parts)

    def _parts(self) -> list[tuple[str, str]]:
        """Keys and label of what is shown: full labels if they fit, else short ones closer together, as many as fit."""
        actions = [
            action
            for action in (*(one for scope in self._scopes for one in actions_in(scope)), *actions_of_view(self.scope))
            if action.is_on(read_only=self._read_only, has_host=self._has_host)
        ]
        always = actions_in("app")
        full = _key_parts([*actions, *always], lambda action: (action.keys_shown, f"{action.label} "))
        if sum(map(_part_width, full)) <= self.size.width:
            return full
        shown, last = [], _key_parts(always, _short_label)
        room = self.size.width - sum(map(_part_width, last))
        for part in _key_parts(actions, _short_label):
            room -= _part_width(part)
            if room < 0:
                break
            shown.append(part)
        return [*shown, *last]

    def on_click(self, event: events.Click) -> None:
        """Do what the action under the pointer does; of several keys beside one label, that of the key under it."""
        x = event.x
        for keys, label in self._parts():
            width = _part_width((keys, label))
            if x < width:
                self._run(_word_at(keys, x - 1) if " " in keys else keys)
                return
            x -= width

    def _run(self, key: str) -> None:
        """Post the action of the key that is shown as ``key``; nothing if it is none."""
        scopes: tuple[Scope, ...] = (*self._scopes, *scopes_of_view(self.scope), "app")
        for scope in scopes:
            for action in actions_in(scope):
                if key and key in (*map(key_label, action.keys), _short_label(action)[0]):
                    self.post_message(ActionClicked(action.call, scope))
                    return


def _part_width(part: tuple[str, str]) -> int:
    return cell_len(f" {part[0]} {part[1]}")


def _word_at(text: str, x: int) -> str:
    """The word of ``text`` at column ``x``; "" between words and beyond the last."""
    start = 0
    for word in text.split(" "):
        if start <= x < start + len(word):
            return word
        start += len(word) + 1
    return ""


def _key_parts(actions: Iterable[Action], text: Callable[[Action], tuple[str, str]]) -> list[tuple[str, str]]:
    """Keys and label, as ``text`` gives them, of each action that has a label."""
    return [(keys, label) for keys, label in map(text, actions) if label.strip()]


def _short_label(action: Action) -> tuple[str, str]:
    return action.short or (action.keys_shown, action.label)
