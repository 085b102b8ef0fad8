"""Pace of a transfer: how many bytes may be in flight, so that polls and other control need not queue behind them."""

from __future__ import annotations

import time
from collections.abc import Callable

FIRST_WINDOW = 64 << 10
MIN_WINDOW = 32 << 10
MAX_WINDOW = 8 << 20  # at a round trip of 200 ms that allows 40 MB/s
MAX_GROWTH = 4.0
QUEUE_S = 1.0  # of the link's capacity: what waits behind the bytes in flight, such as a poll's reply, is this late
MAX_QUEUE_S = 5.0


class Pace:
    """Window of one transfer: the most bytes that may be sent and not yet delivered.

    It follows the measured rate: as much as the link carries in a second, or in two round trips where these are longer.
    That is more than the link needs to be full, and little enough for a reply behind it to arrive in time.

    Attributes:
        window: in bytes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.window = FIRST_WINDOW
        self._clock = clock
        self._round_trip = MAX_QUEUE_S  # seconds, the shortest seen
        self._round: tuple[float, int, int] | None = None

    def start(self, permitted: int) -> None:
        """Note that a stream begins, of which ``permitted`` bytes may be sent."""
        self._round = (self._clock(), 0, permitted)

    def update(self, permitted: int, delivered: int) -> None:
        """Adapt the window: ``delivered`` bytes of the stream have arrived, ``permitted`` were sent or may be sent.

        A round ends when all that was permitted at its begin is delivered. It takes a round trip at the least.
        """
        if self._round is None:
            self.start(permitted)
            return
        since, before, target = self._round
        now = self._clock()
        seconds = max(now - since, 1e-6)
        if delivered >= target or not before:  # the first byte, or all that was permitted when the round began
            self._round_trip = min(self._round_trip, seconds)
        if delivered < target:
            return
        queue_s = min(MAX_QUEUE_S, max(QUEUE_S, 2 * self._round_trip))
        wanted = min((delivered - before) / seconds * queue_s, MAX_GROWTH * self.window)
        self.window = int(min(MAX_WINDOW, max(MIN_WINDOW, wanted)))
        self._round = (now, delivered, permitted)
