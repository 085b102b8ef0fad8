"""``qllm-engine data``: obtain WordNet, build the editions, show them, check users' files, write a run's killers."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from engine.commands.options import (
    add_device,
    add_settings,
    check_wordnet,
    device_of,
    experiment_of,
    paths_of,
    workspace_of,
)
from engine.contract.bad_input import BadInput
from engine.contract.experiment import Edition
from engine.contract.local_paths import local_path
from engine.contract.settings import encoders_of, resolve, run_ids

if TYPE_CHECKING:
    from engine.data.formats.gate import FileReport

DONE = 0


def add_data(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command ``data`` to the parser, with its subcommands ``obtain``, ``check``, ``build``, ``show`` and ``killers``."""
    data = commands.add_parser(
        "data", help="obtain WordNet, build and show the editions, check your own files, write killers"
    ).add_subparsers(required=True, metavar="COMMAND")
    obtain = data.add_parser("obtain", help="find WordNet or download it")
    obtain.add_argument("--into", type=local_path, metavar="DIR", help="folder to put it in")
    obtain.set_defaults(command=_data_obtain)
    gate = data.add_parser(
        "check",
        help="check your own files of bundles or items: lines kept, repaired, quarantined",
        epilog="exits with 2 when more than 20% of a file's records are quarantined, or a file cannot be read",
    )
    gate.add_argument(
        "files", nargs="+", type=local_path, metavar="FILE", help="JSON Lines of any of the known formats"
    )
    gate.add_argument("--json", action="store_true", help="one JSON object, with every line number")
    gate.add_argument(
        "--quarantine", type=local_path, metavar="DIR", help="write quarantined lines to this folder, with the reasons"
    )
    gate.set_defaults(command=_data_check)
    build = data.add_parser("build", help="build the data of a profile's first run, and encode its texts")
    add_settings(build)
    add_device(build)
    editions = get_args(Edition)
    build.add_argument("--edition", choices=(*editions, "all"), help="edition that --out writes (default: all)")
    build.add_argument("--out", type=local_path, metavar="DIR", help="also write it to this folder as JSON Lines")
    build.set_defaults(command=_data_build)
    show = data.add_parser("show", help="show random bundles that `data build --out` wrote, as Markdown tables")
    show.add_argument("folder", type=local_path, metavar="DIR", help="folder that `data build --out` wrote")
    show.add_argument("--edition", choices=editions, help="only this edition (default: all in the folder)")
    show.add_argument("--count", type=int, default=10, help="number of bundles per edition (default: 10)")
    show.add_argument("--seed", type=int, default=0, help="seed of the random choice (default: 0)")
    show.set_defaults(command=_data_show)
    killers = data.add_parser(
        "killers", help="write the retrieval items that a run fails badly, in the killers' format"
    )
    killers.add_argument("run_folder", type=local_path, metavar="RUN_FOLDER", help="a run that has been evaluated")
    killers.add_argument("--out", type=local_path, required=True, metavar="FILE", help="file to write, as JSON Lines")
    killers.set_defaults(command=_data_killers)


def _data_obtain(options: argparse.Namespace) -> int:
    from engine.data.wordnet.database import default_folder
    from engine.data.wordnet.obtain import obtain

    print(obtain(options.into or default_folder()))
    return DONE


def _data_check(options: argparse.Namespace) -> int:
    """Check the files and print a report for each, or one JSON object for all.

    Raises:
        BadInput: a file cannot be read, holds no records, or has too many in quarantine.
    """
    from engine.data.formats.check import check_files, report_rows, reports_as_json  # numpy, which help does without

    reports: list[FileReport] = []
    errors: list[BadInput] = []
    for report in check_files(options.files, options.quarantine):
        reports.append(report)
        if not options.json:
            print("\n".join(report_rows(report)), flush=True)
        try:
            report.raise_if_unusable()
        except BadInput as error:
            errors.append(error)
    if options.json:
        print(json.dumps(reports_as_json(reports), indent=1))
    if errors:
        first = errors[0]
        more = f" (and {len(errors) - 1} more of the files fail)" if len(errors) > 1 else ""
        raise BadInput(first.message + more, file=first.file, line=first.line)
    return DONE


def _data_build(options: argparse.Namespace) -> int:
    experiment = experiment_of(options)
    first = run_ids(experiment, options.profile)[0]
    settings = resolve(experiment, options.profile, first)
    if options.out is not None:
        from engine.data.formats.export import check_destination, export

        # --out writes the built editions only, so users' files named by the experiment are left out
        settings = msgspec.structs.replace(settings, edition="enriched", inputs=())
        check_destination(options.out)
    elif options.edition is not None:
        raise BadInput("needs --out: it says which edition --out writes", field="--edition")
    if settings.needs_wordnet:
        check_wordnet()
    device = device_of(options.device)
    from engine.pipeline.event_log import line_of
    from engine.pipeline.prepare import prepare_dataset, reference_cache

    workspace = workspace_of(options)
    reference = reference_cache(settings, workspace, device, encoders_of(experiment, options.profile))
    preparing = prepare_dataset(settings, workspace, reference, paths_of(experiment))
    while True:
        try:
            print(line_of(next(preparing)), flush=True)
        except StopIteration as end:
            if options.out is not None:
                export(end.value, options.edition or "all", options.out, experiment, options.profile)
            print(options.out or end.value)
            return DONE


def _data_killers(options: argparse.Namespace) -> int:
    """Write the killers of a run; a file that holds something else is not overwritten.

    Raises:
        BadInput: the run has not been evaluated, or the file holds something else.
    """
    from engine.contract.durable import write_durably
    from engine.contract.run_folder import RunFolder
    from engine.data.dataset_files import encode_lines
    from engine.data.formats.evaluation_lines import killer_line
    from engine.evaluation.item_files import read_killers

    found = read_killers(RunFolder(options.run_folder).items)
    count = f"{len(found.killers):,} killers of {found.items:,} retrieval items"
    if not found.killers:
        print(f"{count}: nothing is written")
        return DONE
    content = encode_lines(killer_line(killer, lemma) for killer, lemma in found.killers)
    if options.out.exists() and options.out.read_bytes() != content:
        raise BadInput("exists already and holds something else; name a new file", file=options.out)
    write_durably(options.out, content)
    print(f"{count}: {options.out}")
    return DONE


def _data_show(options: argparse.Namespace) -> int:
    from engine.data.formats.export import show

    print(show(options.folder, options.edition, options.count, options.seed), end="")
    return DONE
