"""``qllm-console derive``: next steps that follow from the results, and the conditions or seeds that one of them adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console import exit_codes
from console.commands.answers import print_json
from console.commands.context import Context
from console.commands.output import print_line, report, table
from console.commands.results import local_results
from engine.contract.bad_input import BadInput
from engine.contract.toml_file import read_text

if TYPE_CHECKING:
    from console.results.next_steps.records import Change, NextStep


def derive(context: Context) -> int:
    """List the steps; with the number of one, print what it would add; with ``--write``, add that. Asks no host.

    Raises:
        BadInput: there is no such step, it adds nothing, or what is to be added does not fit.
    """
    from console.commands.result_answers import DerivedAnswer, NextStepsAnswer
    from console.results.next_steps.derive import Addition, change_text, draft, error_in_typed, origin, with_addition

    options = context.options
    found = local_results(context).report()
    steps = found.next_steps
    if options.step is None:
        if options.json:
            print_json("next-steps", "derive", NextStepsAnswer(steps))
        elif steps:
            print_line(_list(steps))
        else:
            report("no step yet: they follow from a complete condition")
        return exit_codes.DONE
    step, change = _change(steps, options.step, options.parent)
    experiment, profile = context.experiment, context.profile
    typed = change_text(experiment, profile, change) if options.change is None else read_text(options.change)
    made = origin(options.reason or step.title, profile, found.analysis.results_fingerprint)
    addition = Addition((), "")
    try:
        addition = draft(experiment, profile, change, typed, made)
        with_addition(context.experiment_file, addition, profile)
    except BadInput as error:
        raise BadInput(error_in_typed(error, addition, typed), file=options.change) from error
    if options.write:
        context.add(addition)
    if options.json:
        print_json("derived", "derive", DerivedAnswer(addition, options.write))
    else:
        print_line(addition.toml.rstrip("\n"))
        report(f"{'added' if options.write else 'would add'}: {addition.title}")
    return exit_codes.DONE


def _list(steps: tuple[NextStep, ...]) -> str:
    rows = [(str(one.order), one.status, ", ".join(map(_adds, one.changes)) or "-", one.title) for one in steps]
    return table(("step", "the data", "would add", "what"), rows)


def _adds(change: Change) -> str:
    return f"{change.more_seeds} seeds" if change.more_seeds else f"from {change.parent}"


def _change(steps: tuple[NextStep, ...], order: int, parent: str) -> tuple[NextStep, Change]:
    """The step of that number, and its change of the condition ``parent``, which only a step with several needs.

    Raises:
        BadInput: there is none, or it has to be said which.
    """
    step = next((one for one in steps if one.order == order), None)
    if step is None:
        known = ", ".join(str(one.order) for one in steps) or "none yet"
        raise BadInput(f"no step {order}; known: {known}", field="STEP")
    if not step.changes:
        raise BadInput(f"step {order} adds nothing to the experiment: {step.advice}", field="STEP")
    fitting = [one for one in step.changes if parent in ("", one.parent)]
    if len(fitting) != 1:
        known = ", ".join(one.parent for one in step.changes)
        raise BadInput(f"name the condition that it is derived from; known: {known}", field="--parent")
    return step, fitting[0]
