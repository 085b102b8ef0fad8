"""``qllm-console decisions`` and ``decide``: the recorded decisions, and one more."""

from __future__ import annotations

from msgspec import structs

from console import exit_codes
from console.commands.answers import print_json
from console.commands.context import Context
from console.commands.output import print_line, report
from console.commands.results import local_results
from engine.contract.bad_input import BadInput
from engine.contract.experiment import folder_name


def decisions(context: Context) -> int:
    """Print the decisions on the experiment and profile, oldest first; no host is contacted.

    Returns:
        0; 1 if a line of the file is damaged, which stderr names.
    """
    from console.commands.result_answers import DecisionsAnswer, RecordedDecision
    from console.results.next_steps.decisions import CHANGED, is_outdated, read_decisions

    log = read_decisions(context.runs_dir / folder_name(context.experiment, context.profile))
    now = local_results(context).report().analysis.results_fingerprint if log.decisions else ""
    if context.options.json:
        found = tuple(
            RecordedDecision(**structs.asdict(one), results_have_changed=is_outdated(one, now)) for one in log.decisions
        )
        print_json("decisions", "decisions", DecisionsAnswer(found, now))
    elif not log.decisions:
        print_line("No decision is recorded yet.")
    for one in log.decisions if not context.options.json else ():
        mark = f"  ! {CHANGED}" if is_outdated(one, now) else ""
        print_line(f"{one.at}  {one.who}  {one.text}: {one.reason}{mark}")
        print_line(f"    verdict then: {one.verdict} ({one.runs} runs). {one.summary}")
    for problem in log.problems:
        report(f"qllm-console: {problem}")
    return exit_codes.FAILED if log.problems else exit_codes.DONE


def decide(context: Context) -> int:
    """Record the decision that the options say on the results as they are now, and print it; no host is contacted."""
    from console.results.next_steps.decisions import decide_now

    options, local = context.options, local_results(context)
    if options.read_only:
        raise BadInput("no decision is recorded", field="--read-only")
    found = local.report()
    kind = options.decision.replace("-", " ")
    decision = decide_now(found.results, found.analysis, kind, options.decided_condition, options.why)
    local.record_decision(decision)
    if options.json:
        print_json("decision", "decide", decision)
    else:
        print_line(f"Recorded: {decision.text}. The verdict is: {decision.verdict}.")
    return exit_codes.DONE
