"""``qllm-engine``: what runs on the host. Bad input is one line and exit code 2, before anything heavy is imported."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from engine.contract.bad_input import BadInput
from engine.contract.config_files import find_config
from engine.contract.experiment import RunId, Settings, read_experiment, resolve
from engine.contract.run_folder import RunFolder

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
    _which_settings(run)
    run.add_argument("--condition", required=True, help="such as A")
    run.add_argument("--seed", required=True, type=int)
    run.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    run.add_argument("--strict", action="store_true", help="exit with 5 when a ship blocker failed")
    run.add_argument("--resume", action="store_true", help="go on with the run that --output holds")
    run.add_argument("--output", required=True, type=Path, metavar="DIR", help="the run's folder")
    run.set_defaults(command=_run)

    check = commands.add_parser("check", help="whether this machine has what a run needs")
    _which_settings(check)
    check.set_defaults(command=_check)

    data = commands.add_parser("data", help="WordNet and what is built from it").add_subparsers(
        required=True, metavar="COMMAND"
    )
    obtain = data.add_parser("obtain", help="find WordNet or download it")
    obtain.add_argument("--into", type=Path, metavar="DIR", help="where to put it")
    obtain.set_defaults(command=_data_obtain)
    build = data.add_parser("build", help="build the data of a profile, and encode its texts")
    _which_settings(build)
    build.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    build.set_defaults(command=_data_build)
    return parser


def _which_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--experiment", type=Path, metavar="FILE", help="default: configs/scaling.toml")
    parser.add_argument("--profile", default="full", help="full, smoke, demo (default: full)")
    parser.add_argument("--workspace", type=Path, metavar="DIR", help="data and token states shared by runs")


def _settings(options: argparse.Namespace, run: RunId | None = None) -> Settings:
    path = options.experiment or find_config("scaling.toml")
    experiment = read_experiment(path)
    return resolve(experiment, options.profile, run or RunId(next(iter(experiment.conditions)), experiment.seeds[0]))


def _workspace(options: argparse.Namespace) -> Path:
    if options.workspace is not None:
        return Path(options.workspace)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qllm-console"


def _run(options: argparse.Namespace) -> int:
    settings = _settings(options, RunId(options.condition, options.seed))
    folder = RunFolder(options.output)
    if folder.events.exists() and not options.resume:
        raise BadInput("holds a run already; give --resume to go on with it, or another folder", file=folder.root)
    _check_wordnet()
    made = not folder.root.exists()
    try:
        return _follow(settings, folder, options)
    except BadInput:
        if made:
            shutil.rmtree(folder.root, ignore_errors=True)
        raise


def _follow(settings: Settings, folder: RunFolder, options: argparse.Namespace) -> int:
    """Run the pipeline, writing each event to ``events.jsonl`` and a line for people to standard output."""
    device = _device(options.device)
    from engine.contract.events import End
    from engine.event_lines import line_of
    from engine.events_file import EventWriter
    from engine.pipeline import run_pipeline
    from engine.training.loop import TrainingFailed

    events = EventWriter(folder.events)
    failed: tuple[str, ...] = ()
    try:
        for body in run_pipeline(settings, folder, _workspace(options), device):
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

    _settings(options)
    _check_wordnet()
    for package in ("torch", "transformers", "safetensors", "polars"):
        if find_spec(package) is None:
            raise BadInput(f"{package} is not installed here: pip install 'qllm-console[engine]'")
    return DONE


def _data_obtain(options: argparse.Namespace) -> int:
    from engine.data.obtain import obtain
    from engine.data.wordnet import default_place

    print(obtain(options.into or default_place()))
    return DONE


def _data_build(options: argparse.Namespace) -> int:
    settings = _settings(options)
    _check_wordnet()
    device = _device(options.device)
    from engine.encoder.encoder import Encoder
    from engine.encoder.token_cache import TokenCache, cache_folder
    from engine.event_lines import line_of
    from engine.prepared_data import prepare

    workspace = _workspace(options)
    encoder = Encoder(settings.encoder, device)
    preparing = prepare(settings, workspace, TokenCache(cache_folder(workspace, encoder), encoder))
    while True:
        try:
            print(line_of(next(preparing)), flush=True)
        except StopIteration as end:
            print(end.value)
            return DONE


def _check_wordnet() -> None:
    """Say that WordNet is missing before anything heavy is imported."""
    from engine.data.wordnet import find_wordnet

    find_wordnet(os.environ)


def _device(asked: str) -> str:
    """``cpu`` or ``cuda``.

    Raises:
        BadInput: CUDA was asked for and there is none.
    """
    # cores are for runs side by side: one thread each beats one run with all of them
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.set_num_threads(1)
    there = asked != "cpu" and torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise BadInput("no CUDA device is available here", field="--device")
    return "cuda" if there else "cpu"


if __name__ == "__main__":
    sys.exit(main())
