"""A run's events as they happen: written to ``events.jsonl``, shown as lines of text, timed by stage."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from engine.contract.events import (
    Body,
    Checkpoint,
    End,
    Evaluation,
    Event,
    Measurement,
    Progress,
    Stage,
    Step,
    Warning,
    decode,
    encode,
)

SHOW_EVERY_STEPS = 10


def line_of(body: Body) -> str | None:
    """One line of text, or None for 9 of 10 steps, which would only fill the log."""
    match body:
        case Stage(name, note):
            return f"[{name}] {note}".rstrip()
        case Progress(done, total, unit):
            return f"  {done}/{total} {unit}"
        case Step() as it:
            if it.step % SHOW_EVERY_STEPS and it.step != it.total_steps:
                return None
            mix = " ".join(f"{name} {count}" for name, count in it.tiers.items())
            return f"  step {it.step}/{it.total_steps} loss {it.loss:.4f} lr {it.learning_rate:.2e} {mix}"
        case Measurement() as it:
            return _measurement_line(it)
        case Warning() as it:
            return f"warning: {it.kind}: {it.message}"
        case Checkpoint(step, _, sha256):
            return f"  checkpoint at step {step}, sha256 {sha256[:12]}"
        case Evaluation() as it:
            return (
                f"evaluation: top-1 {it.top1:.1%} (mean pooling {it.mean_pool_top1:.1%}), "
                f"top-3 {it.top3:.1%} ({it.mean_pool_top3:.1%}), coherence {it.coherence:.1%} ({it.mean_pool_coherence:.1%})"
            )
        case End(()):
            return "end: every ship blocker passed"
        case End(failed_gates):
            return f"end: failed ship blockers: {', '.join(failed_gates)}"


def log_line(event: Event) -> str | None:
    """The event as a line of the run's log: host's time in UTC, level, text; None where ``line_of`` has none."""
    text = line_of(event.body)
    if text is None:
        return None
    failed = isinstance(event.body, End) and event.body.failed_gates
    level = "WARNING" if failed or isinstance(event.body, Warning) else "INFO"
    at = datetime.fromtimestamp(event.t, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%SZ} {level} {text.removeprefix('warning: ')}"


def _measurement_line(it: Measurement) -> str:
    best = "the best so far" if it.best_step == it.step else f"the best is that of step {it.best_step}"
    chance = f", chance {it.chance.top1:.1%}" if it.chance is not None else ""
    parts = [
        f"measured at step {it.step}/{it.total_steps} (epoch {it.epoch:.2f}): dev top-1 {it.top1:.1%} "
        f"(mean pooling {it.mean_pool_top1:.1%}{chance}), margin {it.margin:+.4f}, loss {it.loss:.4f}, "
        f"attention entropy {it.attention_entropy:.3f}"
    ]
    for scores, pooled in zip(it.sets, it.mean_pool_sets, strict=False):
        named = (("top-1", scores.top1, pooled.top1), ("coherence", scores.coherence, pooled.coherence))
        shown = [
            f"{name} {value:.1%} ({base:.1%})" for name, value, base in named if value is not None and base is not None
        ]
        parts += [f"{scores.name} {', '.join(shown)}"] if shown else []
    return "; ".join([*parts, f"score {it.score:.1%} ({it.mean_pool_score:.1%}), {best}"])


def steady_unix_time() -> Callable[[], float]:
    """Clock of the host's Unix time in seconds as of this call, advanced by a clock that nobody sets.

    Times from it can be subtracted: a correction of the host's clock in between does not count as time that has passed.
    """
    offset = time.time() - time.monotonic()
    return lambda: offset + time.monotonic()


class EventWriter:
    """Appends events to ``path``, one per line, numbered without gaps; file and folder are created at the first one.

    An existing file is continued: a line that a crash cut short is dropped, and numbering continues after the last.

    Args:
        clock: returns the host's Unix time in seconds; None: ``steady_unix_time()``.
    """

    def __init__(self, path: Path, clock: Callable[[], float] | None = None) -> None:
        self.path = path
        self._clock = clock or steady_unix_time()
        self._next_number: int | None = None

    def write(self, body: Body) -> Event:
        """Append ``body`` as the next event.

        Raises:
            OSError: the line was not written, or only a part of it, which the next writer drops.
        """
        if self._next_number is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._next_number = _repair(self.path)
        event = Event(self._next_number, self._clock(), body)
        with open(self.path, "ab") as file:
            file.write(encode(event) + b"\n")
            # steps and progress are too frequent for an fsync each; a power cut can lose those since the last other event
            if not isinstance(body, Step | Progress):
                file.flush()
                os.fsync(file.fileno())
        self._next_number += 1
        return event


class StageTimer:
    """Wall seconds by stage: each stage lasts until the next begins."""

    def __init__(self) -> None:
        self._by_stage: dict[str, float] = {}
        self._since = time.monotonic()
        self._stage = "data"

    def watch(self, events: Iterable[Body]) -> Iterator[Body]:
        """Pass ``events`` on, starting the clock of each stage when it begins."""
        for body in events:
            if isinstance(body, Stage):
                self._by_stage = self.seconds()
                self._since, self._stage = time.monotonic(), body.name
            yield body

    def seconds(self) -> dict[str, float]:
        """Seconds by stage so far, including the present one."""
        spent = self._by_stage.get(self._stage, 0.0) + time.monotonic() - self._since
        return {**self._by_stage, self._stage: spent}


def _repair(path: Path) -> int:
    """Cut ``path`` after its last complete line; return the number of the next event."""
    if not path.exists():
        return 0
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    if end < len(content):
        with open(path, "r+b") as file:
            file.truncate(end)
    lines = content[:end].splitlines()
    try:
        return decode(lines[-1]).seq + 1 if lines else 0
    except msgspec.MsgspecError:
        return len(lines)
