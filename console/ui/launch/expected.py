"""What the chosen runs are expected to take, in words; nothing where it is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from console.format import duration
from console.runs.estimates import MeasuredRuns, estimate
from console.runs.snapshot import Snapshot
from engine.contract.settings import RunId, Settings


def expected_text(
    snapshot: Snapshot,
    known: Mapping[RunId, Settings],
    planned: Mapping[RunId, Settings],
    host_time: float | None,
) -> str:
    """``about 1:20:00 until these have ended, about 2.10 EUR``; "" where that is not known.

    Args:
        known: settings of the runs that ``snapshot`` has; what these took is the measure.
        planned: settings of the runs to be launched.
    """
    measured = MeasuredRuns(known, snapshot.runs)
    expected = measured.expected_of_all(known) | measured.expected_of_all(planned)
    runs: Sequence[RunId] = tuple(planned)
    before = estimate(snapshot, expected, host_time)
    after = estimate(snapshot, expected, host_time, runs)
    if not runs or any(run not in after.finish_in for run in runs):
        return ""
    text = f"about {duration(max(after.finish_in[run] for run in runs))} until these have ended"
    if before.cost is not None and after.cost is not None:
        text += f", about {max(0.0, after.cost - before.cost):.2f} {after.currency}"
    return text
