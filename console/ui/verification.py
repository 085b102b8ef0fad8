"""What the console knows of a check of the capsules at home against their manifests: the last one, or the one under way."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from console.hosts.home_check import HomeCheck


class Verification(Struct, frozen=True):
    """One check; times are by ``time.monotonic()``.

    Attributes:
        check: how far it is, or what it found; None before the first.
        since: when it began.
        ended: when it ended; None while it goes on.
        trouble: why it came to nothing.
    """

    check: HomeCheck | None = None
    since: float = 0.0
    ended: float | None = None
    trouble: str = ""

    @property
    def going_on(self) -> bool:
        """It has begun and not ended."""
        return self.since > 0 and self.ended is None

    def got_on(self, check: HomeCheck) -> Verification:
        """It read more."""
        return replace(self, check=check)

    def over(self, now: float, trouble: str = "") -> Verification:
        """It ended."""
        return replace(self, ended=now, trouble=trouble)

    def left(self, now: float) -> float | None:
        """Seconds to its end at its pace so far; None before it has one."""
        if self.check is None or not self.check.bytes_read:
            return None
        return (self.check.bytes_total - self.check.bytes_read) * (now - self.since) / self.check.bytes_read
