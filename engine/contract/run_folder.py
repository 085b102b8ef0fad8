"""The layout of a run folder: every file's name, once."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

SPEC = "spec.json"
STATE = "state.json"
EVENTS = "events.jsonl"
LOG = "log.txt"
CHECKPOINT = "checkpoint.safetensors"
CHECKPOINT_STATE = "checkpoint.json"
ITEMS = "items.parquet"
ATTENTION = "attention.parquet"
METRICS = "metrics.json"
EXIT = "exit.json"
MANIFEST = "manifest.json"


class RunFolder(NamedTuple):
    """A run's folder by the names of its files."""

    root: Path

    @property
    def spec(self) -> Path:
        return self.root / SPEC

    @property
    def state(self) -> Path:
        return self.root / STATE

    @property
    def events(self) -> Path:
        return self.root / EVENTS

    @property
    def log(self) -> Path:
        return self.root / LOG

    @property
    def checkpoint(self) -> Path:
        return self.root / CHECKPOINT

    @property
    def checkpoint_state(self) -> Path:
        return self.root / CHECKPOINT_STATE

    @property
    def items(self) -> Path:
        return self.root / ITEMS

    @property
    def attention(self) -> Path:
        return self.root / ATTENTION

    @property
    def metrics(self) -> Path:
        return self.root / METRICS

    @property
    def exit(self) -> Path:
        return self.root / EXIT

    @property
    def manifest(self) -> Path:
        return self.root / MANIFEST
