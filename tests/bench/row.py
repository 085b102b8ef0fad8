"""One comparison: ours, the peer's, and the ratio against its goal."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from msgspec import Struct


class Row(Struct, frozen=True):
    """A row of ``bench.json``.

    ``ours`` and ``peer`` are medians in seconds; ``ratio`` is the median of ours / peer, pair by pair; ``goal`` is the
    most it may be; ``spread`` is the interquartile range of the ratios.
    """

    name: str
    ours: float
    peer: float
    ratio: float
    goal: float
    met: bool
    spread: float
    note: str


def row(name: str, pairs: Sequence[tuple[float, float]], goal: float, note: str) -> Row:
    """A row out of (ours, peer) seconds, measured in turn."""
    ratios = [ours / peer for ours, peer in pairs]
    ratio = statistics.median(ratios)
    low, _, high = statistics.quantiles(ratios, n=4)
    ours, peer = (statistics.median(side) for side in zip(*pairs, strict=True))
    return Row(name, ours, peer, ratio, goal, ratio <= goal, high - low, note)
