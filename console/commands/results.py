"""``qllm-console results``: the results of the runs that have a local copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console import exit_codes
from console.commands.context import Context
from console.commands.output import print_line
from console.results.records import Results
from console.results.report import as_json, as_text
from engine.contract.experiment import folder_name
from engine.contract.settings import run_ids

if TYPE_CHECKING:
    from console.results.experiment_report import ExperimentReport  # imports polars and numpy, which takes a while


VERDICT_CODES = {
    "ship": exit_codes.DONE,
    "do not ship": exit_codes.SHIP_BLOCKER,
    "undecided": exit_codes.UNDECIDED,
    "incomplete": exit_codes.UNDECIDED,
}


def results(context: Context) -> int:
    """Print the results of the local copies; no host is contacted.

    Returns:
        0; with ``--exit-code`` the verdict's code.
    """
    report = read_report(context)
    print_results(report.results, context.options.json)
    return VERDICT_CODES[report.analysis.verdict] if context.options.exit_code else exit_codes.DONE


def read_report(context: Context) -> ExperimentReport:
    """The report on the local copies of the profile's runs."""
    from console.results.aggregate import aggregate
    from console.results.experiment_report import report_of
    from console.results.load import load

    folder = context.runs_dir / folder_name(context.experiment, context.profile)
    loaded = load(folder, run_ids(context.experiment, context.profile))
    found = aggregate(context.experiment, context.profile, loaded)
    return report_of(context.experiment, context.profile, loaded, found, folder)


def print_results(results: Results, json: bool) -> None:
    """Print to stdout, as JSON or as text."""
    print_line(as_json(results) if json else as_text(results))
