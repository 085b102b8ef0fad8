"""Options of the commands that read the local copies and ask no host: results, compare, report, items, decisions, decide."""

from __future__ import annotations

import argparse

from console.commands.parser import Commands, Parser, chosen_options, count, decimal, fraction
from engine.contract.local_paths import local_path

MAX_SPEED = 100_000


def add_result_commands(commands: Commands, parents: list[Parser]) -> None:
    """Add the commands; ``parents`` are the options that all of them have."""
    _add_results(commands, parents)
    _add_curves(commands, [*parents, chosen_options()])
    _add_items(commands, parents)
    _add_decisions(commands, parents)
    _add_derive(commands, parents)
    _add_schema(commands, parents[0])


def add_view(commands: Commands) -> None:
    """Add the command that opens the console on local copies alone."""
    view = commands.add_parser("view", help="open the console on local copies alone; asks no host")
    view.add_argument(
        "folder",
        metavar="DIR",
        type=local_path,
        help="a runs folder, the folder of an experiment in it, or a copy of one",
    )
    view.add_argument(
        "--experiment",
        metavar="FILE",
        type=local_path,
        default=argparse.SUPPRESS,
        help="experiment file (default: what is kept in DIR)",
    )
    view.add_argument("--replay", action="store_true", help="replay the runs from their first launch on")
    view.add_argument(
        "--speed", metavar="X", type=_speed, default=60.0, help="seconds of the replay in one second (default: 60)"
    )


def _speed(text: str) -> float:
    """Parse the speed of a replay: ``60`` or ``60x``."""
    wanted = f"a number above 0, at most {MAX_SPEED:,}"
    return decimal(text.removesuffix("x"), wanted, lambda speed: 0 < speed <= MAX_SPEED)


def _add_results(commands: Commands, parents: list[Parser]) -> None:
    written = Parser(add_help=False)
    formats = written.add_mutually_exclusive_group()
    for name, what in (
        ("markdown", "Markdown"),
        ("latex", "a LaTeX document"),
        ("csv", "CSV with a row for each number"),
    ):
        formats.add_argument(f"--{name}", action="store_true", help=f"print {what} on stdout")
    results = commands.add_parser(
        "results",
        parents=[*parents, written],
        help="print the results of the synced runs and the verdict; asks no host",
    )
    results.add_argument(
        "--exit-code", action="store_true", help="exit with 5 where nothing is to be shipped, with 7 if undecided"
    )
    compare = commands.add_parser("compare", parents=[*parents, written], help="print one comparison in full")
    compare.add_argument("ours", metavar="OURS", help="a condition, such as B")
    compare.add_argument("theirs", metavar="THEIRS", help="the condition it is compared with, or mean_pool")
    page = commands.add_parser(
        "report", parents=parents, help="write the results as one HTML page that needs no network"
    )
    page.add_argument("--html", metavar="FILE", type=local_path, required=True, help="the page, replaced if it exists")


def _add_curves(commands: Commands, parents: list[Parser]) -> None:
    curves = commands.add_parser("curves", parents=parents, help="print what the synced runs reported over time")
    formats = curves.add_mutually_exclusive_group()
    formats.add_argument("--metrics", action="store_true", help="only list the metrics that there are")
    formats.add_argument("--csv", action="store_true", help="print CSV, a row for each point")
    formats.add_argument(
        "--svg", metavar="FILE", type=local_path, help="write the chart as a picture, replaced if it exists"
    )
    curves.add_argument("--metric", action="append", metavar="NAME", help="a metric (default: loss); may be repeated")
    curves.add_argument("--x", choices=("step", "epoch", "elapsed"), default="step", help="x axis (default: step)")
    curves.add_argument("--mean", action="store_true", help="mean over seeds of each condition, with its band")
    curves.add_argument(
        "--spread",
        choices=("sd", "range"),
        default="sd",
        help="what the band shows: sd (default) or range",
    )
    curves.add_argument("--smoothing", type=fraction, metavar="W", default=0.0, help="weight of the average, 0 to 0.99")
    curves.add_argument("--log", action="store_true", help="logarithmic scale of the chart")


def _add_items(commands: Commands, parents: list[Parser]) -> None:
    items = commands.add_parser("items", parents=parents, help="print the evaluation items of the synced runs")
    changed = items.add_mutually_exclusive_group()
    changed.add_argument("--fixed-by", metavar="NAME", help="items that this condition ranks right and another wrong")
    changed.add_argument("--broken-by", metavar="NAME", help="items that this condition ranks wrong and another right")
    items.add_argument("--over", metavar="NAME", help="the other condition (default: as the experiment compares)")
    items.add_argument(
        "--by",
        choices=("majority", "margin"),
        default="majority",
        help="what is right: most of its seeds (default), or a mean margin above 0",
    )
    items.add_argument("--lemma", metavar="WORD", default="", help="only items of this lemma")
    items.add_argument("--reason", metavar="CODE", default="", help="only killers with this reason code")
    items.add_argument("--tier", metavar="NAME", default="", help="only items of this tier")
    items.add_argument("--kind", choices=("retrieval", "coherence"), default="", help="only items of this kind")


def _add_derive(commands: Commands, parents: list[Parser]) -> None:
    derive = commands.add_parser(
        "derive", parents=parents, help="list the next steps, or add the condition or the seeds of one"
    )
    derive.add_argument("step", nargs="?", type=count, metavar="STEP", help="number of a step (default: list them)")
    derive.add_argument("--write", action="store_true", help="add it to the experiment, for good (default: print it)")
    derive.add_argument(
        "--parent", metavar="NAME", default="", help="condition to derive from, where the step names several"
    )
    derive.add_argument(
        "--change", metavar="FILE", type=local_path, help="TOML of what differs (default: as the step says)"
    )
    derive.add_argument("--reason", metavar="TEXT", default="", help="why (default: the title of the step)")


def _add_schema(commands: Commands, shared: Parser) -> None:
    schema = commands.add_parser("schema", parents=[shared], help="print the JSON Schema of what a command prints")
    schema.add_argument("name", nargs="?", metavar="NAME", help="a schema (default: list them)")


def _add_decisions(commands: Commands, parents: list[Parser]) -> None:
    commands.add_parser(
        "decisions", parents=parents, help="print what was decided on the results, by whom, when and why"
    )
    decide = commands.add_parser("decide", parents=parents, help="record a decision on the results as they are now")
    decide.add_argument("decision", choices=("ship", "fall-back", "do-not-ship", "go-on"), help="what is decided")
    decide.add_argument("--reason", dest="why", metavar="TEXT", required=True, help="why")
    decide.add_argument(
        "--condition", dest="decided_condition", metavar="NAME", default="", help="what is shipped, or fallen back to"
    )
