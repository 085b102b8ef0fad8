"""Events and attention written by hand, for recordings whose right summaries are known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from engine.contract.events import Body, Event, Measurement, Stage, Step, encode
from engine.contract.items import AttentionRow, column_types
from engine.contract.run_folder import FILES, capsule_fingerprint
from engine.contract.settings import RunId

Bodies = list[Body | tuple[float, Body]]


def stage(name: str) -> Stage:
    return Stage(name)  # type: ignore[arg-type]


def step(number: int, loss: float, total: int = 20) -> Step:
    return Step(number, total, 1 + (number - 1) * 2 // total, loss, 1e-3, {})


def measurement(number: int, score: float, *, total: int = 20, entropy: float = 0.9, best: int = 20) -> Measurement:
    """Two epochs in all; frozen mean pooling has a score of 0.5."""
    epoch = 2 * number / total
    return Measurement(number, total, epoch, 0.4, 0.0, 2.0 - score, {}, entropy, 0.4, score, 0.5, "top-1\x1b[31m", best)


def write_events(folder: Path, run: RunId, bodies: Iterable[Body | tuple[float, Body]]) -> Path:
    """Write events a second apart, or that many seconds after the one before, from Unix time 1,000 on."""
    lines, now = [], 999.0
    for seq, one in enumerate(bodies):
        pause, body = one if isinstance(one, tuple) else (1.0, one)
        now += pause
        lines.append(encode(Event(seq, now, body)))
    path = folder / str(run) / "events.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def probe(item: str, entropy: float, weights: Sequence[float] = (0.25, 0.5, 0.25), **columns: Any) -> AttentionRow:
    """A probe after step 20, epoch 2, with a lemma of its own."""
    tokens = ["<start>", *(f"word{at}" for at in range(len(weights) - 2)), "<end>"]
    row = AttentionRow(
        item, f"lemma of {item}", 20, 2.0, len(weights), entropy, 0.2, 0.3, "word", f"text {item}", tokens, [*weights]
    )
    return row._replace(**columns)


def write_attention(folder: Path, run: RunId, rows: Sequence[AttentionRow]) -> Path:
    schema = {
        name: pl.List(getattr(pl, kind.name)()) if kind.is_list else getattr(pl, kind.name)()
        for name, kind in column_types(AttentionRow).items()
    }
    path = folder / str(run) / "attention.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(path)
    return path


def write_manifest(folder: Path, run: RunId) -> None:
    """Of the files that are there."""
    files = []
    for path in sorted((folder / str(run)).iterdir()):
        if path.name in FILES and path.name != "manifest.json":
            content = path.read_bytes()
            files.append((path.name, len(content), hashlib.sha256(content).hexdigest()))
    entries = [{"path": name, "size": size, "sha256": sha256} for name, size, sha256 in files]
    body = {"key": "0" * 32, "files": entries, "fingerprint": capsule_fingerprint(files), "left_out": []}
    (folder / str(run) / "manifest.json").write_bytes(msgspec.json.encode(body))
