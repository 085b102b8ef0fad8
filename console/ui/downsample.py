"""Fewer points that look the same: deterministic min/max down-sampling of a curve."""

from __future__ import annotations

from collections.abc import Sequence

LIMIT = 1e100


def finite(xs: Sequence[float], ys: Sequence[float]) -> tuple[list[float], list[float], list[float]]:
    """The points whose both coordinates can be drawn, and the x of those whose y cannot.

    Beyond ``LIMIT`` a number is treated like infinity: sums and squares of such numbers overflow.
    """
    kept_xs: list[float] = []
    kept_ys: list[float] = []
    broken: list[float] = []
    for x, y in zip(xs, ys, strict=True):
        if not abs(x) <= LIMIT:
            continue
        if abs(y) <= LIMIT:
            kept_xs.append(x)
            kept_ys.append(y)
        else:
            broken.append(x)
    return kept_xs, kept_ys, broken


def min_max(xs: Sequence[float], ys: Sequence[float], width: int) -> tuple[list[float], list[float]]:
    """At most ``2 * width`` of the points: the lowest and the highest of each of ``width`` buckets, in their order.

    Buckets are cut by index and of one power-of-two size, so while a curve grows its old buckets hold the same points
    (they merge when the size doubles) and the drawn curve does not jump. The lowest and highest points always stay.

    Raises:
        ValueError: ``width`` is not positive, or the lengths differ.
    """
    if width < 1:
        raise ValueError("a curve needs a width of at least 1")
    if len(xs) != len(ys):
        raise ValueError(f"{len(xs)} x for {len(ys)} y")
    count = len(xs)
    if count <= 2 * width:
        return list(xs), list(ys)
    bucket = 4
    while bucket * width < count:
        bucket *= 2
    kept: list[int] = []
    for start in range(0, count, bucket):
        block = ys[start : start + bucket]
        low, high = start + block.index(min(block)), start + block.index(max(block))
        kept.extend((low,) if low == high else (min(low, high), max(low, high)))
    return [xs[index] for index in kept], [ys[index] for index in kept]
