"""``qllm-console results``, ``compare`` and ``report``: the results of the runs that have a local copy, printed or written."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from console import exit_codes
from console.commands.answers import ReportAnswer, print_json
from console.commands.context import Context, output_file
from console.commands.output import output_width, print_line, prints_ascii
from console.commands.output import report as report_line
from console.results.local_results import LocalResults
from console.results.report.page import json_fields, page, sections_text
from console.results.tables import LINE_WIDTH, Section
from engine.contract.bad_input import BadInput
from engine.contract.durable import write_durably
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
    found = local_results(context).report()
    print_report(found, context.options)
    if not found.results.any_evaluated:
        _name_profiles_with_runs(context)
    return VERDICT_CODES[found.analysis.verdict] if context.options.exit_code else exit_codes.DONE


def _name_profiles_with_runs(context: Context) -> None:
    """Name on stderr the other profiles that have local runs: ``full`` is the default, and the console runs ``demo``."""
    for name in context.experiment.profiles:
        folder = context.runs_dir / folder_name(context.experiment, name)
        if name != context.profile and any((folder / str(run)).is_dir() for run in run_ids(context.experiment, name)):
            report_line(f"qllm-console: profile {name} has local runs: --profile {name}")


def local_results(context: Context) -> LocalResults:
    """The local copies of the profile's runs."""
    folder = context.runs_dir / folder_name(context.experiment, context.profile)
    return LocalResults(folder, context.experiment, context.profile)


def compare(context: Context) -> int:
    """Print how the first condition differs from the second one, or from ``mean_pool``; no host is contacted.

    Raises:
        BadInput: there is no such condition.
    """
    from console.results.analysis.records import MEAN_POOL
    from console.results.report.pair import pair_report, pair_sections

    ours, theirs = context.options.ours, context.options.theirs
    local = local_results(context)
    whole = local.report()
    known = [one.condition for one in whole.results.conditions]
    for name, field in ((ours, "OURS"), (theirs, "THEIRS")):
        if name not in known and (name, field) != (MEAN_POOL, "THEIRS"):
            raise BadInput(f"no condition {name!r}; known: {', '.join((*known, MEAN_POOL))} (second)", field=field)
    if ours == theirs:
        raise BadInput("a condition is not compared with itself", field="THEIRS")
    pair = pair_report(context.experiment, local.load(), whole, ours, theirs)
    if context.options.json:
        print_json("comparison", "compare", pair)
    else:
        print_sections(pair_sections(pair), context.options, ascii_only=prints_ascii())
    return exit_codes.DONE


def report(context: Context) -> int:
    """Write the results as the page that ``--html`` names; no host is contacted.

    Raises:
        BadInput: the chart library is not installed.
        OSError: the page cannot be written.
    """
    from console.results.report.html import as_html

    path = output_file(context.options.html, "--html")
    title = f"Results of {context.experiment.name}, {context.profile}"
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    write_durably(path, as_html(local_results(context).report(), title, now).encode())
    if context.options.json:
        print_json("report", "report", ReportAnswer(str(path)))
    else:
        report_line(f"written: {path}")
    return exit_codes.DONE


def print_report(found: ExperimentReport, options: argparse.Namespace) -> None:
    """Print to stdout: as JSON, Markdown, LaTeX or CSV if an option says so, else as text."""
    if options.json:
        print_json("results", options.command, json_fields(found.results, found))
    else:
        print_sections(page(found.results, found), options, ascii_only=prints_ascii())


def print_sections(sections: Sequence[Section], options: argparse.Namespace, *, ascii_only: bool = False) -> None:
    """Print sections as Markdown, LaTeX or CSV if an option says so, else as text."""
    from console.results.report.markup import as_csv, as_latex, as_markdown

    for name, write in (("markdown", as_markdown), ("latex", as_latex), ("csv", as_csv)):
        if getattr(options, name, False):
            print_line(write(sections))
            return
    print_line(sections_text(sections, output_width(LINE_WIDTH), ascii_only))
