"""What is known of the selected run, in words, below the matrix."""

from __future__ import annotations

from textual.content import Content

from console.format import age, counted, duration, number, percent, run_name, size
from console.runs.run_view import RunView, training_seconds_left
from console.runs.snapshot import Snapshot, SyncState
from console.ui.actions import in_scope, shown_key
from console.ui.runs.state_text import STAGES, mark_of
from engine.contract.settings import RunId

_AGAIN = next(shown_key(action.keys[0]) for action in in_scope("runs") if action.call == "pull_again")
_NAME_ROOM = 24  # the whole name stands over the row of cells
_WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine"}


def details(snapshot: Snapshot, run: RunId, in_stage: float | None, now: float) -> Content:
    """Some lines on ``run``, what matters most first; before the first launch, what to do.

    ``in_stage`` is for how many seconds it has been in its stage, if known; ``now`` is ``time.monotonic()``.
    """
    view, sync = snapshot.runs[run], snapshot.sync_states[run]
    mark = mark_of(view)
    head = Content.assemble((run_name(run, _NAME_ROOM), "bold"), "  ", (f"{mark.sign} {mark.word}", mark.style))
    facts = [fact for fact in (_took(view), _home(view, sync, now)) if fact]
    lines = [head + Content("  " + ". ".join(facts)) if facts else head]
    if all(other.state_name == "none" for other in snapshot.runs.values()):
        lines.insert(0, _first_step(snapshot))
    if sync.status == "damaged":
        why = sync.note or "a checksum was wrong"
        sign, again = ("! Damaged", "bold $text-error"), (_AGAIN, "bold $text-accent")
        lines.append(Content.assemble(sign, ", ", again, f" pulls it again: {why}"))
    lines += [Content(line) for line in (_reason(view), _now(view, in_stage)) if line]
    if view.warnings:
        last = view.warnings[-1]
        lines.append(Content.styled(f"! {counted(len(view.warnings), 'warning')}: {last.message}", "$text-warning"))
    if view.rejected:
        words = f"! {counted(view.rejected, 'line')} of its events could not be read"
        lines.append(Content.styled(words, "$text-warning"))
    lines += [Content(line) for line in (_scores(view), _validation(view)) if line]
    return Content("\n").join(lines)


def _first_step(snapshot: Snapshot) -> Content:
    if snapshot.host.link == "up":
        count = len(snapshot.runs)
        what = "it" if count == 1 else f"all {_WORDS.get(count, count)}"
        return Content.assemble("No runs yet: press ", ("a", "bold $text-accent"), f" to launch {what}.")
    here = any(sync.status == "synced" for sync in snapshot.sync_states.values())
    what = "The host" if here else "No runs yet, and the host"
    return Content(f"{what} is not reached yet. {snapshot.host.detail}")


def _reason(view: RunView) -> str:
    if view.state is None or not view.state.reason:
        return ""
    code = f" (exit code {view.state.exit_code})" if view.state.exit_code is not None else ""
    return f"Why: {view.state.reason}{code}"


def _took(view: RunView) -> str:
    if view.state is None or not view.state.ended or not view.state.started_at:
        return ""
    return f"Took {duration(view.state.ended_at - view.state.started_at)}"


def _now(view: RunView, in_stage: float | None) -> str:
    if view.state_name != "running":
        return ""
    parts = [STAGES.get(view.stage, view.stage or "starting") + (f" ({view.stage_note})" if view.stage_note else "")]
    if view.progress:
        parts.append(f"{view.progress.done:,} of {view.progress.total:,} {view.progress.unit}")
    if view.last_step:
        parts.append(f"step {view.last_step[0]:,} of {view.total_steps:,}")
    if view.losses:
        parts.append(f"loss {number(view.losses.last_y)}")
        parts.append(f"rate {view.learning_rate:.1e}")
    left = training_seconds_left(view)
    if left is not None:
        parts.append(f"{duration(left)} left")
    if in_stage is not None:
        parts.append(f"for {duration(in_stage)}")
    return ", ".join(parts)


def _scores(view: RunView) -> str:
    if view.evaluation is None:
        return ""
    one = view.evaluation
    return (
        f"Top-1 {percent(one.top1)}, top-3 {percent(one.top3)}, coherence {percent(one.coherence)}  (mean pooling "
        f"{percent(one.mean_pool_top1)}, {percent(one.mean_pool_top3)}, {percent(one.mean_pool_coherence)})"
    )


def _validation(view: RunView) -> str:
    if not view.epochs:
        return ""
    last = view.epochs[-1]
    return (
        f"After epoch {last.epoch}: dev top-1 {percent(last.top1)} (mean pooling {percent(last.mean_pool_top1)}), "
        f"attention entropy {last.attention_entropy:.2f} of its maximum"
    )


def _home(view: RunView, sync: SyncState, now: float) -> str:
    """How far it is home; where it was damaged, that has a line of its own."""
    match sync.status:
        case "syncing":
            asked = f", {age(now - sync.as_of)} old" if sync.as_of else ""
            note = f": {sync.note}" if sync.note else ""
            return f"Coming home, {size(sync.bytes_done)} here{asked}{note}"
        case "pulling":
            left = f", {duration(sync.left)} left" if sync.left is not None else ""
            return f"Coming home: {size(sync.bytes_done)} of {size(sync.bytes_total)}{left}"
        case "synced":
            return f"At home: {counted(sync.files_total, 'file')}, {size(sync.bytes_total)}, checksums right"
        case "damaged":
            return ""
        case "not synced":
            return sync.note or ("Not at home yet" if view.state_name == "finished" else "")
