"""``qllm-console items``: the evaluation items of the synced runs, filtered; which conditions rank each right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console import exit_codes
from console.commands.answers import print_json
from console.commands.context import Context
from console.commands.output import print_line, table
from console.commands.results import local_results
from console.format import counted, number
from engine.contract.bad_input import BadInput

if TYPE_CHECKING:
    from console.commands.result_answers import ItemsAnswer
    from console.results.items.changes import ItemChanges
    from console.results.items.filter import ItemFilter
    from console.results.items.items import ItemRecord, ItemTable

_FACETS = ("kind", "tier", "reason")


def items(context: Context) -> int:
    """Print the items that pass the filter, most failures first; no host is contacted.

    Raises:
        BadInput: an option names what no synced run has.
    """
    from console.results.items.changes import item_changes
    from console.results.items.filter import select
    from console.results.items.items import item_records

    known = local_results(context).items()
    which = _filter(context, known)
    records = item_records(known, select(known, which))
    changes = item_changes(known, [(which.ours, which.theirs)]) if which.change else ()
    if context.options.json:
        print_json("items", "items", _answer(context, known, which, records, changes))
    else:
        print_line(_text(known, records, changes))
    return exit_codes.DONE


def _filter(context: Context, known: ItemTable) -> ItemFilter:
    """The filter that the options name."""
    from console.results.items.filter import ItemFilter, facet_values

    options = context.options
    for name in _FACETS:
        wanted, values = getattr(options, name), facet_values(known, name)
        if wanted and values and wanted not in values:
            raise BadInput(f"no item has {name} {wanted!r}; known: {', '.join(sorted(values))}", field=f"--{name}")
    ours = options.fixed_by or options.broken_by
    option = "--fixed-by" if options.fixed_by else "--broken-by"
    if options.over and not ours:
        raise BadInput("give --fixed-by or --broken-by with it", field="--over")
    if not ours:
        return ItemFilter(lemma=options.lemma, **{name: getattr(options, name) for name in _FACETS})
    theirs = options.over or next((theirs for name, theirs in known.pairs if name == ours), "")
    for condition, field in ((ours, option), (theirs, "--over")):
        if condition not in context.experiment.conditions and condition:
            names = ", ".join(context.experiment.conditions)
            raise BadInput(f"no condition {condition!r} in {context.experiment.name}; known: {names}", field=field)
    if ours not in known.conditions:
        raise BadInput(f"no synced run of condition {ours} has been evaluated", field=option)
    if not theirs or theirs == ours:
        raise BadInput(f"name the condition that {ours} is compared with", field="--over")
    if theirs not in known.conditions:
        raise BadInput(f"no synced run of condition {theirs} has been evaluated", field="--over")
    return ItemFilter(
        lemma=options.lemma,
        change="fixed" if options.fixed_by else "broken",
        ours=ours,
        theirs=theirs,
        basis=options.by,
        **{name: getattr(options, name) for name in _FACETS},
    )


def _answer(
    context: Context,
    known: ItemTable,
    which: ItemFilter,
    records: list[ItemRecord],
    changes: tuple[ItemChanges, ...],
) -> ItemsAnswer:
    from console.commands.result_answers import ItemsAnswer

    seeds = {name: tuple(run.seed for run in known.runs if run.condition == name) for name in known.conditions}
    names = context.experiment.name, context.profile
    return ItemsAnswer(*names, seeds, which, len(known.frame), len(records), changes, tuple(records))


def _text(known: ItemTable, records: list[ItemRecord], changes: tuple[ItemChanges, ...]) -> str:
    """What changed in a sentence a kind, and a line an item: seeds right of all by condition, as ``A 3/3``."""
    from console.results.items.changes import change_text

    if known.frame.is_empty():
        return "No synced run has been evaluated: there are no items."
    lines = [change_text(one) + "." for one in changes]
    lines.append(f"Showing {len(records):,} of {counted(len(known.frame), 'item')}.")
    if records:
        header = ("lemma", "tier", *known.conditions, "margin", "reason", "query")
        lines += ["", table(header, [_row(known, one) for one in records])]
    return "\n".join(lines)


def _row(known: ItemTable, one: ItemRecord) -> tuple[str, ...]:
    outcomes = (one.conditions.get(name) for name in known.conditions)
    right = (f"{of.right}/{of.seeds}" if of else "-" for of in outcomes)
    return (one.lemma, one.tier or one.kind, *right, number(one.margin), one.reason or "-", one.query)
