"""What is at home as text: pure, from a snapshot and a width to lines. A verdict with numbers first, then what it lacks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace
from textual.content import Content

from console.format import age, counted, duration, size
from console.runs.snapshot import Snapshot, SyncState
from console.runs.sync_status import SyncStatus, sync_status
from console.ui.actions import in_scope, shown_key
from engine.contract.settings import RunId

if TYPE_CHECKING:
    from console.hosts.pull.verify import VerifyResult


class VerifyState(Struct, frozen=True):
    """One check; times are by ``time.monotonic()``.

    Attributes:
        check: how far it is, or what it found; None before the first.
        since: when it began.
        ended: when it ended; None while it goes on.
        trouble: why it came to nothing.
    """

    check: VerifyResult | None = None
    since: float = 0.0
    ended: float | None = None
    trouble: str = ""

    @property
    def going_on(self) -> bool:
        """It has begun and not ended."""
        return self.since > 0 and self.ended is None

    def got_on(self, check: VerifyResult) -> VerifyState:
        """It read more."""
        return replace(self, check=check)

    def over(self, now: float, trouble: str = "") -> VerifyState:
        """It ended."""
        return replace(self, ended=now, trouble=trouble)

    def left(self, now: float) -> float | None:
        """Seconds to its end at its pace so far; None before it has one."""
        if self.check is None or not self.check.bytes_read:
            return None
        return (self.check.bytes_total - self.check.bytes_read) * (now - self.since) / self.check.bytes_read


NAMED = 3  # runs that are named one by one; of more, only how many
_LABEL = 13
_KEYS = {action.method.removeprefix("action_"): shown_key(action.keys[0]) for action in in_scope("host")}


def sync_text(snapshot: Snapshot, verify_state: VerifyState, now: float, width: int) -> Content:
    """The part of view 1 on what is at home; ``now`` is ``time.monotonic()``, no line is longer than ``width``."""
    verdict = sync_status(snapshot)
    lines = [_verdict(snapshot, verdict, now), *_lacks(snapshot, verdict, now)]
    parts = _labelled("Home", lines, width) + _labelled("Verified", list(_verified(verify_state, verdict, now)), width)
    return Content("\n").join(parts)


def sync_text_short(snapshot: Snapshot) -> Content:
    """The same in a few words; none as long as nothing is at home, nor should be."""
    verdict = sync_status(snapshot)
    if not verdict.due:
        return Content(f"coming home: {size(verdict.growing_bytes)}" if verdict.growing else "")
    if verdict.full:
        return Content.styled(
            f"full sync: {counted(len(verdict.synced), 'run')}, {size(verdict.bytes)}", "$text-success"
        )
    many = f"home {len(verdict.synced)}/{len(verdict.due)}"
    if verdict.damaged:
        return Content.styled(f"{many}, {len(verdict.damaged)} damaged: {_KEYS['pull_again']}", "bold $text-error")
    if verdict.coming is not None:
        return Content(f"{many}, coming {_pulled(snapshot.sync_states[verdict.coming])}")
    if verdict.waiting:
        return Content.styled(f"{many}, {len(verdict.waiting)} to come", "$text-warning")
    return Content(many)


def verify_text(check: VerifyResult) -> str:
    """What a check found, for a notice."""
    if check.differing:
        one = check.differing[0]
        many = (
            "1 file at home differs" if len(check.differing) == 1 else f"{len(check.differing):,} files at home differ"
        )
        return f"{many}: {one.run} {one.path}: {one.why}"
    return f"At home: {counted(check.files, 'file')}, {size(check.bytes)}, all as their manifests say."


def _verdict(snapshot: Snapshot, verdict: SyncStatus, now: float) -> Content:
    runs = f"{len(verdict.synced)} of {counted(len(verdict.due), 'ended run')}"
    held = f"{counted(verdict.files, 'file')}, {size(verdict.bytes)}"
    if not verdict.heard:
        here = f"{counted(len(verdict.synced), 'run')} here, {held}; " if verdict.synced else ""
        return Content(f"{here}the host has not said yet whether there is more")
    if not verdict.due:
        return Content("no run has ended yet")
    asof = "" if snapshot.host.link == "up" else f", as of {age(now - snapshot.host.heard)} ago"
    if verdict.full:
        return Content.assemble(("✓ full sync", "bold $text-success"), f": {runs}, {held}, verified{asof}")
    return Content.assemble(("not in full sync", "bold $text-warning"), f": {runs}, {held}{asof}")


def _lacks(snapshot: Snapshot, verdict: SyncStatus, now: float) -> Iterator[Content]:
    """What is not at home, and what is done about it or can be."""
    sync_states = snapshot.sync_states
    again = (_KEYS["pull_again"], "bold $text-accent")
    if verdict.coming is not None:
        yield Content.assemble(
            (_name(verdict.coming), "bold"), f" comes: {_pulled(sync_states[verdict.coming], whole=True)}"
        )
    for run in verdict.damaged[:NAMED]:
        note = sync_states[run].note or "a checksum was wrong"
        yield Content.assemble((f"✗ {_name(run)} damaged", "bold $text-error"), ", ", again, f" pulls it again: {note}")
    if (more := len(verdict.damaged) - NAMED) > 0:
        yield Content.assemble(f"and {more} more damaged; ", again, " pulls all again")
    held_up = [run for run in verdict.waiting if sync_states[run].note]
    for run in held_up[:NAMED]:
        yield Content.assemble(f"{_name(run)} waits, ", again, f" tries now: {sync_states[run].note}")
    if rest := len(verdict.waiting) - len(held_up[:NAMED]):
        yield Content(f"{counted(rest, 'run')} to come")
    if verdict.growing:
        asked = f", {age(now - verdict.as_of)} old" if verdict.as_of else ""
        runs = counted(len(verdict.growing), "run")
        yield Content(f"{runs} still running: {size(verdict.growing_bytes)} of events and logs here{asked}")
        if note := next((sync_states[run].note for run in verdict.growing if sync_states[run].note), ""):
            yield Content.styled(f"! {note}", "$text-warning")
    if verdict.unsealed:
        yield Content(
            f"{counted(len(verdict.unsealed), 'lost run')}: {size(verdict.unsealed_bytes)} of events and logs here, unproved"
        )


def _verified(verify_state: VerifyState, verdict: SyncStatus, now: float) -> Iterator[Content]:
    key, check = (_KEYS["verify_synced"], "bold $text-accent"), verify_state.check
    if verify_state.going_on:
        stops = (_KEYS["stop_waiting"], "bold $text-accent")
        left = verify_state.left(now)
        eta = f", {duration(left)} left" if left is not None else ""
        far = f"{check.files:,} of {counted(check.files_total, 'file')}, " if check else ""
        read = f"{size(check.bytes_read)} of {size(check.bytes_total)} read" if check else "beginning"
        yield Content.assemble(f"{far}{read}{eta}; ", stops, " stops")
        return
    if verify_state.ended is None:
        if verdict.synced:
            yield Content.assemble("as they came; ", key, " reads all of it again")
        return
    ago = f"{age(now - verify_state.ended)} ago"
    if verify_state.trouble or check is None:
        yield Content.assemble(f"{verify_state.trouble or 'nothing'}, {ago}; ", key, " begins again")
    elif not check.differing:
        held = f"{counted(check.files, 'file')}, {size(check.bytes)}"
        yield Content.assemble(f"{held} right, read {ago}; ", key, " reads again")
    else:
        many = f"{len(check.differing):,} of {counted(check.files_total, 'file')} different"
        yield Content.assemble((many, "bold $text-error"), f", read {ago}; ", key, " reads again")
        for one in check.differing[:NAMED]:
            yield Content(f"{_name(one.run)} {one.path}: {one.why}")
        if (more := len(check.differing) - NAMED) > 0:
            yield Content(f"and {more:,} more")


def _pulled(sync: SyncState, *, whole: bool = False) -> str:
    """``63%, 0:04``; whole ``63%, 7.8 MB of 12.4 MB, 0:04 left``."""
    if not sync.bytes_total:
        return "begins" if whole else ""
    share = f"{100 * sync.bytes_done / sync.bytes_total:.0f}%"
    left = "" if sync.left is None else f", {duration(sync.left)}"
    return (
        f"{share}, {size(sync.bytes_done)} of {size(sync.bytes_total)}{left and left + ' left'}"
        if whole
        else share + left
    )


def _name(run: RunId) -> str:
    return f"{run.condition} / {run.seed}"


def _labelled(label: str, texts: list[Content], width: int) -> list[Content]:
    """``texts`` beside ``label``, wrapped within their column."""
    lines = [line for text in texts for line in text.wrap(max(8, width - _LABEL))]
    head = Content.styled(f"{label:<{_LABEL}}", "$text-muted")
    return [head + line if not place else line.pad_left(_LABEL) for place, line in enumerate(lines)]
