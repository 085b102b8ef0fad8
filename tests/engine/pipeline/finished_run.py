"""A whole run over the real WordNet and the real encoder."""

from __future__ import annotations

from pathlib import Path

import msgspec
import torch

from engine.contract import metrics as metrics_file
from engine.contract.events import Body
from engine.contract.metrics import Metrics
from engine.contract.run_folder import RunFolder
from engine.contract.settings import Settings
from engine.pipeline.run import run_pipeline

torch.set_num_threads(1)  # as the commands do: results differ in the last bits with the number of threads


class FinishedRun:
    """A run to its end, with its events and metrics."""

    def __init__(self, settings: Settings, root: Path, workspace: Path) -> None:
        self.settings = settings
        self.folder = RunFolder(root)
        self.events: list[Body] = list(run_pipeline(settings, self.folder, workspace, "cpu"))
        self.metrics = read_metrics(self.folder)


def read_metrics(folder: RunFolder) -> Metrics:
    return metrics_file.decode(folder.metrics.read_bytes())


def without_seconds(metrics: Metrics) -> Metrics:
    return msgspec.structs.replace(metrics, seconds={})
