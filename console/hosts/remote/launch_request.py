"""What the host is asked to run: the engine's command line for one run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from console.hosts.host_config import HostConfig, SlurmSettings
from engine.contract.input_files import INPUTS, FoundFile, write_listing
from engine.contract.run_folder import ATTENTION, CHECKPOINT, CHECKPOINT_STATE, EVENTS, LOG, SPEC
from engine.contract.settings import Settings

ENGINE = "engine.cli"
INPUTS_FOLDER = "inputs"  # below the workspace
EXPERIMENT_FILE = "experiment.toml"
CARRIED = (SPEC, EVENTS, LOG, CHECKPOINT, CHECKPOINT_STATE, ATTENTION)
"""What a run goes on from."""


def launch_request(
    host: HostConfig,
    python: str,
    settings: Settings,
    folder: str,
    experiment_text: str,
    key: str,
    strict: bool,
    files: Mapping[str, FoundFile] = {},
    resume: bool = False,
) -> dict[str, Any]:
    """The arguments of a launch. ``{workspace}``, ``{job}`` and ``{run}`` stand for folders that the agent fills in.

    Args:
        files: those of the user's own that the experiment names; the host has them already.
        resume: go on from the checkpoint of the run before it, if that was asked the same.
    """
    argv = [python, "-m", ENGINE, "run"]
    argv += ["--experiment", f"{{job}}/{EXPERIMENT_FILE}", "--profile", settings.profile]
    argv += ["--condition", settings.condition, "--seed", str(settings.seed), "--device", host.device]
    argv += ["--workspace", "{workspace}", "--output", "{run}"]
    if strict:
        argv.append("--strict")
    sent = {EXPERIMENT_FILE: experiment_text}
    if files:
        argv += ["--inputs", f"{{workspace}}/{INPUTS_FOLDER}"]
        sent[INPUTS] = write_listing(files).decode()
    if resume:
        argv.append("--resume")
    request: dict[str, Any] = {
        "key": key,
        "folder": folder,
        "run": str(settings.run),
        "slots": host.slots,
        "settings": settings.fingerprint(),
        "files": sent,
        "argv": argv,
        "env": {"TOKENIZERS_PARALLELISM": "false"},
        "carry": CARRIED if resume else (),
    }
    if host.launcher == "slurm":
        request["slurm"] = _slurm_settings(host.slurm or SlurmSettings(), settings.condition)
        request["restart"] = {"checkpoint": CHECKPOINT_STATE, "argv": ["--resume"]}
    return request


def _slurm_settings(slurm: SlurmSettings, condition: str) -> dict[str, Any]:
    """What the agent hands to ``sbatch``; runs that name the same array, and are launched together, go as one."""
    return {**msgspec.structs.asdict(slurm), "array": condition if slurm.array else None}
