"""A tiny experiment for the real engine on the real embedded host: seconds instead of minutes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from engine.contract.toml_file import find_config

PROFILE = "tiny"
SLICE = """
[profiles.tiny]
title = "seconds"
conditions = ["A", "B"]
seeds = [42, 123]
epochs = {epochs}
warm_start_steps = 20
strict = {strict}
[profiles.tiny.data]
train_lemmas = 40
dev_lemmas = 12
eval_lemmas = 20
retrieval_items = 30
coherence_items = 15
adversarial_bundles = 4
"""
LONG = 2000  # epochs: a run that is still going when it is aborted or its console is killed


def write_experiment(folder: Path, *, epochs: int = 2, strict: bool = False, name: str = "tiny") -> Path:
    """The real experiment's file with the tiny profile added."""
    text = find_config("scaling.toml").read_text().replace('name = "scaling"', f'name = "{name}"', 1)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "experiment.toml"
    path.write_text(text + SLICE.format(epochs=epochs, strict=str(strict).lower()))
    return path


def warm(source: Path, runs: Path) -> None:
    """Give a new workspace the data and token states of another: they are a function of the experiment alone."""
    for part in ("data", "cache"):
        shutil.copytree(source / ".local-host" / part, runs / ".local-host" / part)


def arguments(command: str | None, experiment: Path, runs: Path, *more: str) -> list[str]:
    """The command line of the console as a user types it; without a command, for the console itself."""
    shared = ["--experiment", str(experiment), "--runs", str(runs), "--profile", PROFILE]
    return [sys.executable, "-m", "console.cli", *([command] if command else []), *shared, *more]


def console(
    command: str,
    experiment: Path,
    runs: Path,
    *more: str,
    environ: dict[str, str] | None = None,
    cwd: Path | None = None,
    program: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a command of the headless twin to its end, by the installed ``program`` if one is named."""
    argv = arguments(command, experiment, runs, *more)
    return subprocess.run(
        [program, *argv[3:]] if program else argv,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        env={**os.environ, **(environ or {})},
    )


def status(experiment: Path, runs: Path) -> dict[str, dict[str, Any]]:
    """``qllm-console status --json``, by run."""
    done = console("status", experiment, runs, "--json")
    assert done.returncode == 0, done.stderr
    return {f"{row['condition']}_seed{row['seed']}": row for row in json.loads(done.stdout)["runs"]}
