"""View 1: the host, the link to it, its verified key; what came home over it; whether it has what runs need; what it is."""

from __future__ import annotations

import time

from textual.app import ComposeResult
from textual.content import Content
from textual.geometry import Region

from console.format import age, bar, counted, size
from console.runs.snapshot import Gpu, HostFacts, HostView, Snapshot
from console.ui.actions import bindings
from console.ui.header import link_mark
from console.ui.header import link_text as link_state
from console.ui.host.checklist import Checklist, headline
from console.ui.host.preflight_state import PreflightState
from console.ui.host.sync_text import sync_text
from console.ui.messages import LookWanted, PullAgainWanted, ReconnectWanted, RepairWanted, VerifyWanted, WaitLeft
from console.ui.pane import Pane, UpdatingText

_MIB = 1024 * 1024


class HostPane(Pane, inherit_bindings=False):
    """The link, what is at home, the checklist, the facts, on one page; the age of each goes on by itself."""

    SCOPE = "host"
    BINDINGS = bindings("host")

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._height = 0

    def compose(self) -> ComposeResult:
        """The link, what is at home, the checks, the facts."""
        yield UpdatingText(id="link")
        yield UpdatingText(id="sync")
        yield UpdatingText(id="preflight")
        yield Checklist(id="checklist")
        yield UpdatingText(id="facts")
        yield UpdatingText(id="facts-age")

    @property
    def checklist(self) -> Checklist:
        """The checks."""
        return self.query_one(Checklist)

    def watch_snapshot(self) -> None:
        """Say the new facts."""
        self.tick()

    def watch_preflight_state(self, old: PreflightState, new: PreflightState) -> None:
        """Say the new checks; the first time, bring in sight the one to see to first."""
        self.checklist.preflight_state = new
        self.tick()
        if new.checks and not old.checks:
            self.call_after_refresh(self._show_selected)

    def watch_verify_state(self) -> None:
        """Say how far it is."""
        self.tick()

    def tick(self) -> None:
        """Let the ages go on; what a repair says of the selected check stays in sight."""
        now = time.monotonic()
        self.query_one("#preflight", UpdatingText).say(headline(self.preflight_state, now))
        self.checklist.tick()
        height, self._height = self._height, self.checklist.selected_height
        if self.preflight_state.repairing and self._height > height:
            self.call_after_refresh(self._show_selected)
        if self.snapshot is not None:
            host = self.snapshot.host
            self.query_one("#link", UpdatingText).say(link_text(host, now, self.stopped))
            sync = self.query_one("#sync", UpdatingText)
            sync.say(sync_text(self.snapshot, self.verify_state, now, sync.size.width or self.size.width))
            self.query_one("#facts", UpdatingText).say(fact_text(self.snapshot))
            self.query_one("#facts-age", UpdatingText).say(_line("These facts", _freshness(host, now)) or Content(""))

    def action_move_check(self, by: int) -> None:
        """Move the cursor; beyond the first and the last check the page is scrolled."""
        if self.checklist.move(by):
            self.call_after_refresh(self._show_selected)
        else:
            self.scroll_relative(y=3 * by, animate=False)

    def _show_selected(self) -> None:
        """The first check takes the page's top into sight with it."""
        top = self.checklist.selected_top
        if top:
            checks = self.checklist.virtual_region
            self.scroll_to_region(Region(0, checks.y + top, 1, self.checklist.selected_height), animate=False)
        else:
            self.scroll_home(animate=False)

    def action_reconnect(self) -> None:
        """Try a lost link now."""
        self.post_message(ReconnectWanted())

    def action_look(self) -> None:
        """Look again."""
        self.post_message(LookWanted())

    def action_repair(self) -> None:
        """Do what the selected check advises."""
        if self.checklist.selected is not None:
            self.post_message(RepairWanted(self.checklist.selected))

    def action_pull_again(self) -> None:
        """Ask again for what did not come home."""
        self.post_message(PullAgainWanted())

    def action_verify_synced(self) -> None:
        """Read what is at home again."""
        self.post_message(VerifyWanted())

    def action_stop_waiting(self) -> None:
        """Stop waiting for a repair, and verifying."""
        self.post_message(WaitLeft())


def link_text(host: HostView, now: float, stopped: bool) -> Content:
    """The host and the link to it; ``now`` is ``time.monotonic()``; ``stopped`` is a link that waits for the operator."""
    sign, style = link_mark(host)
    connect = Content.assemble("; ", ("c", "bold $text-accent"), " connects now") if host.link == "lost" else ""
    lines: list[Content | None] = [
        Content.styled(f"{host.title} ({host.name})", "bold"),
        _line("Link", Content.assemble((f"{sign} {link_state(host, now, stopped)}", style), connect)),
        _line("Doing", host.detail),
        _line("Address", host.address),
        _line("Host key", f"{host.fingerprint} (verified)" if host.fingerprint else ""),
        _line("Lease", f"{host.lease} launches and aborts; t takes over" if host.lease else ""),
    ]
    return Content("\n").join(line for line in lines if line is not None)


def fact_text(snapshot: Snapshot) -> Content:
    """What the host has."""
    host = snapshot.host
    lines = [
        _line("Launcher", f"{host.launcher}, {counted(host.slots, 'run')} at a time" if host.launcher else ""),
        _line("Runs kept in", snapshot.folder),
    ]
    if host.facts is None:
        lines.append(Content("What the host has is known once it has answered."))
    else:
        lines += _facts(host.facts)
    return Content("\n").join(line for line in lines if line is not None)


def _line(label: str, words: str | Content) -> Content | None:
    """A labelled line; None where there is nothing to say."""
    return Content.assemble((f"{label:<13}", "$text-muted"), words) if words else None


def _freshness(host: HostView, now: float) -> str:
    if host.facts is None:
        return ""
    return f"{age(now - host.heard)} old"


def _facts(facts: HostFacts) -> list[Content | None]:
    used = facts.memory_total - facts.memory_available
    lines = [
        _line("Name", facts.hostname),
        _line("System", facts.system),
        _line("Python", facts.python),
        _line("Workspace", facts.workspace),
        _line("Processors", f"{facts.cpus}, load {facts.load:.2f}"),
        _line("Memory", _share(used, facts.memory_total, "used")),
        _line("Disk", _share(facts.disk_total - facts.disk_free, facts.disk_total, "used")),
    ]
    for gpu in facts.gpus:
        lines += _gpu(gpu)
    if not facts.gpus:
        lines.append(_line("GPU", facts.gpu_note or "none; runs use the processors"))
    return lines


def _gpu(gpu: Gpu) -> list[Content | None]:
    busy = f", {gpu.utilization}% busy" if gpu.utilization is not None else ""
    lines = [_line("GPU", f"{gpu.name}{busy}, driver {gpu.driver}")]
    if gpu.memory_used is not None and gpu.memory_total:
        lines.append(_line("GPU memory", _share(gpu.memory_used * _MIB, gpu.memory_total * _MIB, "used")))
    return lines


def _share(part: int, whole: int, word: str) -> str:
    if whole <= 0:
        return "unknown"
    return f"{bar(part / whole, 20)} {size(part)} of {size(whole)} {word} ({100 * part / whole:.0f}%)"
