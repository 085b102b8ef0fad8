"""``qllm-console compare A B``: one comparison in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from console import exit_codes
from console.commands.context import Context
from console.commands.output import print_line, prints_ascii
from console.commands.results import load_report, print_sections
from engine.contract.bad_input import BadInput

if TYPE_CHECKING:
    from console.results.report.pair import PairReport

SCHEMA, VERSION = "qllm-console.comparison", 1


def compare(context: Context) -> int:
    """Print how the first condition differs from the second one, or from ``mean_pool``; no host is contacted.

    Raises:
        BadInput: there is no such condition.
    """
    from console.results.analysis.records import MEAN_POOL
    from console.results.report.pair import pair_report, pair_sections

    ours, theirs = context.options.ours, context.options.theirs
    loaded, report = load_report(context)
    known = [one.condition for one in report.results.conditions]
    for name, field in ((ours, "OURS"), (theirs, "THEIRS")):
        if name not in known and (name, field) != (MEAN_POOL, "THEIRS"):
            raise BadInput(f"no condition {name!r}; known: {', '.join((*known, MEAN_POOL))} (second)", field=field)
    if ours == theirs:
        raise BadInput("a condition is not compared with itself", field="THEIRS")
    pair = pair_report(context.experiment, loaded, report, ours, theirs)
    if context.options.json:
        print_line(_json(pair))
    else:
        print_sections(pair_sections(pair), context.options, ascii_only=prints_ascii())
    return exit_codes.DONE


def _json(pair: PairReport) -> str:
    from console.results.report.text import json_object

    return json_object(SCHEMA, VERSION, msgspec.to_builtins(pair))
