"""``qllm-engine run`` and ``train``: the pipeline of one run, whole or without its evaluation."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
from engine.contract.local_paths import local_path
from engine.contract.run_folder import RunFolder
from engine.contract.settings import RunId, Settings, encoders_of, resolve

if TYPE_CHECKING:
    from engine.contract.events import Body

DONE, MACHINE_FAILED, BLOCKED, FAILED = 0, 1, 5, 6


def add_run(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the commands ``run`` and ``train`` to the parser."""
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
        run.add_argument("--output", required=True, type=local_path, metavar="DIR", help="the run's folder")
        if evaluation:
            add_strict(run)
        run.set_defaults(command=_run, evaluation=evaluation, strict=False)


def add_strict(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--strict`` to a command."""
    parser.add_argument("--strict", action="store_true", help="exit with 5 when a ship blocker failed")


def _run(options: argparse.Namespace) -> int:
    experiment = experiment_of(options)
    settings = resolve(experiment, options.profile, RunId(options.condition, options.seed))
    folder, workspace, files = RunFolder(options.output), workspace_of(options), paths_of(experiment)
    if folder.events.exists() and not options.resume:
        raise BadInput("holds a run already; give --resume to resume it, or another folder", file=folder.root)
    with device_for(settings, folder, options) as device:
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
        return follow(events, folder, strict=options.strict)


@contextmanager
def device_for(settings: Settings, output: RunFolder, options: argparse.Namespace) -> Iterator[str]:
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


def follow(events: Iterable[Body], output: RunFolder, *, strict: bool) -> int:
    """Write each event to ``events.jsonl`` and as a line of the log to standard output; returns the exit code."""
    import torch

    from engine.contract.events import End
    from engine.pipeline.event_log import EventWriter, log_line
    from engine.training.loop import TrainingFailed

    writer = EventWriter(output.events)
    failed_gates: tuple[str, ...] = ()
    try:
        for body in events:
            event = writer.write(body)
            if line := log_line(event):
                print(line, flush=True)
            if isinstance(body, End):
                failed_gates = body.failed_gates
    except TrainingFailed as error:
        print(f"qllm-engine: error: training failed: {error}", file=sys.stderr)
        return FAILED
    except torch.OutOfMemoryError as error:  # else a traceback, whose last line alone tells what to do
        reason, *_ = str(error).splitlines() or [""]
        print(f"qllm-engine: error: the GPU is out of memory: {reason}".rstrip(": "), file=sys.stderr)
        return MACHINE_FAILED
    except MemoryError as error:
        print(f"qllm-engine: error: the host is out of memory: {error}".rstrip(": "), file=sys.stderr)
        return MACHINE_FAILED
    return BLOCKED if failed_gates and strict else DONE
