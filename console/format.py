"""Numbers as words of fixed shape: durations, sizes, percentages, ages."""

from __future__ import annotations

import math

from engine.contract.settings import RunId

_LONGEST_S = 1e9  # 30 years: what takes longer, or no finite time, is no time but a host's odd number


def duration(seconds: float) -> str:
    """``0:41``, ``12:05`` or ``1:02:03``; a dash where that is no time."""
    if not seconds < _LONGEST_S:
        return "-"
    whole = round(max(0.0, seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def age(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min`` or ``2 h``; a dash where that is no time."""
    if not seconds < _LONGEST_S:
        return "-"
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def size(count: float) -> str:
    """Bytes in decimal units: ``512 B``, ``1.4 MB``, ``84 GB``; a dash where that is no size."""
    if not abs(count) < 1e18:
        return "-"
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def percent(fraction: float | None) -> str:
    """``46.1``; a dash where there is no number."""
    return "-" if fraction is None or not math.isfinite(fraction) else f"{100 * fraction:.1f}"


def number(value: float | None) -> str:
    """A loss or a margin in at most 7 characters; a dash where there is none."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return str(value)
    return f"{value:.3f}" if 0.001 <= abs(value) < 1000 or value == 0 else f"{value:.1e}"


def counted(count: int, noun: str) -> str:
    """``1 run``, ``9 runs``, ``20,000 lines``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


LEAST = 10


def run_name(run: RunId, room: int) -> str:
    """``A / 42`` in at most ``room`` cells, but never fewer than ``LEAST``; a long condition is cut, the seed stays."""
    seed = f" / {run.seed}"
    left = max(LEAST, room) - len(seed)
    condition = run.condition if len(run.condition) <= left else run.condition[: max(1, left - 1)] + "…"
    return condition + seed


def bar(fraction: float, width: int) -> str:
    """A bar of ``width`` cells, in eighths, without braille."""
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    full, part = divmod(eighths, 8)
    drawn = "█" * full + (" ▏▎▍▌▋▊▉"[part] if part else "")
    return drawn + "·" * (width - len(drawn))
