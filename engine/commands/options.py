"""What the engine's commands ask alike: which experiment, where its files and the workspace are, on which device."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from engine.contract.bad_input import BadInput
from engine.contract.experiment import Experiment, read_experiment
from engine.contract.toml_file import find_config


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which experiment and profile, and where their files are."""
    parser.add_argument("--experiment", type=Path, metavar="FILE", help="default: configs/scaling.toml")
    parser.add_argument("--profile", default="full", help="full, smoke, demo (default: full)")
    parser.add_argument("--workspace", type=Path, metavar="DIR", help="data and token states shared by runs")
    parser.add_argument(
        "--inputs", type=Path, metavar="DIR", help="where files that the experiment names lie under their hashes"
    )


def experiment_of(options: argparse.Namespace) -> Experiment:
    """The experiment that the options name.

    Raises:
        BadInput: it, or a file that it names, cannot be read.
    """
    return read_experiment(options.experiment or find_config("scaling.toml"), options.inputs)


def paths_of(experiment: Experiment) -> dict[str, Path]:
    """Where the files of the user's own lie that the experiment names, by SHA-256."""
    return {file.sha256: file.path for file in experiment.files.values()}


def workspace_of(options: argparse.Namespace) -> Path:
    """The folder of what runs share."""
    if options.workspace is not None:
        return Path(options.workspace)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qllm-console"


def check_wordnet() -> None:
    """Say that WordNet is missing before anything heavy is imported."""
    from engine.data.wordnet.database import find_wordnet

    find_wordnet(os.environ)


def device_of(asked: str) -> str:
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
