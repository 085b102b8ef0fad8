"""One run as text: state marks, the three lines of its cell in the matrix, and the details below the matrix."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from textual.content import Content

from console.format import (
    GATE_LABELS,
    age,
    bar,
    counted,
    differences_text,
    duration,
    full_disk,
    number,
    percent,
    run_label,
    size,
)
from console.runs.failures import failure_of
from console.runs.run_view import RunView, fraction_done, training_seconds_left
from console.runs.snapshot import NOT_SEALED, Snapshot, SyncState
from console.runs.staleness import FRESH, Staleness, staleness
from console.ui.actions import key_of
from console.ui.sync_text import damaged_text, pull_text
from engine.contract.settings import Difference, RunId


class StateMark(Struct, frozen=True):
    """How a state is shown: a sign, a label and a style, so that colour never carries the meaning alone."""

    sign: str
    label: str
    style: str


MARKS = {
    "none": StateMark("·", "not launched", "$foreground-muted"),
    "queued": StateMark("◦", "queued", "$text-primary"),
    "running": StateMark("▶", "running", "bold $text-accent"),
    "finished": StateMark("✓", "finished", "bold $text-success"),
    "failed": StateMark("✗", "failed", "bold $text-error"),
    "aborted": StateMark("■", "aborted", "bold $text-warning"),
    "lost": StateMark("?", "lost", "bold $text-error"),
}
_STAGES = {
    "data": "building data",
    "encode": "encoding",
    "warm_start": "warm start",
    "train": "training",
    "evaluate": "evaluating",
    "seal": "sealing",
}
_NAME_WIDTH = 24  # of the details' first line; the cell's row shows the whole name
_NOT_KNOWN = Content.styled("· not known yet", "$foreground-muted")  # no local copy, and the host has not told of it
_NUMBER_WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine"}


def mark_text(view: RunView) -> Content:
    """``▶ running``; ``▶ aborting`` while the host ends a run because this console asked for it."""
    mark = MARKS[view.state_name]
    if view.aborting:
        return Content.styled(f"{mark.sign} aborting", MARKS["aborted"].style)
    return Content.styled(f"{mark.sign} {mark.label}", mark.style)


def stage_text(view: RunView) -> str:
    """``training``; ``starting`` before the first stage."""
    return _STAGES.get(view.stage, view.stage or "starting")


def card_lines(
    view: RunView, sync: SyncState, stage_seconds: float | None, width: int, stale: Staleness = FRESH
) -> list[Content]:
    """A run in up to three lines of at most ``width`` cells; ``stage_seconds`` is the time in its stage, None if unknown."""
    if view.state is None and stale.kind in ("connecting", "not reached"):
        return [_NOT_KNOWN.truncate(width, ellipsis=True)]
    aside = stage_text(view) if view.state_name == "running" else _sync_label(sync)
    if stale and view.state is not None and (view.active or stale.kind == "not reached"):
        aside = stale.short  # where the host is not heard from, that says more than the stage
    lines = [mark_text(view) + (f"  {aside}" if aside else ""), *_more_card_lines(view, stage_seconds, width, stale)]
    return [line.truncate(width, ellipsis=True) for line in lines[:3]]


def _more_card_lines(view: RunView, stage_seconds: float | None, width: int, stale: Staleness) -> list[Content]:
    match view.state_name:
        case "none":
            return []
        case "running":
            # a remark, such as that a signal has stopped it, matters more than a pace that is not true then
            return [_progress_bar(view, width), Content(_remark(view) or _pace_text(view, stage_seconds, stale, width))]
        case "queued":
            return [Content(_remark(view) or "waiting for a slot")]
        case "finished":
            return [_cell_scores(view), _gates_text(view)]
        case _:
            reason = Content(_remark(view) or "no reason was given")
            return [_cell_scores(view), reason] if view.evaluation else [reason]


def _remark(view: RunView) -> str:
    """What the host says of the run's present state; "" if there is nothing to say."""
    return view.state.reason if view.state else ""


def _progress_bar(view: RunView, width: int) -> Content:
    fraction = fraction_done(view)
    if fraction is None:
        return Content(view.stage_note)
    return Content.assemble((bar(fraction, max(4, width - 5)), "$text-accent"), f" {100 * fraction:3.0f}%")


def _pace_text(view: RunView, stage_seconds: float | None, stale: Staleness, width: int) -> str:
    left = training_seconds_left(view)
    if left is not None and stale:
        whole = eta_text(left, stale)
        return whole if len(whole) <= width else f"ETA {duration(left)}, {stale.short}"
    if left is not None:
        loss = f"  loss {number(view.losses.last_y)}" if view.losses else ""
        return f"ETA {duration(left)}{loss}"
    elapsed = duration(stage_seconds) if stage_seconds is not None else ""
    if view.progress:
        return ", ".join(filter(None, (_progress_text(view), elapsed)))
    return f"for {elapsed}" if elapsed else ""


def eta_text(seconds: float, stale: Staleness) -> str:
    """``ETA 0:12``, of a host that is not heard from ``ETA 0:12 as of 5 min ago``."""
    return f"ETA {duration(seconds)}" + (
        f" {stale.note}" if stale.kind == "silent" else f", {stale.note}" * bool(stale)
    )


def _progress_text(view: RunView) -> str:
    return f"{view.progress.done:,} of {view.progress.total:,} {view.progress.unit}" if view.progress else ""


def _cell_scores(view: RunView) -> Content:
    if view.evaluation is None:
        return Content("not evaluated")
    top1, pooled = view.evaluation.top1, view.evaluation.mean_pool_top1
    return Content.assemble("top-1 ", (percent(top1), "bold"), f", pooling {percent(pooled)}")


def _gates_text(view: RunView) -> Content:
    if view.failed_gates is None:
        return Content("")
    if not view.failed_gates:
        return Content("passes every gate")
    failed = ", ".join(GATE_LABELS.get(gate, gate) for gate in view.failed_gates)
    return Content.styled(f"fails {failed}", "$text-error")


def _sync_label(sync: SyncState) -> str:
    if NOT_SEALED in sync.note:
        return "not sealed"
    match sync.status:
        case "syncing":
            return f"syncing {size(sync.bytes_done)}"
        case "pulling":
            return f"pulling {100 * sync.bytes_done / sync.bytes_total:.0f}%" if sync.bytes_total else "pulling"
        case "not synced":
            return ""  # nothing to sync of a run that has not ended; the tab bar counts the others
        case status:
            return status


def details_text(
    snapshot: Snapshot,
    run: RunId,
    stage_seconds: float | None,
    now: float,
    different: Sequence[Difference] = (),
) -> Content:
    """Some lines on ``run``, the most important first; before the first launch, what to do.

    ``stage_seconds`` is the time in its stage, None if unknown; ``now`` is ``time.monotonic()``; ``different`` are the
    settings that its condition overrides.
    """
    view, sync = snapshot.runs[run], snapshot.sync_states[run]
    stale = staleness(snapshot.host, now) if view.state is not None else FRESH
    is_known = view.state is not None or staleness(snapshot.host, now).kind not in ("connecting", "not reached")
    head = Content.assemble((run_label(run, _NAME_WIDTH), "bold"), "  ") + (mark_text(view) if is_known else _NOT_KNOWN)
    head += Content.styled(f", {stale.note}", "$text-warning") if stale else Content("")
    facts = [fact for fact in (_took_text(view), _sync_details(view, sync, now)) if fact]
    lines = [head + Content("  " + ". ".join(facts)) if facts else head]
    if all(other.state_name == "none" for other in snapshot.runs.values()):
        lines.insert(0, _first_step_text(snapshot))
    if sync.status == "damaged":
        lines.append(Content.styled("! Damaged", "bold $text-error") + damaged_text(sync))
    if view.state_name == "lost" and view.can_be_aborted:
        still = "Its job still runs" if view.lost_processes else "Its supervisor exists, so it may go on"
        key = (key_of("abort"), "bold $text-accent")
        lines.append(Content.assemble((f"! {still}", "$text-warning"), "; ", key, " aborts it"))
    if run in snapshot.changed_settings:
        lines.append(_changed_settings_text(view))
    lines += [
        Content(line)
        for line in (_reason_text(view), _failure_text(view), _running_text(view, stage_seconds, stale))
        if line
    ]
    if view.warnings:
        warning = f"! {counted(len(view.warnings), 'warning')}: {view.warnings[-1].message}"
        lines.append(Content.styled(warning, "$text-warning"))
    if view.rejected:
        warning = f"! {counted(view.rejected, 'line')} of its events could not be read"
        lines.append(Content.styled(warning, "$text-warning"))
    scores = (_scores_text(view), _measurement_text(view), _best_text(view))
    lines += [Content(line) for line in (*scores, differences_text(different)) if line]
    return Content("\n").join(lines)


def _changed_settings_text(view: RunView) -> Content:
    if view.active:
        text = "! Settings changed since its launch: it runs with those from before"
        return Content.styled(text, "$text-warning")
    key = (key_of("launch"), "bold $text-accent")
    text = "! Settings changed since its launch"
    return Content.assemble((text, "$text-warning"), "; ", key, " launches it with the present ones")


def _first_step_text(snapshot: Snapshot) -> Content:
    if snapshot.host.link in ("local", "replay"):
        return Content(snapshot.host.detail or "No run is local here.")
    if snapshot.host.link == "up" and not snapshot.host.runs_reported:
        return Content("The host is connected, and reports its runs in a moment.")
    if snapshot.host.link == "up" and snapshot.host.disk_full:
        return Content(f"No runs yet, and {full_disk(snapshot.host.disk_free)}: none can start before there is room.")
    if snapshot.host.link == "up":
        count = len(snapshot.runs)
        runs = "it" if count == 1 else f"all {_NUMBER_WORDS.get(count, count)}"
        key = (key_of("launch_all"), "bold $text-accent")
        return Content.assemble("No runs yet: press ", key, f" to launch {runs}.")
    synced = any(sync.status == "synced" for sync in snapshot.sync_states.values())
    subject = "The host" if synced else "No local copy of a run, and the host"
    if snapshot.host.link == "starting":
        return Content("The local copies are read, then the host is connected.")
    return Content(f"{subject} is not connected yet. {snapshot.host.detail}")


def _reason_text(view: RunView) -> str:
    if view.state is None or not view.state.reason:
        return ""
    code = f" (exit code {view.state.exit_code})" if view.state.exit_code is not None else ""
    return f"Reason: {view.state.reason}{code}"


def _failure_text(view: RunView) -> str:
    found = failure_of(view)
    return f"Next: {found.next_step}; {found.resume}" if found is not None else ""


def _took_text(view: RunView) -> str:
    if view.state is None or not view.state.ended or not view.state.started_at:
        return ""
    return f"Took {duration(view.state.ended_at - view.state.started_at)}" + _on_gpu(view)


def _on_gpu(view: RunView) -> str:
    """`` on GPU 0 (NVIDIA L40S)``; "" of a run that is not bound to one."""
    gpu = view.state.gpu if view.state else None
    return f" on GPU {gpu.index} ({gpu.name})" if gpu is not None else ""


def _running_text(view: RunView, stage_seconds: float | None, stale: Staleness) -> str:
    if view.state_name != "running":
        return ""
    parts = [stage_text(view) + (f" ({view.stage_note})" if view.stage_note else "") + _on_gpu(view)]
    if view.progress:
        parts.append(_progress_text(view))
    if view.last_step:
        parts.append(f"step {view.last_step[0]:,} of {view.total_steps:,}")
    if view.losses:
        parts += [f"loss {number(view.losses.last_y)}", f"learning rate {view.learning_rate:.1e}"]
    left = training_seconds_left(view)
    if left is not None:
        parts.append(f"{duration(left)} left" if not stale else eta_text(left, stale))
    if stage_seconds is not None and not stale:
        parts.append(f"for {duration(stage_seconds)}")
    return ", ".join(parts)


def _scores_text(view: RunView) -> str:
    if view.evaluation is None:
        return ""
    one = view.evaluation
    return (
        f"Top-1 {percent(one.top1)}, top-3 {percent(one.top3)}, coherence {percent(one.coherence)}  (mean pooling "
        f"{percent(one.mean_pool_top1)}, {percent(one.mean_pool_top3)}, {percent(one.mean_pool_coherence)})"
    )


def _measurement_text(view: RunView) -> str:
    if not view.measurements:
        return ""
    last = view.measurements[-1]
    return (
        f"At step {last.step:,} (epoch {last.epoch:.1f}): dev top-1 {percent(last.top1)} (mean pooling "
        f"{percent(last.mean_pool_top1)}), attention entropy {last.attention_entropy:.2f} of its maximum"
    )


def _best_text(view: RunView) -> str:
    """Which measurement's head is kept, by what score, and when that score was first above mean pooling's."""
    best = view.best_measurement
    if best is None:
        return ""
    above = next((one for one in view.measurements if one.score > one.mean_pool_score), None)
    crossing = "never above it" if above is None else f"first above it at step {above.step:,} (epoch {above.epoch:.1f})"
    chosen = "Chosen" if view.evaluation is not None else "Best so far"
    return (
        f"{chosen}: step {best.step:,} (epoch {best.epoch:.1f}) by {best.score_name}: {percent(best.score)} "
        f"(mean pooling {percent(best.mean_pool_score)}, {crossing})"
    )


def _sync_details(view: RunView, sync: SyncState, now: float) -> str:
    match sync.status:
        case "syncing":
            data_age = f", {age(now - sync.as_of)} old" if sync.as_of else ""
            return f"Syncing: {size(sync.bytes_done)}{data_age}" + (f": {sync.note}" if sync.note else "")
        case "pulling":
            return "P" + pull_text(sync)[1:]
        case "synced":
            return f"Synced: {counted(sync.files_total, 'file')}, {size(sync.bytes_total)}, checksums match"
        case "damaged":
            return ""  # it has a line of its own
        case "not synced":
            return sync.note or ("Not synced yet" if view.state_name == "finished" else "")
