"""View 1: the host, the link to it, its verified key, and what it has: processors, memory, disk, GPUs."""

from __future__ import annotations

import time

from textual.app import ComposeResult
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from console.snapshot import Gpu, HostFacts, HostView, Snapshot
from console.ui.format import age, bar, counted, size
from console.ui.pane import Pane
from console.ui.top_line import link_mark, link_words

_MIB = 1024 * 1024


class HostPane(Pane):
    """A page of facts; the age of them goes on by itself."""

    words: reactive[Content] = reactive(Content(""), init=False)

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static(id="facts")

    def watch_snapshot(self) -> None:
        """Say the new facts."""
        self.tick()

    def tick(self) -> None:
        """Let the age go on."""
        if self.snapshot is not None:
            self.words = host_words(self.snapshot, time.monotonic())

    def watch_words(self) -> None:
        """Show them."""
        self.query_one("#facts", Static).update(self.words)


def host_words(snapshot: Snapshot, now: float) -> Content:
    """The page; ``now`` is ``time.monotonic()``."""
    host = snapshot.host
    sign, style = link_mark(host)
    lines: list[Content | None] = [
        Content.styled(f"{host.title} ({host.name})", "bold"),
        _line("Link", Content.styled(f"{sign} {link_words(host, now)}", style)),
        _line("Doing", host.detail),
        _line("Address", host.address),
        _line("Host key", f"{host.fingerprint} (verified)" if host.fingerprint else ""),
        _line("Launcher", f"{host.launcher}, {counted(host.slots, 'run')} at a time" if host.launcher else ""),
        _line("Lease", f"{host.lease} launches and aborts; t takes over" if host.lease else ""),
        _line("Runs kept in", snapshot.folder),
        Content(""),
    ]
    if host.facts is None:
        lines.append(Content("What the host has is known once it has answered."))
    else:
        lines += _facts(host.facts)
        lines += [Content(""), _line("These facts", _freshness(host, now))]
    return Content("\n").join(line for line in lines if line is not None)


def _line(label: str, words: str | Content) -> Content | None:
    """A labelled line; None where there is nothing to say."""
    return Content.assemble((f"{label:<13}", "$text-muted"), words) if words else None


def _freshness(host: HostView, now: float) -> str:
    ago = f"{age(now - host.heard)} old"
    return ago if host.link == "up" else f"{ago}: the link is down, retrying"


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
