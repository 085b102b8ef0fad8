"""One cell of the matrix: a run's state, how far it is, and what comes next or came of it, in three lines."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from console.format import bar, duration, number, percent, size
from console.runs.run_view import RunView, fraction_done, training_seconds_left
from console.runs.snapshot import SyncState
from console.ui.messages import RunSelected
from console.ui.runs.state_text import STAGES, mark_of
from engine.contract.settings import RunId


class RunCell(Widget):
    """Redrawn when its words change; the selected one has a heavy frame."""

    words: reactive[Content] = reactive(Content(""), init=False)

    def __init__(self, run: RunId) -> None:
        super().__init__(id=f"cell-{run.condition.replace('.', '-dot-')}-{run.seed}")
        self.run = run
        self.border_title = Content(f"{run.condition} / {run.seed}")
        self._shown: tuple[RunView, SyncState, float | None] = (RunView(run), SyncState(), None)

    def show(self, view: RunView, sync: SyncState, in_stage: float | None) -> None:
        """Say the state of ``view``."""
        self._shown = (view, sync, in_stage)
        self.words = cell_text(view, sync, in_stage, self.size.width)

    def on_resize(self) -> None:
        """Fit the bar anew."""
        self.show(*self._shown)

    def on_click(self, event: events.Click) -> None:
        """Select it."""
        event.stop()
        self.post_message(RunSelected(self.run))

    def render(self) -> Content:
        """The words."""
        return self.words


def cell_text(view: RunView, sync: SyncState, in_stage: float | None, width: int) -> Content:
    """Three lines of at most ``width`` cells; ``in_stage`` is for how many seconds it has been in its stage, if known."""
    mark = mark_of(view)
    aside = STAGES.get(view.stage, view.stage or "starting") if view.state_name == "running" else _homecoming(sync)
    head = Content.assemble((f"{mark.sign} {mark.word}", mark.style), f"  {aside}" if aside else "")
    lines = [head, *_below(view, in_stage, width)]
    return Content("\n").join(line.truncate(width, ellipsis=True) for line in lines[:3])


def _below(view: RunView, in_stage: float | None, width: int) -> list[Content]:
    match view.state_name:
        case "none":
            return []
        case "running":
            return [_progress(view, width), Content(_pace(view, in_stage))]
        case "queued":
            return [Content("waits for its turn")]
        case "finished":
            return [_scores(view), _gates(view)]
        case _:
            reason = Content(view.state.reason if view.state and view.state.reason else "no reason was given")
            return [_scores(view), reason] if view.evaluation else [reason]


def _progress(view: RunView, width: int) -> Content:
    fraction = fraction_done(view)
    if fraction is None:
        return Content(view.stage_note)
    return Content.assemble((bar(fraction, max(4, width - 5)), "$text-accent"), f" {100 * fraction:3.0f}%")


def _pace(view: RunView, in_stage: float | None) -> str:
    left = training_seconds_left(view)
    if left is not None:
        loss = f"  loss {number(view.losses.last_y)}" if view.losses else ""
        return f"ETA {duration(left)}{loss}"
    took = duration(in_stage) if in_stage is not None else ""
    if view.progress:
        done = f"{view.progress.done:,} of {view.progress.total:,} {view.progress.unit}"
        return f"{done}, {took}" if took else done
    return f"for {took}" if took else ""


def _scores(view: RunView) -> Content:
    if view.evaluation is None:
        return Content("not evaluated")
    top1, pooled = view.evaluation.top1, view.evaluation.mean_pool_top1
    return Content.assemble("top-1 ", (percent(top1), "bold"), f", pooling {percent(pooled)}")


def _gates(view: RunView) -> Content:
    if view.failed_gates is None:
        return Content("")
    if not view.failed_gates:
        return Content("passes every gate")
    from console.results.records import GATE_LABELS  # not needed for the first paint

    failed = ", ".join(GATE_LABELS.get(gate, gate) for gate in view.failed_gates)
    return Content.styled(f"fails {failed}", "$text-error")


def _homecoming(sync: SyncState) -> str:
    match sync.status:
        case "syncing":
            return f"{size(sync.bytes_done)} here"
        case "pulling":
            return f"coming {100 * sync.bytes_done / sync.bytes_total:.0f}%" if sync.bytes_total else "coming"
        case "synced":
            return "at home"
        case "damaged":
            return "damaged"
        case "not synced":
            return ""
