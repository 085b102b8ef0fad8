"""Launch request for one run: the engine's command line, its files, and what a resumed run keeps."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Mapping
from typing import Any

import msgspec

from console.hosts.host_config import HostConfig, SlurmSettings
from engine.contract.input_files import INPUTS, HashedFile, encode_input_list
from engine.contract.run_folder import ATTENTION, CHECKPOINT, CHECKPOINT_STATE, EVENTS, LOG, SPEC
from engine.contract.settings import Settings

INPUTS_FOLDER = "inputs"  # below the workspace
EXPERIMENT_FILE = "experiment.toml"
CARRIED = (SPEC, EVENTS, LOG, CHECKPOINT, CHECKPOINT_STATE, ATTENTION)
"""Files of a run folder that a resumed run starts from."""


def job_variables(host: HostConfig) -> dict[str, Any]:
    """What a job and each check of the engine say of their environment: ``env`` with values, ``environment`` by name."""
    return {"env": {"TOKENIZERS_PARALLELISM": "false"}, "environment": host.environment}


def notify_settings(host: HostConfig, engine: tuple[str, ...]) -> dict[str, Any]:
    """What the host needs to notify of an end, but for the URLs, which are kept apart."""
    return {"command": [*engine, "notify"], "host": host.title, "operator": operator_name()}


def operator_name() -> str:
    """``kim@laptop``: who uses this console, as others on the host are shown it."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def launch_request(
    host: HostConfig,
    engine: tuple[str, ...],
    settings: Settings,
    folder: str,
    experiment_text: str,
    key: str,
    strict: bool,
    files: Mapping[str, HashedFile] = {},
    resume: bool = False,
    replaces: str = "",
    sets_aside_results: bool = False,
) -> dict[str, Any]:
    """Arguments of the agent's launch request; the agent replaces ``{workspace}``, ``{job}`` and ``{run}`` by its folders.

    Args:
        engine: the engine's command line on the host, without arguments.
        key: idempotency key of the launch.
        strict: a failed ship blocker fails the run.
        files: the user's files that the experiment names; the host must have them already.
        resume: continue from the checkpoint of the previous launch, if its settings were the same.
        replaces: key of the launch that this one may replace, "" if there is none; nothing is started in place of another.
        sets_aside_results: also if that one has finished.
    """
    argv = [*engine, "run"]
    argv += ["--experiment", f"{{job}}/{EXPERIMENT_FILE}", "--profile", settings.profile]
    argv += ["--condition", settings.condition, "--seed", str(settings.seed), "--device", host.device]
    argv += ["--workspace", "{workspace}", "--output", "{run}"]
    if strict:
        argv.append("--strict")
    sent = {EXPERIMENT_FILE: experiment_text}
    if files:
        argv += ["--inputs", f"{{workspace}}/{INPUTS_FOLDER}"]
        sent[INPUTS] = encode_input_list(files).decode()
    if resume:
        argv.append("--resume")
    request: dict[str, Any] = {
        "key": key,
        "replaces": replaces,
        "sets_aside_results": sets_aside_results,
        "folder": folder,
        "run": str(settings.run),
        "slots": host.slots,
        "settings": settings.fingerprint(),
        "files": sent,
        "argv": argv,
        **job_variables(host),
        "notify": notify_settings(host, engine),
        "carry": CARRIED if resume else (),
    }
    if host.device != "cpu" and host.launcher != "slurm":  # Slurm chooses a job's GPUs itself
        request["gpu"] = {"device": host.device, "occupied": host.occupied_gpu}
    if host.launcher == "slurm":
        slurm = host.slurm or SlurmSettings()
        # runs of one launch with the same array name become one job array
        request["slurm"] = {**msgspec.structs.asdict(slurm), "array": settings.condition if slurm.array else None}
        request["restart"] = {"checkpoint": CHECKPOINT_STATE, "argv": ["--resume"]}
    return request
