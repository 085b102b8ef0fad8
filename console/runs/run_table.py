"""The runs as a table of texts, for copying and export."""

from __future__ import annotations

from console.format import metric_label, number, percent
from console.plain_table import PlainTable
from console.runs.run_view import RunView, fraction_done
from console.runs.snapshot import Snapshot
from engine.contract.settings import RunId

HEADER = (
    "run",
    "state",
    "stage",
    "done %",
    "loss",
    "top-1 %",
    "top-3 %",
    "coherence %",
    "gates",
    "local copy",
    "reason",
)


def run_table(snapshot: Snapshot) -> PlainTable:
    """A row for each run, in the order of the experiment."""
    return PlainTable(HEADER, tuple(run_row(snapshot, run) for run in snapshot.runs))


def run_row(snapshot: Snapshot, run: RunId) -> tuple[str, ...]:
    """The row of ``run``: texts below ``HEADER``, empty for what is not known."""
    view, scores = snapshot.runs[run], snapshot.runs[run].evaluation
    done = fraction_done(view) if view.state_name == "running" else None
    return (
        run.label,
        "not launched" if view.state_name == "none" else view.state_name,
        view.stage if view.state_name == "running" else "",
        f"{100 * done:.0f}" if done is not None else "",
        number(view.losses.last_y) if view.losses else "",
        *(("", "", "") if scores is None else map(percent, (scores.top1, scores.top3, scores.coherence))),
        _gates(view),
        snapshot.sync_states[run].status,
        view.state.reason if view.state else "",
    )


def run_text(snapshot: Snapshot, run: RunId) -> str:
    """The row of ``run`` as one line, each value after its name."""
    name, state, *values = run_row(snapshot, run)
    known = [f"{title.removesuffix(' %')} {value}" for title, value in zip(HEADER[2:], values, strict=True) if value]
    return "  ".join([name, state, *known])


def _gates(view: RunView) -> str:
    if view.failed_gates is None:
        return ""
    return f"fails {', '.join(map(metric_label, view.failed_gates))}" if view.failed_gates else "passes"
