"""The line on top: the host, its link and how old the data is; the experiment; how many runs are where."""

from __future__ import annotations

import time
from collections import Counter

from textual import events
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from console.format import age
from console.runs.snapshot import HostView, Snapshot
from console.ui.actions import VIEWS, ViewName
from console.ui.messages import ViewWanted
from console.ui.runs.state_text import MARKS


class TabLine(Widget):
    """One line; a click on a view goes there."""

    current: reactive[ViewName] = reactive[ViewName]("runs")
    work: reactive[str] = reactive("")
    elapsed: reactive[str] = reactive("", init=False)
    sync: reactive[Content] = reactive(Content(""), init=False)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._since = 0.0

    def watch_work(self) -> None:
        """Count from the beginning of the work."""
        self._since = time.monotonic()
        self.tick()

    def tick(self) -> None:
        """Let the time of the work go on."""
        self.elapsed = age(time.monotonic() - self._since) if self.work else ""

    def render(self) -> Content:
        """The views; beside them, the work or what is at home."""
        tabs = Content("").join(
            Content.styled(_tab(place, title, name == self.current), "bold reverse" if name == self.current else "")
            for place, (name, title) in enumerate(VIEWS, start=1)
        )
        room = max(0, self.size.width - tabs.cell_length)
        beside = (
            Content.styled(f"{self.work}, {self.elapsed} ", "$text-warning") if self.work else self.sync.pad_right(1)
        )
        beside = beside.truncate(room, ellipsis=True)
        return tabs.pad_right(max(0, room - beside.cell_length)) + beside

    def on_click(self, event: events.Click) -> None:
        """Go to the view that was clicked."""
        left = 0
        for place, (name, title) in enumerate(VIEWS, start=1):
            left += len(_tab(place, title, False))
            if event.x < left:
                self.post_message(ViewWanted(name))
                return


def _tab(place: int, title: str, current: bool) -> str:
    return f">{place} {title}<" if current else f" {place} {title} "


_LINKS = {
    "starting": ("◌", "$text-muted"),
    "connecting": ("◌", "$text-warning"),
    "up": ("●", "$text-success"),
    "lost": ("○", "bold $text-error"),
    "closed": ("○", "$text-muted"),
}


def link_text(host: HostView, now: float, stopped: bool) -> str:
    """``up, 0.4 s ago`` or ``lost 12 s, retrying``; ``now`` is ``time.monotonic()``."""
    then = "waits for you" if stopped else "retrying"
    ago = age(now - host.heard) if host.heard else ""
    match host.link:
        case "up":
            return f"up, {ago} ago" if ago else "up"
        case "lost":
            return f"lost {ago}, {then}" if ago else f"not reached, {then}"
        case "connecting":
            return "connecting"
        case "starting":
            return "starting"
        case "closed":
            return "closed"


def link_mark(host: HostView) -> tuple[str, str]:
    """A sign for the link, and its style."""
    return _LINKS[host.link]


def run_counts(snapshot: Snapshot, *, short: bool = False) -> str:
    """``3 running  4 queued  2 done``, short ``▶3 ◦4 ✓2``; ``9 to launch`` before the first."""
    counts = Counter(view.state_name for view in snapshot.runs.values())
    words = {"running": "running", "queued": "queued", "finished": "done"}
    words |= {name: name for name in ("failed", "aborted", "lost")}
    there = {name: word for name, word in words.items() if counts[name]}
    if not there:
        return f"{counts['none']} to launch"
    if short:
        return " ".join(f"{MARKS[name].sign}{counts[name]}" for name in there)
    return "  ".join(f"{counts[name]} {word}" for name, word in there.items())


class TopLine(Widget):
    """One line; redrawn when its words change."""

    snapshot: reactive[Snapshot | None] = reactive(None, init=False, always_update=True, layout=False)
    words: reactive[Content] = reactive(Content(""), init=False)

    def __init__(self, title: str, *, read_only: bool, id: str | None = None) -> None:
        super().__init__(id=id)
        self._title = title
        self._read_only = read_only
        self.stopped = False

    def watch_snapshot(self) -> None:
        """Say the new state."""
        self.tick()

    def on_resize(self) -> None:
        """Fit the words anew."""
        self.tick()

    def tick(self) -> None:
        """Let the age go on."""
        if self.snapshot is not None:
            self.words = self._fit(self.snapshot)

    def render(self) -> Content:
        """The words."""
        return self.words

    def _fit(self, snapshot: Snapshot) -> Content:
        """The link is never cut; the counts become signs, and the rest gives way, when there is no room."""
        host = snapshot.host
        sign, style = link_mark(host)
        left = Content.assemble(
            (host.title, "bold"), "  ", (f"{sign} {link_text(host, time.monotonic(), self.stopped)}", style)
        )
        middle = Content.styled("  read-only", "bold $text-warning") if self._read_only else Content("")
        if host.lease:
            middle += Content.styled(f"  looking on ({host.lease} has the lease)", "bold $text-warning")
        middle += Content(f"  {self._title}")
        room = self.size.width - left.cell_length
        right = run_counts(snapshot)
        if len(right) + middle.cell_length + 2 > room:
            right = run_counts(snapshot, short=True)
        room = max(0, room - len(right) - 2)
        middle = middle.truncate(room, ellipsis=True)
        return left + middle.pad_right(max(0, room - middle.cell_length)) + Content(f"  {right}")
