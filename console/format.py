"""Numbers and runs as short text: durations, sizes, percentages, ages, run labels; time left from progress so far."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.contract.settings import Difference, RunId

GATE_LABELS = {"retrieval_top1": "top-1", "retrieval_top3": "top-3", "coherence_accuracy": "coherence"}
"""Short names of the gated metrics, whose names in files are long; every other metric is shown by its own."""
_LONGEST_S = 1e9  # 30 years: longer or non-finite times come from a host that sends nonsense


def metric_label(metric: str) -> str:
    """``top-1`` for ``retrieval_top1``; a tier, ``margin`` and ``killers`` keep their names."""
    return GATE_LABELS.get(metric, metric)


def duration(seconds: float) -> str:
    """``0:41``, ``12:05`` or ``1:02:03``; a dash for a time that makes no sense."""
    if not seconds < _LONGEST_S:
        return "-"
    whole = round(max(0.0, seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def age(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min`` or ``2 h``; a dash for a time that makes no sense."""
    if not seconds < _LONGEST_S:
        return "-"
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def whole_age(seconds: float) -> str:
    """An age in whole seconds or minutes: it changes at most once a second, so an idle console draws little."""
    return f"{max(0, int(seconds))} s" if seconds < 10 else age(seconds)


def rough_duration(seconds: float) -> str:
    """A time that is only expected: ``40 s``, ``41 min``, ``2 h 40 min`` or ``3 d 4 h``; a dash for one that makes no sense."""
    if not seconds < _LONGEST_S:
        return "-"
    seconds = max(0.0, seconds)
    if seconds < 90:
        return f"{max(1, round(seconds / 10)) * 10} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def size(count: float) -> str:
    """Bytes in units of 1024, as GPUs count them: ``512 B``, ``1.4 MiB``, ``84.0 GiB``; a dash for no sensible size."""
    if not abs(count) < 1e18:
        return "-"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def full_disk(free: int | None) -> str:
    """``the host's disk is full (11.7 KiB free)``."""
    return "the host's disk is full" + ("" if free is None else f" ({size(free)} free)")


def percent(fraction: float | None) -> str:
    """``46.1``; a dash for none."""
    return "-" if fraction is None or not math.isfinite(fraction) else f"{100 * fraction:.1f}"


def number(value: float | None) -> str:
    """A loss or a margin in at most 7 characters; a dash for none."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return str(value)
    return f"{value:.3f}" if 0.001 <= abs(value) < 1000 or value == 0 else f"{value:.1e}"


def counted(count: int, noun: str) -> str:
    """``1 run``, ``9 runs``, ``20,000 lines``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


MIN_LABEL_WIDTH = 10


def run_label(run: RunId, width: int) -> str:
    """``A/42`` in at most ``width`` cells, but at least ``MIN_LABEL_WIDTH``; a long condition is cut, the seed stays."""
    seed = f"/{run.seed}"
    room = max(MIN_LABEL_WIDTH, width) - len(seed)
    condition = run.condition if len(run.condition) <= room else run.condition[: max(1, room - 1)] + "…"
    return condition + seed


def differences_text(differences: Sequence[Difference]) -> str:
    """Where a condition differs from the experiment's base; "" where it does not."""
    return f"Differs from the base: {', '.join(map(str, differences))}" if differences else ""


def seconds_left(done: float, total: float, elapsed: float) -> float | None:
    """Seconds until ``total`` at the mean rate of ``done`` in ``elapsed`` seconds; None before there is a rate."""
    return max(0.0, total - done) * elapsed / done if done > 0 and elapsed > 0 else None


def bar(fraction: float, width: int) -> str:
    """A progress bar of ``width`` cells in steps of an eighth, without braille, which some fonts lack."""
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    full, part = divmod(eighths, 8)
    drawn = "█" * full + (" ▏▎▍▌▋▊▉"[part] if part else "")
    return drawn + "·" * (width - len(drawn))
