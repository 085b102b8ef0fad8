"""``make bench``: every comparison, as a table and in ``bench.json``."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from console.commands.output import table
from tests.bench import (
    chart_redraw,
    evaluator,
    first_paint,
    nearest_negatives,
    ragged_head,
    run_view,
    sync_big_file,
    sync_no_op,
    sync_small_files,
)

BENCHES = (
    first_paint,
    run_view,
    chart_redraw,
    ragged_head,
    nearest_negatives,
    evaluator,
    sync_no_op,
    sync_small_files,
    sync_big_file,
)

COLUMNS = ("name", "ours", "peer", "ratio", "goal", "met", "spread", "note")


def main() -> None:
    rows = []
    for bench in BENCHES:
        print(f"{bench.__name__.rpartition('.')[2]} ...", file=sys.stderr, flush=True)
        rows.append(bench.measure())
    Path("bench.json").write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")
    shown = [[_shown(getattr(one, column)) for column in COLUMNS] for one in rows]
    print(table(COLUMNS, shown))


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


main()
