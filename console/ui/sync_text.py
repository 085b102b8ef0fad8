"""Sync status as text: pure functions from a snapshot and a width to lines, the totals first, then what is missing."""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content

from console.format import age, counted, duration, size
from console.runs.snapshot import NOT_SEALED, Snapshot, SyncState, SyncStatus, sync_status
from console.ui.actions import key_of
from console.ui.state import VerifyState

MAX_NAMED = 3  # more runs than these are only counted
_LABEL_WIDTH = 13


def sync_text(snapshot: Snapshot, verify_state: VerifyState, now: float, width: int) -> Content:
    """The sync section of view 1; ``now`` is ``time.monotonic()``, no line is longer than ``width`` cells."""
    status = sync_status(snapshot)
    not_synced = _unverified_lines if snapshot.host.link in ("local", "replay") else _not_synced_lines
    lines = [_totals(snapshot, status, now), *not_synced(snapshot, status, now)]
    verify_lines = list(_verify_lines(verify_state, status, now))
    return Content("\n").join(_labelled("Local copy", lines, width) + _labelled("Verified", verify_lines, width))


def sync_text_short(snapshot: Snapshot) -> Content:
    """The sync status in a few words for the tab bar; empty while there is nothing to sync.

    A tab bar has no room for who writes the local copy, only for that this console does not.
    """
    text = _short_status(snapshot, sync_status(snapshot))
    if not snapshot.local_writer:
        return text
    return Content("read-only: ") + text if text.plain else Content("read-only")


def _short_status(snapshot: Snapshot, status: SyncStatus) -> Content:
    if snapshot.host.link in ("local", "replay") and not status.damaged:
        return Content(f"local copy of {counted(len(status.due), 'run')}" if status.due else "")
    if not status.due:
        return Content(f"syncing {size(status.growing_bytes)}" if status.growing else "")
    if status.full:
        return Content.styled(f"synced {counted(len(status.synced), 'run')}, {size(status.bytes)}", "$text-success")
    done = f"synced {len(status.synced)}/{len(status.due)}"
    if status.damaged:
        return Content.styled(f"{done}, {len(status.damaged)} damaged: {key_of('app.sync_now')}", "bold $text-error")
    if status.pulling is not None:
        return Content(f"{done}, {pull_text(snapshot.sync_states[status.pulling], short=True)}")
    if status.waiting:
        return Content.styled(f"{done}, {len(status.waiting)} not synced yet", "$text-warning")
    return Content(done)


def pull_text(state: SyncState, *, short: bool = False) -> str:
    """``pulling 63%, 7.8 MiB of 12.4 MiB, 0:04 left``, short ``pulling 63%, 0:04``; ``pulling`` before the first byte."""
    if not state.bytes_total:
        return "pulling"
    text = f"pulling {100 * state.bytes_done / state.bytes_total:.0f}%"
    if not short:
        text += f", {size(state.bytes_done)} of {size(state.bytes_total)}"
    if state.left is not None:
        text += f", {duration(state.left)}" + " left" * (not short)
    return text


def damaged_text(state: SyncState) -> Content:
    """Why the local copy of a run is damaged, and the key that pulls it again."""
    key = (key_of("app.sync_now"), "bold $text-accent")
    return Content.assemble("; ", key, f" pulls it again: {state.note or 'a checksum does not match'}")


def _totals(snapshot: Snapshot, status: SyncStatus, now: float) -> Content:
    files = f"{counted(status.files, 'file')}, {size(status.bytes)}"
    if snapshot.host.link in ("local", "replay"):
        return Content(f"{counted(len(status.synced), 'run')} synced, {files}")
    if not status.host_answered:
        synced = f"{counted(len(status.synced), 'run')} synced, {files}; " if status.synced else ""
        return Content(f"{synced}the host has not answered yet, it may have more")
    if not status.due:
        return Content("no run has ended yet")
    runs = f"{len(status.synced)} of {counted(len(status.due), 'ended run')}"
    as_of = "" if snapshot.host.link == "up" else f", as of {age(now - snapshot.host.last_reply_at)} ago"
    if status.full:
        return Content.assemble(("✓ synced", "bold $text-success"), f": {runs}, {files}, checksums match{as_of}")
    return Content.assemble((f"{runs} synced", "bold $text-warning"), f", {files}{as_of}")


def _unverified_lines(snapshot: Snapshot, status: SyncStatus, now: float) -> Iterator[Content]:
    """What of the local copies cannot be relied on, where no host is asked."""
    for run in status.damaged[:MAX_NAMED]:
        note = snapshot.sync_states[run].note
        yield Content.styled(f"✗ {run.label} damaged", "bold $text-error") + f": {note}"
    if (more := len(status.damaged) - MAX_NAMED) > 0:
        yield Content(f"and {more} more damaged")
    if left := len(status.waiting):
        yield Content(f"{counted(left, 'ended run')} without a manifest: there is nothing to verify them with")


def _not_synced_lines(snapshot: Snapshot, status: SyncStatus, now: float) -> Iterator[Content]:
    """Runs that are not synced, with the reason and the key that helps."""
    states = snapshot.sync_states
    key = (key_of("app.sync_now"), "bold $text-accent")
    if snapshot.local_writer:
        yield Content.styled(f"! read-only here: {snapshot.local_writer} writes this runs folder", "$text-warning")
    if status.pulling is not None:
        yield Content.assemble((status.pulling.label, "bold"), f" {pull_text(states[status.pulling])}")
    for run in status.damaged[:MAX_NAMED]:
        yield Content.styled(f"✗ {run.label} damaged", "bold $text-error") + damaged_text(states[run])
    if (more := len(status.damaged) - MAX_NAMED) > 0:
        yield Content.assemble(f"and {more} more damaged; ", key, " pulls all of them again")
    delayed = [run for run in status.waiting if states[run].note][:MAX_NAMED]
    for run in delayed:
        if NOT_SEALED in states[run].note:  # nothing to pull before the host has sealed it
            yield Content.styled(f"! {run.label} {states[run].note}", "$text-warning")
            continue
        yield Content.assemble(f"{run.label} not synced yet; ", key, f" pulls it now: {states[run].note}")
    if more := len(status.waiting) - len(delayed):
        yield Content(f"{counted(more, 'run')} not synced yet")
    for run in [run for run in status.synced if states[run].note][:MAX_NAMED]:
        yield Content.styled(f"! {run.label} {states[run].note}", "$text-warning")
    if status.growing:
        data_age = f", {age(now - status.as_of)} old" if status.as_of else ""
        runs = counted(len(status.growing), "running run")
        yield Content(f"{runs}: syncing {size(status.growing_bytes)} of events and logs{data_age}")
        if note := next((states[run].note for run in status.growing if states[run].note), ""):
            yield Content.styled(f"! {note}", "$text-warning")
    if status.unsealed:
        runs = counted(len(status.unsealed), "lost run")
        yield Content(f"{runs}: {size(status.unsealed_bytes)} of events and logs, without a manifest to verify")


def _verify_lines(state: VerifyState, status: SyncStatus, now: float) -> Iterator[Content]:
    key, result = (key_of("app.verify"), "bold $text-accent"), state.result
    if state.running:
        left = state.seconds_left(now)
        eta = f", {duration(left)} left" if left is not None else ""
        files = f"{result.files:,} of {counted(result.files_total, 'file')}, " if result else ""
        read = f"{size(result.bytes_read)} of {size(result.bytes_total)} read" if result else "starting"
        yield Content.assemble(f"{files}{read}{eta}; ", (key_of("app.stop"), "bold $text-accent"), " stops")
        return
    again = Content.assemble("; ", key, " verifies again")
    if state.ended_at is None:
        if status.synced:
            yield Content("when pulled") + again
        return
    ago = f"{age(now - state.ended_at)} ago"
    if state.error or result is None:
        yield Content(f"{state.error or 'nothing to verify'}, {ago}") + again
    elif not result.differing:
        yield Content(f"{counted(result.files, 'file')}, {size(result.bytes)} match, {ago}") + again
    else:
        count = f"{len(result.differing):,} of {counted(result.files_total, 'file')} do not match"
        yield Content.styled(count, "bold $text-error") + f", {ago}" + again
        for one in result.differing[:MAX_NAMED]:
            yield Content(f"{one.run.label} {one.path}: {one.why}")
        if (more := len(result.differing) - MAX_NAMED) > 0:
            yield Content(f"and {more:,} more")


def _labelled(label: str, texts: list[Content], width: int) -> list[Content]:
    """``texts`` beside ``label``, wrapped within their column."""
    lines = [line for text in texts for line in text.wrap(max(8, width - _LABEL_WIDTH))]
    head = Content.styled(f"{label:<{_LABEL_WIDTH}}", "$foreground-muted")
    return [head + line if not number else line.pad_left(_LABEL_WIDTH) for number, line in enumerate(lines)]
