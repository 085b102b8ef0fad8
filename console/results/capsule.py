"""What an evaluated run left at home: its settings, metrics and items, read, and borne out by each other."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import polars as pl

from console.results.scores import read_items, score_line
from console.results.summary import ScoreLine
from console.sanitize import sanitize_line
from engine.contract import metrics as metrics_file
from engine.contract.metrics import Metrics, Scores
from engine.contract.run_folder import RunFolder
from engine.contract.settings import Settings, decode_spec


class Missing(Exception):
    """The run left no such file; the message names it."""


class Unusable(Exception):
    """A file is there and its numbers cannot count; the message says why, safe to show."""


class Capsule(NamedTuple):
    """An evaluated run: what determined it, what it states, its items, and the scores of both models as these say."""

    settings: Settings
    metrics: Metrics
    items: pl.DataFrame
    head: ScoreLine
    mean_pool: ScoreLine


def read_capsule(folder: RunFolder) -> Capsule:
    """The numbers of the run in ``folder``.

    Raises:
        Missing: it has no metrics, no items or no spec.
        Unusable: they cannot be read, or the items do not say what the metrics do.
    """
    try:
        metrics = metrics_file.decode(folder.metrics.read_bytes())
        items = read_items(folder.items)
        settings = decode_spec(folder.spec.read_bytes()).settings
        head, mean_pool = score_line(items, "head"), score_line(items, "mean_pool")
    except FileNotFoundError as error:
        files = (folder.metrics, folder.items, folder.spec)
        gone = next((path for path in files if not path.exists()), folder.items)  # it may have come meanwhile
        raise Missing(gone.name) from error
    except (OSError, msgspec.MsgspecError, RecursionError, pl.exceptions.PolarsError, ValueError) as error:
        raise Unusable(sanitize_line(str(error))) from error
    if problem := _disagreement(head, metrics.head):
        raise Unusable(problem)
    return Capsule(settings, metrics, items, head, mean_pool)


def _disagreement(ours: ScoreLine, theirs: Scores) -> str:
    """The engine's aggregates must be what its items say; "" if they are."""
    pairs = (
        ("top-1", ours.top1, theirs.retrieval_top1),
        ("top-3", ours.top3, theirs.retrieval_top3),
        ("coherence", ours.coherence, theirs.coherence_accuracy),
    )
    for name, from_items, stated in pairs:
        if not abs(from_items - stated) < 1e-6:
            return f"metrics.json says {name} {stated:.4f}, its items say {from_items:.4f}"
    return ""
