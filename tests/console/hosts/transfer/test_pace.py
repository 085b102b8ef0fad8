"""The window of a transfer follows the link: full, and no longer to queue behind than polls can bear."""

from __future__ import annotations

from collections import deque

import pytest

from console.hosts.transfer.pace import FIRST_WINDOW, MAX_QUEUE_S, MAX_WINDOW, MIN_WINDOW, QUEUE_S, Pace

CHUNK = 4096


class SimulatedLink:
    """A link of ``rate`` bytes a second and a round trip of ``round_trip`` seconds, which a transfer keeps busy."""

    def __init__(self, rate: float, round_trip: float) -> None:
        self.rate = rate
        self.now = 0.0
        self.delivered = 0
        self.late: list[float] = []
        self.pace = Pace(lambda: self.now)
        self._round_trip = round_trip
        self._in_flight: deque[tuple[float, int]] = deque()
        self._sent = 0
        self._free_at = 0.0
        self.pace.start(self.pace.window)

    def run(self, seconds: float) -> None:
        """Send for so long; ``late`` has how long each chunk took."""
        end = self.now + seconds
        while self.now < end:
            while self._sent - self.delivered < self.pace.window:
                self._free_at = max(self._free_at, self.now) + CHUNK / self.rate
                self._in_flight.append((self._free_at + self._round_trip, CHUNK))
                self._sent += CHUNK
                self.late.append(self._free_at + self._round_trip - self.now)
            self.now, size = self._in_flight.popleft()
            self.delivered += size
            self.pace.update(self._sent, self.delivered)


@pytest.mark.parametrize("rate", [20e3, 60e3, 1e6, 30e6])
@pytest.mark.parametrize("round_trip", [0.001, 0.05, 0.2, 0.6])
def test_a_link_is_full_and_nothing_queues_for_long(rate: float, round_trip: float) -> None:
    link = SimulatedLink(rate, round_trip)
    link.run(20)
    link.late.clear()
    before = link.delivered
    link.run(20)
    possible = min(rate, MAX_WINDOW / (round_trip + CHUNK / rate))
    assert link.delivered - before > 0.9 * 20 * possible
    assert max(link.late) < MAX_QUEUE_S + round_trip


def test_at_60_kilobytes_a_second_a_reply_waits_little_from_the_first_byte_on() -> None:
    link = SimulatedLink(60e3, 0.05)
    link.run(60)
    assert max(link.late) < 3 * QUEUE_S


def test_a_fast_link_has_its_whole_window_after_a_few_round_trips() -> None:
    link = SimulatedLink(1e9, 0.2)
    link.run(1.8)
    assert link.pace.window == MAX_WINDOW


def test_a_link_that_becomes_slow_has_a_small_window_after_one_round() -> None:
    link = SimulatedLink(2e6, 0.05)
    link.run(10)
    assert link.pace.window > 1e6
    link.rate = 60e3
    link.run(60)
    assert MIN_WINDOW <= link.pace.window < 3 * QUEUE_S * 60e3


def test_bytes_that_were_held_up_and_arrive_at_once_do_not_open_the_window() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    pace.start(FIRST_WINDOW)
    now = 20.0
    pace.update(FIRST_WINDOW, FIRST_WINDOW)
    assert pace.window == MIN_WINDOW


def test_a_reply_that_is_shorter_than_the_window_tells_nothing() -> None:
    pace = Pace(lambda: 100.0)
    pace.start(FIRST_WINDOW)
    pace.update(FIRST_WINDOW, FIRST_WINDOW - 1)
    assert pace.window == FIRST_WINDOW
