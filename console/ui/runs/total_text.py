"""The line of totals below the matrix: how far, how long, until when, and what it costs."""

from __future__ import annotations

import time

from textual.content import Content

from console.format import rough_duration
from console.runs.estimates import Estimate
from console.runs.staleness import FRESH, Staleness

_DAY_S = 86_400


def total_text(found: Estimate, now: float | None, stale: Staleness = FRESH) -> Content:
    """``total 6 of 15, about 41 min left, done by 02:14, 1.10 of about 2.30 EUR``; only what is known.

    ``now`` is our Unix time in s; None: what is shown is of another time, so no time of day follows.
    """
    parts = [f"{found.finished} of {found.total}"]
    if found.active:
        about = "at least" if found.at_least else "about"
        if found.seconds is None:
            parts.append(f"{found.active} active, time left not known yet")
        else:
            parts.append(f"{about} {rough_duration(found.seconds)} left")
            if not found.at_least and not stale and now is not None:
                parts.append(f"done by {clock_text(now + found.seconds, now)}")
    if found.spent is not None:
        cost = f"{found.spent:.2f}"
        if found.active and found.cost is not None:
            cost += f" of {'at least' if found.at_least else 'about'} {found.cost:.2f}"
        parts.append(f"{cost} {found.currency}")
    note = (f", {stale.note}", "$text-warning") if stale else ""
    return Content.assemble(("total ", "$foreground-muted"), ", ".join(parts), note)


def time_left_text(found: Estimate, stale: Staleness = FRESH) -> Content:
    """``about 41 min left``, for a screen without a line of totals; "" where nothing is active or known."""
    if not found.active or found.seconds is None:
        return Content("")
    text = f"{'over' if found.at_least else 'about'} {rough_duration(found.seconds)} left"
    return Content.styled(
        f"{text}, {stale.short}" if stale else text, "$text-warning" if stale else "$foreground-muted"
    )


def clock_text(at: float, now: float) -> str:
    """Local time of day of ``at``: ``02:14``; with the date where that is a day away or more: ``Sat 28 Nov 02:14``."""
    local = time.localtime(at)
    return time.strftime("%H:%M" if at - now < _DAY_S else "%a %d %b %H:%M", local)
