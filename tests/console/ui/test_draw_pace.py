"""The pace of drawing, by a clock of the test's own."""

from __future__ import annotations

from console.ui.draw_pace import QUIET_SECONDS, QUIET_TICK_SECONDS, TICK_SECONDS, DrawPace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def draws(pace: DrawPace, clock: Clock, seconds: float, *, moving: bool = False) -> int:
    """How often it draws within so many seconds of ticks."""
    count = 0
    for _ in range(round(seconds / TICK_SECONDS)):
        clock.now += TICK_SECONDS
        count += pace.is_due(moving=moving)
    return count


def test_it_draws_at_each_tick_until_nobody_has_touched_a_key_for_a_while() -> None:
    clock = Clock()
    pace = DrawPace(clock)
    assert draws(pace, clock, QUIET_SECONDS - TICK_SECONDS) == QUIET_SECONDS / TICK_SECONDS - 1
    assert draws(pace, clock, 60) in (60 / QUIET_TICK_SECONDS, 60 / QUIET_TICK_SECONDS + 1)


def test_after_a_key_it_draws_at_the_next_tick() -> None:
    clock = Clock()
    pace = DrawPace(clock)
    draws(pace, clock, 10 * QUIET_SECONDS)
    pace.note_input()
    clock.now += TICK_SECONDS
    assert pace.is_due(moving=False)


def test_what_moves_by_itself_is_always_drawn() -> None:
    clock = Clock()
    pace = DrawPace(clock)
    assert draws(pace, clock, 10 * QUIET_SECONDS, moving=True) == 10 * QUIET_SECONDS / TICK_SECONDS
