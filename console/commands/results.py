"""``qllm-console results``: the results of the runs that are at home."""

from __future__ import annotations

from console import exit_codes
from console.commands.context import Context
from console.commands.output import print_line
from console.results.report import as_json, as_text
from console.results.summary import Results
from engine.contract.experiment import folder_name


def results(context: Context) -> int:
    """Print what the capsules at home say; no host is asked."""
    from console.results.collect import collect

    folder = context.runs_dir / folder_name(context.experiment, context.profile)
    print_results(collect(context.experiment, context.profile, folder), context.options.json)
    return exit_codes.DONE


def print_results(found: Results, json: bool) -> None:
    """On stdout, as JSON or as text."""
    print_line(as_json(found) if json else as_text(found))
