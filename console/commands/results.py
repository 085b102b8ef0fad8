"""``qllm-console results``: the results of the runs that have a local copy."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from console import exit_codes
from console.commands.context import Context
from console.commands.output import output_width, print_line, prints_ascii
from console.results.report.page import page
from console.results.report.text import as_json, sections_text
from console.results.tables import LINE_WIDTH, Section
from engine.contract.experiment import folder_name
from engine.contract.settings import run_ids

if TYPE_CHECKING:
    from console.results.experiment_report import ExperimentReport  # imports polars and numpy, which takes a while
    from console.results.load import LoadedRuns

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
    print_report(report, context.options)
    return VERDICT_CODES[report.analysis.verdict] if context.options.exit_code else exit_codes.DONE


def read_report(context: Context) -> ExperimentReport:
    """The report on the local copies of the profile's runs."""
    return load_report(context)[1]


def load_report(context: Context) -> tuple[LoadedRuns, ExperimentReport]:
    """The local copies of the profile's runs, and the report on them."""
    from console.results.aggregate import aggregate
    from console.results.experiment_report import report_of
    from console.results.load import load

    folder = context.runs_dir / folder_name(context.experiment, context.profile)
    loaded = load(folder, run_ids(context.experiment, context.profile))
    found = aggregate(context.experiment, context.profile, loaded)
    return loaded, report_of(context.experiment, context.profile, loaded, found, folder)


def print_report(report: ExperimentReport, options: argparse.Namespace) -> None:
    """Print to stdout: as JSON, Markdown, LaTeX or CSV if an option says so, else as text."""
    if options.json:
        print_line(as_json(report.results, report))
    else:
        print_sections(page(report.results, report), options, ascii_only=prints_ascii())


def print_sections(sections: Sequence[Section], options: argparse.Namespace, *, ascii_only: bool = False) -> None:
    """Print sections as Markdown, LaTeX or CSV if an option says so, else as text."""
    from console.results.report.markup import as_csv, as_latex, as_markdown

    for name, write in (("markdown", as_markdown), ("latex", as_latex), ("csv", as_csv)):
        if getattr(options, name, False):
            print_line(write(sections))
            return
    print_line(sections_text(sections, output_width(LINE_WIDTH), ascii_only))
