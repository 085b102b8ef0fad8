"""``qllm-console decide``: record a decision on the results as they are now. A module of its own because commands are
found by their name."""

from __future__ import annotations

from console import exit_codes
from console.commands.context import Context
from console.commands.output import print_line
from console.commands.results import read_report
from engine.contract.experiment import folder_name


def decide(context: Context) -> int:
    """Record what the options say, and print it; no host is contacted."""
    from console.results.next_steps.decisions import decide_now, record_decision

    options = context.options
    read = read_report(context)
    kind = options.decision.replace("-", " ")
    decision = decide_now(read.results, read.analysis, kind, options.decided_condition, options.why)
    record_decision(context.runs_dir / folder_name(context.experiment, context.profile), decision)
    print_line(f"Recorded: {decision.text}. The verdict is: {decision.verdict}.")
    return exit_codes.DONE
