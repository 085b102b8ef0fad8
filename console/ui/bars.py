"""The single-line bars around the views: status and tabs on top, keys at the bottom."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable

from textual import events
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from console.format import age, whole_age
from console.runs.snapshot import HostView, Snapshot
from console.ui.action import Action
from console.ui.actions import VIEWS, Scope, ViewName, actions_in, actions_of_view
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
    """``3 running  4 queued  2 finished``, short ``▶3 ◦4 ✓2``; ``9 to launch`` before the first."""
    counts = Counter(view.state_name for view in snapshot.runs.values())
    names = [name for name in ("running", "queued", "finished", "failed", "aborted", "lost") if counts[name]]
    if not names:
        return f"{counts['none']} to launch"
    if short:
        return " ".join(f"{MARKS[name].sign}{counts[name]}" for name in names)
    return "  ".join(f"{counts[name]} {name}" for name in names)


class StatusBar(Widget):
    """The host, its link and the age of the data; the experiment; how many runs are in which state."""

    snapshot: reactive[Snapshot | None] = reactive(None, init=False, repaint=False, always_update=True)
    text: reactive[Content] = reactive(Content(""), init=False)

    def __init__(self, title: str, *, read_only: bool, id: str | None = None) -> None:
        super().__init__(id=id)
        self._title = title
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
        middle += Content(f"  {self._title}")
        room = self.size.width - left.cell_length
        right = run_counts_text(snapshot)
        if len(right) + middle.cell_length + 2 > room:
            right = run_counts_text(snapshot, short=True)
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

    def __init__(self, *, read_only: bool, has_host: bool = True, id: str | None = None) -> None:
        super().__init__(id=id)
        self._read_only = read_only
        self._has_host = has_host

    def render(self) -> Content:
        """Full labels if they fit, else short labels closer together, as many as fit."""
        actions = [action for action in actions_of_view(self.scope) if self._is_on(action)]
        always = actions_in("app")
        full = _key_parts([*actions, *always], lambda action: (action.keys_shown, f"{action.label} "))
        if sum(part.cell_length for part in full) <= self.size.width:
            return Content("").join(full)
        shown, last = [], _key_parts(always, _short_label)
        room = self.size.width - sum(part.cell_length for part in last)
        for part in _key_parts(actions, _short_label):
            room -= part.cell_length
            if room < 0:
                break
            shown.append(part)
        return Content("").join([*shown, *last])

    def _is_on(self, action: Action) -> bool:
        if not self._has_host:
            return not (action.changes_host or action.asks_host)
        return not (self._read_only and action.changes_host)


def _key_parts(actions: Iterable[Action], text: Callable[[Action], tuple[str, str]]) -> list[Content]:
    """Each action that has a label, with its keys and label as ``text`` gives them."""
    parts = []
    for action in actions:
        keys, label = text(action)
        if label.strip():
            parts.append(Content.assemble((f" {keys}", "bold $text-accent"), f" {label}"))
    return parts


def _short_label(action: Action) -> tuple[str, str]:
    return action.short or (action.keys_shown, action.label)
