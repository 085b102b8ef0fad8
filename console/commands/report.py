"""``qllm-console report``: the results as a page to keep, print or send."""

from __future__ import annotations

from datetime import UTC, datetime

from console import exit_codes
from console.commands.context import Context, absolute
from console.commands.output import report as report_line
from console.commands.results import read_report
from engine.contract.durable import write_durably


def report(context: Context) -> int:
    """Write the page that ``--html`` names; no host is contacted.

    Raises:
        BadInput: the chart library is not installed.
        OSError: the page cannot be written.
    """
    from console.results.report.html import as_html

    path = absolute(context.options.html, "--html")
    found = read_report(context)
    title = f"Results of {context.experiment.name}, {context.profile}"
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    write_durably(path, as_html(found, title, now).encode())
    report_line(f"written: {path}")
    return exit_codes.DONE
