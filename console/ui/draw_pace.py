"""How often the screen follows the host: four times a second, once a second while nobody touches a key or the mouse."""

from __future__ import annotations

import time
from collections.abc import Callable

TICK_SECONDS = 0.25  # which a slow link can carry
QUIET_SECONDS = 10.0  # without input
QUIET_TICK_SECONDS = 1.0  # a laptop that shows runs all night spends a third of the power


class DrawPace:
    """Decides at each tick whether to draw what has changed.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._input_at = self._drawn_at = clock()

    def note_input(self) -> None:
        """Somebody pressed a key or moved the mouse: draw at full pace for some seconds."""
        self._input_at = self._clock()

    def is_due(self, *, moving: bool) -> bool:
        """Whether to draw now, which is then noted.

        Args:
            moving: what is shown moves by itself and is watched for that, as a log that is followed.
        """
        now = self._clock()
        quiet = not moving and now - self._input_at >= QUIET_SECONDS
        # half a tick less, as ticks come a little early or late
        if quiet and now - self._drawn_at < QUIET_TICK_SECONDS - TICK_SECONDS / 2:
            return False
        self._drawn_at = now
        return True
