"""A run's ``spec.json``: its settings with fingerprints, package versions and code state of the host."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import engine
from engine.contract.bad_input import BadInput
from engine.contract.durable import write_durably
from engine.contract.run_folder import RunFolder
from engine.contract.settings import Settings, Spec, read_spec

if TYPE_CHECKING:  # so that versions can be told without loading PyTorch
    from engine.data.records import Dataset
    from engine.encoder.encoder import Encoder

PACKAGES = ("qllm-console", "torch", "transformers", "tokenizers", "safetensors", "numpy", "polars")
"""Packages whose versions can change a run's numbers."""


def write_spec(settings: Settings, folder: RunFolder, dataset: Dataset, encoder: Encoder) -> None:
    """Write ``spec.json``, or check the one that the folder holds.

    Raises:
        BadInput: it is of a run with other settings, data, encoder or device, or begun with other package versions.
    """
    spec = Spec(
        settings=settings,
        settings_fingerprint=settings.fingerprint(),
        data_fingerprint=dataset.data_fingerprint,
        encoder_fingerprint=encoder.fingerprint,
        eval_fingerprint=dataset.eval_fingerprint,
        device=encoder.device,
        versions=versions(),
        git=git_state(),
    )
    if folder.spec.exists():
        existing = read_spec(folder.spec)
        if run_fingerprint(existing) != run_fingerprint(spec):
            raise BadInput("this folder belongs to a run with other settings, data or encoder", file=folder.spec)
        if changed := _changed_versions(existing.versions, spec.versions):
            raise BadInput(f"begun with {changed}: resuming would mix two versions; restart it", file=folder.spec)
        return
    folder.root.mkdir(parents=True, exist_ok=True)
    write_durably(folder.spec, msgspec.json.format(msgspec.json.encode(spec)) + b"\n")


def run_fingerprint(spec: Spec) -> str:
    """SHA-256 of everything that determines a run's numbers on one kind of device."""
    parts = (spec.settings_fingerprint, spec.data_fingerprint, spec.encoder_fingerprint, spec.eval_fingerprint)
    return hashlib.sha256(" ".join((*parts, spec.device)).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Version by package; packages that are not installed are left out."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def git_state() -> str:
    """The commit of the source tree the engine runs from, with ``-dirty`` when it was changed; "" outside of one."""
    root = Path(engine.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            # --exclude: a tag's name would say less than the commit
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],  # noqa: S607 - git of the path
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _changed_versions(then: dict[str, str], now: dict[str, str]) -> str:
    """Packages of other versions than now, such as ``torch 2.6.0 (now 2.7.1)``."""
    names = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
    return ", ".join(f"{name} {then.get(name, 'absent')} (now {now.get(name, 'absent')})" for name in names)
