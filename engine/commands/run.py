"""``qllm-engine run``, ``train`` and ``evaluate``: the pipeline of one run, whole or step by step."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from engine.contract.run_folder import RunFolder
from engine.contract.settings import RunId, Settings, encoders_of, read_spec, resolve, run_ids

if TYPE_CHECKING:
    from engine.contract.events import Body

DONE, BLOCKED, FAILED = 0, 5, 6


def add_run(commands: argparse._SubParsersAction[Any]) -> None:
    """Add ``run``, ``train`` and ``evaluate``."""
    for name, evaluation, summary in (
        ("run", True, "the whole pipeline of one run: prepare, train, evaluate"),
        ("train", False, "prepare and train one run, without evaluating it"),
    ):
        run = commands.add_parser(name, help=summary)
        add_settings(run)
        run.add_argument("--condition", required=True, help="such as A")
        run.add_argument("--seed", required=True, type=int)
        add_device(run)
        run.add_argument("--resume", action="store_true", help="resume the run in --output from its checkpoint")
        run.add_argument("--output", required=True, type=Path, metavar="DIR", help="the run's folder")
        if evaluation:
            _add_strict(run)
        run.set_defaults(command=_run, evaluation=evaluation, strict=False)

    evaluate = commands.add_parser(
        "evaluate",
        help="score a trained run's checkpoint, or frozen mean pooling alone",
        description="Write items.parquet, attention.parquet and metrics.json of a trained run, or, without RUN_FOLDER, "
        "of the experiment's frozen mean pooling.",
    )
    evaluate.add_argument("run_folder", nargs="?", type=Path, metavar="RUN_FOLDER", help="a run that has been trained")
    add_settings(evaluate)
    add_device(evaluate)
    _add_strict(evaluate)
    evaluate.add_argument("--output", type=Path, metavar="DIR", help="default: RUN_FOLDER, if it is not evaluated yet")
    evaluate.add_argument(
        "--confirm",
        metavar="REASON",
        help="score the sealed confirm split instead, for a decision; who, when and REASON are recorded beside the scores",
    )
    evaluate.set_defaults(command=_evaluate, profile=None)


def _add_strict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strict", action="store_true", help="exit with 5 when a ship blocker failed")


def _run(options: argparse.Namespace) -> int:
    experiment = experiment_of(options)
    settings = resolve(experiment, options.profile, RunId(options.condition, options.seed))
    folder, workspace, files = RunFolder(options.output), workspace_of(options), paths_of(experiment)
    if folder.events.exists() and not options.resume:
        raise BadInput("holds a run already; give --resume to resume it, or another folder", file=folder.root)
    with _device_for(settings, folder, options) as device:
        from engine.pipeline.run import run_pipeline

        events = run_pipeline(
            settings,
            folder,
            workspace,
            device,
            files,
            encoders=encoders_of(experiment, options.profile),
            evaluation=options.evaluation,
        )
        return _follow(events, folder, strict=options.strict)


def _evaluate(options: argparse.Namespace) -> int:
    run = RunFolder(options.run_folder) if options.run_folder else None
    if not (options.run_folder or options.output):
        raise BadInput("give RUN_FOLDER to evaluate a run, or --output DIR to evaluate mean pooling", field="--output")
    if options.confirm is not None:
        if not options.confirm.strip():
            raise BadInput("give the decision that the scores are for", field="--confirm")
        if options.output is None:
            raise BadInput("--confirm needs a folder of its own for its scores", field="--output")
    output, workspace = RunFolder(options.output or options.run_folder), workspace_of(options)
    _check_writes_over_nothing(output, run)
    if run is None:
        experiment, profile = experiment_of(options), options.profile or "full"
        files = paths_of(experiment)
        # any run will do: all share the encoder and the evaluation
        settings = resolve(experiment, profile, run_ids(experiment, profile)[0])
    else:
        if options.profile is not None:
            raise BadInput("RUN_FOLDER has its own settings; give either", field="--profile")
        settings = read_spec(run.spec).settings
        files = paths_of(experiment_of(options)) if settings.inputs else {}
        for file in settings.inputs:
            if file.sha256 not in files:
                message = f"the experiment names no file with the content that {file.name} had in this run"
                raise BadInput(message, field="--experiment")
    with _device_for(settings, output, options) as device:
        from engine.pipeline.evaluate import evaluate_mean_pool, evaluate_run

        if run is None:
            events = evaluate_mean_pool(settings, output, workspace, device, files, options.confirm)
        else:
            events = evaluate_run(run, output, workspace, device, files, options.confirm)
        return _follow(events, output, strict=options.strict)


def _check_writes_over_nothing(output: RunFolder, run: RunFolder | None) -> None:
    """Refuse an output folder that holds an evaluation, or a run other than ``run``, the one to be evaluated."""
    same = run is not None and output.root.resolve() == run.root.resolve()
    for refused, what in (
        (output.manifest.exists(), "is a sealed run"),
        (output.metrics.exists(), "holds an evaluation already"),
        (output.spec.exists() and not same, "holds another run"),
    ):
        if refused:
            raise BadInput(f"{what}; give another folder with --output", file=output.root)


@contextmanager
def _device_for(settings: Settings, output: RunFolder, options: argparse.Namespace) -> Iterator[str]:
    """The device for the pipeline in the block, which may make the folder ``output``: on bad input it is removed again."""
    if settings.needs_wordnet:
        check_wordnet()
    created = not output.root.exists()
    try:
        yield device_of(options.device)
    except BadInput:
        if created:
            shutil.rmtree(output.root, ignore_errors=True)
        raise


def _follow(events: Iterable[Body], output: RunFolder, *, strict: bool) -> int:
    """Write each event to ``events.jsonl`` and as a line of text to standard output; returns the exit code."""
    from engine.contract.events import End
    from engine.pipeline.event_log import EventWriter, line_of
    from engine.training.loop import TrainingFailed

    writer = EventWriter(output.events)
    failed_gates: tuple[str, ...] = ()
    try:
        for body in events:
            writer.write(body)
            if line := line_of(body):
                print(line, flush=True)
            if isinstance(body, End):
                failed_gates = body.failed_gates
    except TrainingFailed as error:
        print(f"qllm-engine: error: training failed: {error}", file=sys.stderr)
        return FAILED
    return BLOCKED if failed_gates and strict else DONE
