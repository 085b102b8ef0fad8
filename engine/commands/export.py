"""``qllm-engine export``: a trained run as a folder for Sentence Transformers, and its curves for TensorBoard."""

from __future__ import annotations

import argparse
from typing import Any

from engine.commands.options import device_of
from engine.contract.bad_input import BadInput
from engine.contract.local_paths import local_path
from engine.contract.run_folder import RunFolder
from engine.contract.settings import read_spec

DONE = 0


def add_export(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command ``export`` to the parser."""
    export = commands.add_parser(
        "export",
        help="write a trained run as a folder that Sentence Transformers loads",
        description="Write DIR with the trained head, the code that reads texts with it, a model card (README.md) and "
        "the run's curves (curves.csv). SentenceTransformer(DIR, trust_remote_code=True) loads it.",
    )
    export.add_argument("run_folder", type=local_path, metavar="RUN", help="a run that has been trained")
    export.add_argument(
        "destination", type=local_path, metavar="DIR", help="folder to write; it must be empty or not exist"
    )
    export.add_argument(
        "--include-encoder",
        action="store_true",
        help="copy the encoder into DIR even if the Hugging Face hub has it (a packaged one or a folder always is)",
    )
    export.add_argument(
        "--tensorboard",
        type=local_path,
        metavar="LOGDIR",
        help="write the curves as TensorBoard events too, in a folder of LOGDIR with the run's name",
    )
    export.set_defaults(command=_export)


def _export(options: argparse.Namespace) -> int:
    run = RunFolder(options.run_folder)
    settings = read_spec(run.spec).settings  # first: nothing heavy is loaded for what is no run
    device_of("cpu")
    from engine.export.curves import curve_points, read_events
    from engine.export.model_folder import check_empty, read_run, write_model_folder
    from engine.export.tensorboard import check_tensorboard, write_tensorboard

    check_empty(options.destination)
    logs = None
    if options.tensorboard is not None:
        check_tensorboard()
        logs = options.tensorboard / str(settings.run)
        check_empty(logs)
        if logs.resolve() == options.destination.resolve():
            raise BadInput("is DIR itself; give another folder", field="--tensorboard")
    trained = read_run(run)
    if logs is not None:
        write_tensorboard(curve_points(read_events(run.events)), logs)
    write_model_folder(trained, run, options.destination, include_encoder=options.include_encoder)
    print(options.destination)
    return DONE
