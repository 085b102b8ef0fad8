"""Staleness: whether what is shown of a host is as of now, and as of when it is if not. Pure."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from console.format import whole_age
from console.runs.snapshot import HostView

POLL_WAIT_S = 2.0
"""Seconds that a host waits for news before it replies to a poll: without any, its replies are that far apart."""
STALE_AFTER_S = 3 * POLL_WAIT_S
"""Silence that makes a host's data stale: three polls in a row without a reply, since a single late one is a slow link."""

Kind = Literal["fresh", "silent", "connecting", "not reached", "no host"]


class Staleness(Struct, frozen=True):
    """Age of what is shown of a host: as of now, of its last reply, or of the local copy.

    Attributes:
        kind: ``fresh``: as of now. ``silent``: as of its last reply. ``connecting``, ``not reached``: it has not reported
            its runs in this session yet, or cannot be reached, so that all is as of the local copy. ``no host``: only local
            copies are shown, and no host is asked.
        seconds: age of the last reply of a silent host, else 0.0.
    """

    kind: Kind
    seconds: float = 0.0

    def __bool__(self) -> bool:
        """Whether the host's data are marked."""
        return self.kind != "fresh"

    @property
    def note(self) -> str:
        """``as of 5 min ago``; ``local copy, host not reached``; ``local copy``; "" where all is fresh."""
        match self.kind:
            case "fresh":
                return ""
            case "silent":
                return f"as of {whole_age(self.seconds)} ago"
            case "not reached":
                return "local copy, host not reached"
            case "connecting" | "no host":
                return "local copy"

    @property
    def short(self) -> str:
        """``5 min ago``, for narrow places; ``local copy`` where the host has not replied; "" where all is fresh."""
        return f"{whole_age(self.seconds)} ago" if self.kind == "silent" else "local copy" if self else ""


FRESH = Staleness("fresh")


def staleness(host: HostView, now: float) -> Staleness:
    """Staleness of all that is known of ``host`` at ``now``, by ``time.monotonic()``."""
    if host.link == "local":
        return Staleness("no host")
    if host.link == "replay":  # shown as it was at a moment that is named beside it
        return FRESH
    if not host.runs_reported:
        return Staleness("not reached" if host.link in ("lost", "closed") else "connecting")
    silence = now - host.last_reply_at
    return Staleness("silent", silence) if silence > STALE_AFTER_S else FRESH
