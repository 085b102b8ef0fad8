"""View 1: the host and its link, the local copy, the preflight checks, and the facts about the host."""

from __future__ import annotations

import time

from textual.app import ComposeResult
from textual.content import Content
from textual.geometry import Region

from console.format import age, bar, counted, full_disk, size
from console.plain_table import PlainTable
from console.runs.host_facts import Gpu, HostFacts
from console.runs.snapshot import HostView, Snapshot
from console.runs.staleness import staleness
from console.ui.actions import bindings, key_of
from console.ui.bars import link_text
from console.ui.exports import Export, table_exports
from console.ui.host.checklist import Checklist, preflight_text
from console.ui.host.when_done import when_done_text
from console.ui.messages import RepairRequested
from console.ui.pane import Pane, UpdatingText
from console.ui.state import PreflightState
from console.ui.sync_text import sync_text

_MIB = 1024 * 1024


class HostPane(Pane, inherit_bindings=False):
    """View 1: the link to the host, what is synced, the preflight checks and facts of the host on one page."""

    SCOPE = "host"
    BINDINGS = bindings("host")

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        # kept, not queried: an update may come before compose, or while the console closes
        self._link = UpdatingText(id="link")
        self._sync = UpdatingText(id="sync")
        self._preflight = UpdatingText(id="preflight")
        self.checklist = Checklist(id="checklist")
        self._facts = UpdatingText(id="facts")
        self._facts_age = UpdatingText(id="facts-age")
        self._selected_height = 0
        self._scroll_due = False

    def compose(self) -> ComposeResult:
        yield from (self._link, self._sync, self._preflight, self.checklist, self._facts, self._facts_age)

    def on_resize(self) -> None:
        self.tick()

    def watch_snapshot(self) -> None:
        self.tick()

    def watch_preflight_state(self, old: PreflightState, new: PreflightState) -> None:
        """Show the new checks; the first time, scroll to the selected one."""
        self.checklist.preflight_state = new
        self._scroll_due |= bool(new.checks and not old.checks)
        self.tick()

    def watch_verify_state(self) -> None:
        self.tick()

    def watch_when_done_state(self) -> None:
        self.tick()

    def tick(self) -> None:
        """Update the ages; keep the progress of a repair visible as it grows."""
        if not self.size.width:  # not laid out yet: text wrapped to a guessed width would move everything below it
            return
        now = time.monotonic()
        if self.snapshot is None or self.snapshot.host.link not in ("local", "replay"):  # there a host to check
            self._preflight.set_text(preflight_text(self.preflight_state, now))
        self.checklist.tick()
        old_height, self._selected_height = self._selected_height, self.checklist.selected_height
        grown = self.preflight_state.repairing and self._selected_height > old_height
        if grown or (self._scroll_due and self.checklist.laid_out):
            self._scroll_due = False
            self.call_after_refresh(self._scroll_to_selected)
        if self.snapshot is not None:
            host = self.snapshot.host
            self._link.set_text(host_text(host, now, self.needs_input))
            width = self.scrollable_content_region.width  # less than the view's own beside a scrollbar
            when_done = _line("When done", when_done_text(self.when_done_state, host.lease))
            parts = [sync_text(self.snapshot, self.verify_state, now, width), when_done]
            self._sync.set_text(Content("\n").join(part for part in parts if part is not None))
            self._facts.set_text(facts_text(self.snapshot, now))
            updated = f"{age(now - host.last_reply_at)} ago" if host.facts else ""
            self._facts_age.set_text(_line("Updated", updated) or Content(""))

    def action_move_check(self, by: int) -> None:
        """Move the cursor; beyond the first and the last check, scroll the page."""
        if self.checklist.move(by):
            self.call_after_refresh(self._scroll_to_selected)
        else:
            self.scroll_lines(3 * by)

    def _scroll_to_selected(self) -> None:
        """Scroll to the selected check; for the first check, to the top of the page."""
        top = self.checklist.selected_top
        if top:
            checks = self.checklist.virtual_region
            self.scroll_to_region(Region(0, checks.y + top, 1, self.checklist.selected_height), animate=False)
        else:
            self.scroll_home(animate=False)

    def row_text(self) -> str:
        """The selected check."""
        check = self.checklist.selected
        return f"{check.name}: {check.status}. {check.found} {check.advice}".strip() if check is not None else ""

    def command(self) -> tuple[str, ...]:
        """The preflight."""
        return ("preflight",)

    def exports(self) -> tuple[Export, ...]:
        """The checks as a table, once there are any."""
        checks = self.preflight_state.checks
        rows = tuple((check.name, check.status, check.found, check.advice) for check in checks)
        table = PlainTable(("check", "status", "found", "advice"), rows)
        return table_exports("the checks", "preflight", lambda: table) if checks else ()

    def action_repair(self) -> None:
        if self.checklist.selected is not None:
            self.post_message(RepairRequested(self.checklist.selected))


def host_text(host: HostView, now: float, needs_input: bool) -> Content:
    """The host and the link to it; ``now`` is ``time.monotonic()``, ``needs_input``: the link is not retried by itself."""
    if host.link in ("local", "replay"):
        lines = [
            Content.styled("Local copies, no host", "bold"),
            _line("Folder", host.address),
            _line("Replay", host.detail),
            _line("Keys", "nothing is launched, aborted or repaired here"),
        ]
        return Content("\n").join(line for line in lines if line is not None)
    link = link_text(host, now, needs_input)
    if host.link == "lost":
        link += Content.assemble("; ", (key_of("app.reconnect"), "bold $text-accent"), " connects now")
    lease = f"another console ({host.lease}) launches and aborts; {key_of('take_over')} takes over"
    disk = Content.styled(
        f"{full_disk(host.disk_free)}: queued runs wait for room, running ones may fail", "$text-error"
    )
    lines = [
        Content.styled(f"{host.title} ({host.name})", "bold"),
        _line("Link", link),
        _line("Status", host.detail),
        _line("Disk full", disk if host.disk_full else ""),
        _line("Address", host.address),
        _line("Host key", f"{host.fingerprint} (verified)" if host.fingerprint else ""),
        _line("Lease", lease if host.lease else ""),
    ]
    return Content("\n").join(line for line in lines if line is not None)


def facts_text(snapshot: Snapshot, now: float) -> Content:
    """Launcher, hardware and software of the host."""
    host = snapshot.host
    others = counted(host.unnamed_runs, "run")
    lines = [
        _line("Launcher", f"{host.launcher}, {counted(host.slots, 'run')} at a time" if host.launcher else ""),
        _line(
            "Runs folder",
            snapshot.folder + (f"; {others} there that this experiment does not name" if host.unnamed_runs else ""),
        ),
    ]
    if host.link in ("local", "replay"):
        pass
    elif host.facts is None:
        lines.append(Content("Facts about the host appear once it is connected."))
    else:
        if stale := staleness(host, now):
            mark = Content.styled(f"{stale.note}: the host is not heard from", "$text-warning")
            lines.append(_line("! Stale", mark))
        if host.facts.notify_problem:
            lines.append(_line("! Notify", Content.styled(host.facts.notify_problem, "$text-warning")))
        lines += _facts(host.facts)
    return Content("\n").join(line for line in lines if line is not None)


def _line(label: str, text: str | Content) -> Content | None:
    """A labelled line; None if ``text`` is empty."""
    return Content.assemble((f"{label:<13}", "$foreground-muted"), text) if text else None


def _facts(facts: HostFacts) -> list[Content | None]:
    used = facts.memory_total - facts.memory_available
    lines = [
        _line("Name", facts.hostname),
        _line("System", facts.system),
        _line("Python", facts.python),
        _line("Workspace", facts.workspace),
        _line("CPUs", f"{facts.cpus}, load {facts.load:.2f}"),
        _line("Memory", _usage(used, facts.memory_total)),
        _line("Disk", _usage(facts.disk_total - facts.disk_free, facts.disk_total)),
    ]
    for number, gpu in enumerate(facts.gpus):
        lines += _gpu(gpu, f"GPU {number}" if len(facts.gpus) > 1 else "GPU")
    if not facts.gpus:
        lines.append(_line("GPU", facts.gpu_note or "none; runs use the CPU"))
    return lines


def _gpu(gpu: Gpu, label: str) -> list[Content | None]:
    busy = f", {gpu.utilization}% busy" if gpu.utilization is not None else ""
    busy += f", {gpu.temperature} °C" if gpu.temperature is not None else ""
    busy += f", {gpu.power:.0f} W" if gpu.power is not None else ""
    lines = [_line(label, f"{gpu.name}{busy}, driver {gpu.driver}")]
    if gpu.memory_used is not None and gpu.memory_total:
        lines.append(_line(f"{label} memory", _usage(gpu.memory_used * _MIB, gpu.memory_total * _MIB)))
    return lines


def _usage(used: int, total: int) -> str:
    if total <= 0:
        return "unknown"
    return f"{bar(used / total, 20)} {size(used)} of {size(total)} used ({100 * used / total:.0f}%)"
