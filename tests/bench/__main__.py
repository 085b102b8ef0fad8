"""``make bench``: every comparison, as a table and in ``bench.json``."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from console.commands.output import table
from tests.bench import (
    chart_redraw,
    crossed_bootstrap,
    evaluator,
    first_paint,
    idle_cost,
    live_load,
    live_memory,
    log_line,
    log_search,
    many_results,
    nearest_negatives,
    ragged_head,
    run_view,
    sync_big_file,
    sync_no_op,
    sync_small_files,
    training_step,
)

BENCHES = (
    first_paint.measure,
    idle_cost.finished,
    idle_cost.active,
    run_view.measure,
    chart_redraw.measure,
    chart_redraw.cold,
    chart_redraw.unchanged,
    ragged_head.measure,
    training_step.sense_head,
    training_step.residual_head,
    nearest_negatives.measure,
    evaluator.measure,
    crossed_bootstrap.measure,
    many_results.measure,
    log_line.measure,
    log_search.first_hit,
    log_search.memory,
    live_load.measure,
    live_memory.measure,
    sync_no_op.measure,
    sync_small_files.measure,
    sync_big_file.measure,
)

COLUMNS = ("name", "ours", "peer", "ratio", "goal", "met", "spread", "note")


def main() -> None:
    rows = []
    for measure in BENCHES:
        print(f"{measure.__module__.rpartition('.')[2]} ...", file=sys.stderr, flush=True)
        rows.append(measure())
    Path("bench.json").write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")
    shown = [[_shown(getattr(one, column)) for column in COLUMNS] for one in rows]
    print(table(COLUMNS, shown))


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


main()
