"""``qllm-console results``: the results of the runs that have a local copy."""

from __future__ import annotations

from console import exit_codes
from console.commands.context import Context
from console.commands.output import print_line
from console.results.records import Results
from console.results.report import as_json, as_text
from engine.contract.experiment import folder_name
from engine.contract.settings import run_ids


def results(context: Context) -> int:
    """Print the results of the local copies; no host is contacted."""
    from console.results.aggregate import aggregate
    from console.results.load import load

    folder = context.runs_dir / folder_name(context.experiment, context.profile)
    loaded = load(folder, run_ids(context.experiment, context.profile))
    print_results(aggregate(context.experiment, context.profile, loaded), context.options.json)
    return exit_codes.DONE


def print_results(results: Results, json: bool) -> None:
    """Print to stdout, as JSON or as text."""
    print_line(as_json(results) if json else as_text(results))
