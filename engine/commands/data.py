"""``qllm-engine data``: obtains WordNet, builds the editions, shows them, and checks files of the user's own."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from engine.commands.options import add_settings, check_wordnet, device_of, experiment_of, paths_of, workspace_of
from engine.contract.bad_input import BadInput
from engine.contract.settings import resolve, run_ids
from engine.data.formats.check import as_json, check_files, table
from engine.data.formats.tally import Tally


def data_check(files: Sequence[Path], quarantine: Path | None, *, as_one_json: bool) -> None:
    """Check ``files`` and print a table for each, or one JSON object for all.

    Raises:
        BadInput: a file cannot be read, holds no records, or has too many of them in quarantine.
    """
    tallies: list[Tally] = []
    for tally in check_files(files, quarantine):
        tallies.append(tally)
        if not as_one_json:
            print(table(tally), flush=True)
    if as_one_json:
        print(json.dumps(as_json(tallies), indent=1))
    refused: list[BadInput] = []
    for tally in tallies:
        try:
            tally.refuse_if_bad()
        except BadInput as error:
            refused.append(error)
    if refused:
        first = refused[0]
        more = f" (and {len(refused) - 1} more of the files fail)" if len(refused) > 1 else ""
        raise BadInput(first.message + more, file=first.file, line=first.line)


DONE = 0


def add_data(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command with its own commands to ``commands``."""
    data = commands.add_parser("data", help="WordNet, what is built from it, and files of your own").add_subparsers(
        required=True, metavar="COMMAND"
    )
    obtain = data.add_parser("obtain", help="find WordNet or download it")
    obtain.add_argument("--into", type=Path, metavar="DIR", help="where to put it")
    obtain.set_defaults(command=_data_obtain)
    gate = data.add_parser(
        "check",
        help="what the integrity gate makes of files of bundles or items: kept, repaired, quarantined",
        epilog="exits with 2 when more than 20% of a file's records are quarantined, or a file cannot be read",
    )
    gate.add_argument("files", nargs="+", type=Path, metavar="FILE", help="JSON Lines of any of the known formats")
    gate.add_argument("--json", action="store_true", help="one JSON object, with every line number")
    gate.add_argument("--quarantine", type=Path, metavar="DIR", help="keep quarantined lines there, with the reasons")
    gate.set_defaults(command=_data_check)
    build = data.add_parser("build", help="build the data of a profile's first run, and encode its texts")
    add_settings(build)
    build.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    build.add_argument("--edition", choices=("v2.2", "v2.3", "enriched", "all"), help="what --out gets (default: all)")
    build.add_argument("--out", type=Path, metavar="DIR", help="write it there too, as JSON Lines in the usual formats")
    build.set_defaults(command=_data_build)
    show = data.add_parser("show", help="random bundles of what `data build --out` wrote, as Markdown tables")
    show.add_argument("folder", type=Path, metavar="DIR", help="what `data build --out` wrote")
    show.add_argument("--edition", choices=("v2.2", "v2.3", "enriched"), help="one edition (default: all there are)")
    show.add_argument("--count", type=int, default=10, help="bundles of each edition (default: 10)")
    show.add_argument("--seed", type=int, default=0, help="of the choice (default: 0)")
    show.set_defaults(command=_data_show)


def _data_obtain(options: argparse.Namespace) -> int:
    from engine.data.wordnet.database import default_place
    from engine.data.wordnet.obtain import obtain

    print(obtain(options.into or default_place()))
    return DONE


def _data_check(options: argparse.Namespace) -> int:
    pass

    data_check(options.files, options.quarantine, as_one_json=options.json)
    return DONE


def _data_build(options: argparse.Namespace) -> int:
    experiment = experiment_of(options)
    first = run_ids(experiment, options.profile)[0]
    settings = resolve(experiment, options.profile, first)
    if options.out is not None:
        from engine.data.formats.export import check_destination

        # what is written is what was built, never files of the user's own
        settings = msgspec.structs.replace(settings, edition="enriched", inputs=())
        check_destination(options.out)
    elif options.edition is not None:
        raise BadInput("says what --out gets; give --out too", field="--edition")
    if settings.builds:
        check_wordnet()
    device = device_of(options.device)
    from engine.encoder.encoder import Encoder
    from engine.encoder.token_cache import TokenCache, cache_folder
    from engine.pipeline.event_log import line_of
    from engine.pipeline.prepare import prepare_dataset

    workspace = workspace_of(options)
    encoder = Encoder(settings.encoder, device)
    preparing = prepare_dataset(
        settings, workspace, TokenCache(cache_folder(workspace, encoder), encoder), paths_of(experiment)
    )
    while True:
        try:
            print(line_of(next(preparing)), flush=True)
        except StopIteration as end:
            if options.out is not None:
                from engine.data.formats.export import export

                export(end.value, options.edition or "all", options.out, experiment, options.profile)
            print(options.out or end.value)
            return DONE


def _data_show(options: argparse.Namespace) -> int:
    from engine.data.formats.show import show

    print(show(options.folder, options.edition, options.count, options.seed), end="")
    return DONE
