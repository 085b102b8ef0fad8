"""Options that several commands of the engine share: experiment, profile, workspace, own files, device."""

from __future__ import annotations

import argparse
import os
from importlib.util import find_spec
from pathlib import Path

from engine.contract.bad_input import BadInput
from engine.contract.experiment import Experiment
from engine.contract.experiment_reader import read_experiment
from engine.contract.local_paths import local_path
from engine.contract.toml_file import find_config


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the options that name experiment, profile, workspace and the folder of own files."""
    parser.add_argument("--experiment", type=local_path, metavar="FILE", help="default: configs/scaling.toml")
    parser.add_argument("--profile", default="full", help="full, smoke, demo (default: full)")
    parser.add_argument("--workspace", type=local_path, metavar="DIR", help="data and token states shared by runs")
    parser.add_argument(
        "--inputs",
        type=local_path,
        metavar="DIR",
        help="folder of the files that the experiment names, under their hashes",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--device`` to a command."""
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def experiment_of(options: argparse.Namespace) -> Experiment:
    """The experiment that the options name; raises BadInput if it, or a file that it names, cannot be read."""
    return read_experiment(options.experiment or find_config("scaling.toml"), options.inputs)


def paths_of(experiment: Experiment) -> dict[str, Path]:
    """Paths of the user's own files that the experiment names, by SHA-256."""
    return {file.sha256: file.path for file in experiment.files.values()}


def workspace_of(options: argparse.Namespace) -> Path:
    """The folder that runs share; by default in the user's cache folder."""
    if options.workspace is not None:
        return Path(options.workspace)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qllm-console"


def check_wordnet() -> None:
    """Raise BadInput if WordNet is missing, before heavy libraries are imported."""
    from engine.data.wordnet.database import find_wordnet

    find_wordnet(os.environ)


def check_packages() -> None:
    """Raise BadInput if a package of the engine is missing; a plain install, for the console alone, has none of them."""
    for package in ("torch", "transformers", "safetensors", "polars"):
        if find_spec(package) is None:
            raise BadInput(f"{package} is not installed here: pip install 'qllm-console[engine]'")


def device_of(requested: str) -> str:
    """``cpu`` or ``cuda``, from ``auto``, ``cpu`` or ``cuda``.

    Raises:
        BadInput: a package of the engine is missing, or CUDA is requested and not available.
    """
    check_packages()
    # cores are for runs side by side: one thread each beats one run with all of them
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # without this workspace setting cuBLAS is not deterministic
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.set_num_threads(1)
    available = requested != "cpu" and torch.cuda.is_available()
    if requested == "cuda" and not available:
        built = torch.version.cuda
        why = f"is built for CUDA {built}, and the driver offers it no GPU" if built else "is built without CUDA"
        raise BadInput(f"no CUDA device is available here: PyTorch {torch.__version__} {why}", field="--device")
    return "cuda" if available else "cpu"
