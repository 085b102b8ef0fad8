"""Writes ``events.jsonl``: one event a line, numbered without gaps, each line out before the next event happens.

Every event but the two frequent kinds is flushed to the disk with all before it, so a power cut takes no more than the
steps and progress said since.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from engine.contract.events import (
    Body,
    Checkpoint,
    End,
    Epoch,
    Evaluation,
    Event,
    Progress,
    Stage,
    Step,
    Warning,
    decode,
    encode,
)

EVERY_STEPS = 10


def line_of(body: Body) -> str | None:
    """One line, or None for an event that would only fill the log (9 of 10 steps)."""
    match body:
        case Stage(name, note):
            return f"[{name}] {note}".rstrip()
        case Progress(done, total, unit):
            return f"  {done}/{total} {unit}"
        case Step() as it:
            if it.step % EVERY_STEPS and it.step != it.total_steps:
                return None
            mix = " ".join(f"{name} {count}" for name, count in it.tiers.items())
            return f"  step {it.step}/{it.total_steps} loss {it.loss:.4f} lr {it.learning_rate:.2e} {mix}"
        case Epoch() as it:
            return (
                f"epoch {it.epoch}: dev top-1 {it.top1:.1%} (mean pooling {it.mean_pool_top1:.1%}), margin {it.margin:+.4f}, "
                f"loss {it.loss:.4f}, attention entropy {it.attention_entropy:.3f}"
            )
        case Warning() as it:
            return f"warning: {it.kind}: {it.message}"
        case Checkpoint(step, _, sha256):
            return f"  checkpoint at step {step}, sha256 {sha256[:12]}"
        case Evaluation() as it:
            return (
                f"evaluation: top-1 {it.top1:.1%} (mean pooling {it.mean_pool_top1:.1%}), "
                f"top-3 {it.top3:.1%} ({it.mean_pool_top3:.1%}), coherence {it.coherence:.1%} ({it.mean_pool_coherence:.1%})"
            )
        case End(failed_gates):
            return (
                f"end: failed ship blockers: {', '.join(failed_gates)}"
                if failed_gates
                else "end: every ship blocker passed"
            )


class EventWriter:
    """Appends events to ``path``; the file and its folder are made at the first one.

    An existing file is continued: a line that a crash cut short is dropped, and numbering goes on after the last.

    Args:
        clock: gives the host's Unix time in seconds.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        self._next: int | None = None

    def write(self, body: Body) -> Event:
        """Append ``body`` as the next event.

        Raises:
            OSError: the disk took none or only a part of the line; the next writer drops such a part.
        """
        if self._next is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._next = _repair(self.path)
        event = Event(self._next, self._clock(), body)
        with open(self.path, "ab") as file:
            file.write(encode(event) + b"\n")
            if not isinstance(body, Step | Progress):
                file.flush()
                os.fsync(file.fileno())
        self._next += 1
        return event


def _repair(path: Path) -> int:
    """Cut ``path`` after its last whole event; return the number of the next."""
    if not path.exists():
        return 0
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with open(path, "r+b") as file:
            file.truncate(whole)
    lines = content[:whole].splitlines()
    try:
        return decode(lines[-1]).seq + 1 if lines else 0
    except msgspec.MsgspecError:
        return len(lines)
