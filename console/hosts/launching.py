"""What the host is asked to run: the engine's command line for one run."""

from __future__ import annotations

from typing import Any

import msgspec

from console.hosts.host_config import HostConfig, SlurmSettings
from engine.contract.experiment import Settings
from engine.contract.run_folder import CHECKPOINT_STATE

ENGINE = "engine.cli"


def launch_request(
    host: HostConfig, python: str, settings: Settings, folder: str, experiment_text: str, key: str, strict: bool
) -> dict[str, Any]:
    """The arguments of a launch. ``{workspace}``, ``{job}`` and ``{run}`` stand for folders that the agent fills in."""
    argv = [python, "-m", ENGINE, "run"]
    argv += ["--experiment", "{job}/experiment.toml", "--profile", settings.profile]
    argv += ["--condition", settings.condition, "--seed", str(settings.seed), "--device", host.device]
    argv += ["--workspace", "{workspace}", "--output", "{run}"]
    if strict:
        argv.append("--strict")
    request: dict[str, Any] = {
        "key": key,
        "folder": folder,
        "run": str(settings.run),
        "slots": host.slots,
        "settings": settings.fingerprint(),
        "files": {"experiment.toml": experiment_text},
        "argv": argv,
        "env": {"TOKENIZERS_PARALLELISM": "false"},
    }
    if host.launcher == "slurm":
        request["slurm"] = _slurm_settings(host.slurm or SlurmSettings(), settings.condition)
        request["restart"] = {"checkpoint": CHECKPOINT_STATE, "argv": ["--resume"]}
    return request


def _slurm_settings(slurm: SlurmSettings, condition: str) -> dict[str, Any]:
    """What the agent hands to ``sbatch``; runs that name the same array, and are launched together, go as one."""
    return {**msgspec.structs.asdict(slurm), "array": condition if slurm.array else None}
