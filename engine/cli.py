"""``qllm-engine``: what runs on the host. Bad input is one line and exit code 2, before anything heavy is imported."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from engine.commands.data import add_data
from engine.commands.options import add_settings, check_wordnet, device_of, experiment_of, paths_of, workspace_of
from engine.contract.bad_input import BadInput
from engine.contract.input_files import InputFile
from engine.contract.run_folder import RunFolder
from engine.contract.settings import RunId, Settings, resolve, run_ids

DONE, MACHINE_FAILED, BAD_INPUT, BLOCKED, FAILED = 0, 1, 2, 5, 6

_EXIT_CODES = """\
exit codes: 0 done; 1 the machine failed it (disk, permissions); 2 wrong usage or bad input; 5 a ship blocker failed
under --strict; 6 the loss was not finite; a signal ends it as that signal"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        options = _parser().parse_args(arguments)
        code: int = options.command(options)
    except BadInput as error:
        print(f"qllm-engine: error: {error}", file=sys.stderr)
        return BAD_INPUT
    except OSError as error:
        print(f"qllm-engine: error: {error}", file=sys.stderr)
        return MACHINE_FAILED
    except KeyboardInterrupt:
        return _die_of(signal.SIGINT)
    except Terminated:
        return _die_of(signal.SIGTERM)
    return code


class Terminated(BaseException):
    """SIGTERM came; unwinds the stack so that no temporary file stays."""


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated


def _die_of(number: signal.Signals) -> int:
    """End as the signal would have, so that whoever waits sees it."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other bad input is said."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="qllm-engine", description=__doc__, epilog=_EXIT_CODES)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="the whole pipeline of one run")
    add_settings(run)
    run.add_argument("--condition", required=True, help="such as A")
    run.add_argument("--seed", required=True, type=int)
    run.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    run.add_argument("--strict", action="store_true", help="exit with 5 when a ship blocker failed")
    run.add_argument("--resume", action="store_true", help="go on with the run that --output holds")
    run.add_argument("--output", required=True, type=Path, metavar="DIR", help="the run's folder")
    run.set_defaults(command=_run)

    check = commands.add_parser("check", help="whether this machine has what a run needs")
    add_settings(check)
    check.set_defaults(command=_check)

    add_data(commands)
    return parser


def _run(options: argparse.Namespace) -> int:
    experiment = experiment_of(options)
    settings = resolve(experiment, options.profile, RunId(options.condition, options.seed))
    folder = RunFolder(options.output)
    if folder.events.exists() and not options.resume:
        raise BadInput("holds a run already; give --resume to go on with it, or another folder", file=folder.root)
    if settings.builds:
        check_wordnet()
    made = not folder.root.exists()
    try:
        return _follow(settings, folder, paths_of(experiment), options)
    except BadInput:
        if made:
            shutil.rmtree(folder.root, ignore_errors=True)
        raise


def _follow(settings: Settings, folder: RunFolder, files: dict[str, Path], options: argparse.Namespace) -> int:
    """Run the pipeline, writing each event to ``events.jsonl`` and a line for people to standard output."""
    device = device_of(options.device)
    from engine.contract.events import End
    from engine.pipeline.event_log import EventWriter, line_of
    from engine.pipeline.run import run_pipeline
    from engine.training.loop import TrainingFailed

    events = EventWriter(folder.events)
    failed: tuple[str, ...] = ()
    try:
        for body in run_pipeline(settings, folder, workspace_of(options), device, files):
            events.write(body)
            if line := line_of(body):
                print(line, flush=True)
            if isinstance(body, End):
                failed = body.failed_gates
    except TrainingFailed as error:
        print(f"qllm-engine: error: training failed: {error}", file=sys.stderr)
        return FAILED
    return BLOCKED if failed and options.strict else DONE


def _check(options: argparse.Namespace) -> int:
    """Fail before anything is queued rather than once in every run."""
    from importlib.util import find_spec

    experiment = experiment_of(options)
    wanted = [resolve(experiment, options.profile, run) for run in run_ids(experiment, options.profile)]
    if any(settings.builds for settings in wanted):
        check_wordnet()
    _check_inputs(dict.fromkeys(settings.inputs for settings in wanted), paths_of(experiment))
    for package in ("torch", "transformers", "safetensors", "polars"):
        if find_spec(package) is None:
            raise BadInput(f"{package} is not installed here: pip install 'qllm-console[engine]'")
    return DONE


def _check_inputs(wanted: Iterable[tuple[InputFile, ...]], files: dict[str, Path]) -> None:
    """Put the files of the user's own through the integrity gate, as every run will."""
    from engine.data.formats.own_files import read_own_files

    for inputs in wanted:
        read_own_files(inputs, files)


if __name__ == "__main__":
    sys.exit(main())
