"""Where the numbers come from: fingerprints of the settings, data, evaluation and items of each counted run."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from console.format import run_label
from console.results.load import LoadedRuns
from console.results.tables import Row, Section, header_row, text_cell
from console.sanitize import sanitize_line
from engine.contract.settings import RunId

SHOWN_DIGITS = 12


class RunProvenance(Struct, frozen=True):
    """Fingerprints of one run, SHA-256 in hexadecimal; "" where an older run records none."""

    condition: str
    seed: int
    settings: str
    data: str
    evaluation: str
    items: str


def provenance(loaded: LoadedRuns, runs: Iterable[RunId]) -> tuple[RunProvenance, ...]:
    """Provenance of each of ``runs`` that was evaluated."""
    found = []
    for run in runs:
        if (capsule := loaded.runs[run].capsule) is not None:
            metrics = capsule.metrics
            hashes = (metrics.data_fingerprint, metrics.eval_fingerprint, metrics.items_sha256)
            texts = map(sanitize_line, (capsule.settings.fingerprint(), *hashes))
            found.append(RunProvenance(run.condition, run.seed, *texts))
    return tuple(found)


def provenance_sections(runs: Iterable[RunProvenance], digits: int = SHOWN_DIGITS) -> tuple[Section, ...]:
    """A row for each run with the first ``digits`` of each fingerprint."""
    rows: tuple[Row, ...] = tuple(
        (
            text_cell(run_label(RunId(one.condition, one.seed), 18)),
            *(text_cell(text[:digits] or "-") for text in (one.settings, one.data, one.evaluation, one.items)),
        )
        for one in runs
    )
    header = header_row("run", "settings", "data", "evaluation", "items")
    return (
        (Section("Fingerprints (SHA-256) of what the numbers come from", rows, header, "provenance"),) if rows else ()
    )
