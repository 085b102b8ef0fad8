"""Limits and ticks of axes: round numbers, powers of ten, times; automatic limits that grow in steps."""

from __future__ import annotations

import math

from console.format import duration

Limits = tuple[float, float]
Tick = tuple[float, str]
_TIMES = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_END_STEPS = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_MOST_TICKS = 60


def nice_step(rough: float) -> float:
    """The smallest of 1, 2 or 5 times a power of ten that is not below ``rough``, which is positive."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next((power * factor for factor in (1, 2, 5) if power * factor >= rough), power * 10)


def nice_ticks(low: float, high: float, wanted: int, *, whole: bool = False) -> list[float]:
    """About ``wanted`` round numbers within [low, high]: multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / max(1, wanted)
    if not rough > 0 or not math.isfinite(rough):
        return [low]
    return _multiples(low, high, max(1.0, nice_step(rough)) if whole else nice_step(rough)) or [low, high]


def _multiples(low: float, high: float, step: float) -> list[float]:
    first = math.ceil(low / step - 1e-9)
    numbers = range(first, first + _MOST_TICKS)
    return [step * number for number in numbers if step * number <= high + step * 1e-9]


def number_ticks(limits: Limits, wanted: int, *, whole: bool = False) -> list[Tick]:
    """Round numbers and their labels."""
    return [(tick, number_label(tick)) for tick in nice_ticks(*limits, wanted, whole=whole)]


def time_ticks(limits: Limits, wanted: int) -> list[Tick]:
    """Round times in seconds: ``0:30``, ``1:00:00``."""
    rough = max(1e-9, (limits[1] - limits[0]) / max(1, wanted))
    step = next((float(step) for step in _TIMES if step >= rough), 86_400.0 * math.ceil(rough / 86_400))
    return [(tick, duration(tick)) for tick in _multiples(*limits, step)]


def log_ticks(limits: Limits, wanted: int) -> list[Tick]:
    """Powers of ten within ``limits``, which are base-10 logarithms; round numbers between them where there are too few."""
    low, high = limits
    powers = [float(power) for power in range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)]
    if len(powers) > wanted:
        powers = powers[:: math.ceil(len(powers) / wanted)]
    if len(powers) >= 2:
        return [(power, number_label(10.0**power)) for power in powers]
    if not -300 < low < high < 300:
        return [(tick, f"1e{tick:g}") for tick in nice_ticks(low, high, wanted)]
    between = [
        math.log10(factor) + power for power in range(math.floor(low), math.ceil(high) + 1) for factor in (1, 2, 5)
    ]
    inside = [tick for tick in between if low - 1e-9 <= tick <= high + 1e-9]
    if len(inside) < 2:
        inside = [math.log10(value) for value in nice_ticks(10**low, 10**high, wanted) if value > 0]
    return [(tick, number_label(10.0**tick)) for tick in inside]


def number_label(value: float) -> str:
    """``value`` in few characters: ``0.5``, ``2000``, ``3e-4``."""
    if value == 0 or abs(value) < 1e-12:
        return "0"
    if 0.001 <= abs(value) < 100_000:
        return f"{value:.5g}"
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def spread_apart(low: float, high: float) -> Limits:
    """``low`` and ``high``, moved apart where they are equal."""
    if low < high:
        return low, high
    pad = abs(low) * 0.1 or 0.5
    return low - pad, low + pad


def outward(low: float, high: float) -> Limits:
    """Limits that hold [low, high] and change in round steps only, so that a chart stands still while values come."""
    low, high = spread_apart(low, high)
    step = nice_step((high - low) / 5)
    if not math.isfinite(step) or step <= 0 or (high - low) / step > 1e6:
        return low, high
    return step * math.floor(low / step + 1e-9), step * math.ceil(high / step - 1e-9)


def end_of_axis(last: float, total: float | None) -> float:
    """The right end of an axis whose values have come to ``last`` of ``total``: it grows in steps and ends at the total."""
    if last <= 0:
        return total or 1.0
    power = 10.0 ** math.floor(math.log10(last))
    end = next((power * factor for factor in _END_STEPS if power * factor >= last), power * 10)
    return max(last, total) if total is not None and end > total else end
