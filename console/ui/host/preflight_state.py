"""What the console knows of the host's fitness for runs: the checks, how old they are, and a repair under way."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct
from msgspec.structs import replace

from console.format import counted
from console.hosts.preflight.checks import Check, worst_status


class RepairProgress(Struct, frozen=True):
    """A repair: which check's, since when by ``time.monotonic()``, what it said last, and how it ended, if it did."""

    check: str
    since: float
    line: str = ""
    ended: float | None = None
    trouble: str = ""


class PreflightState(Struct, frozen=True):
    """The last look at the host; times are by ``time.monotonic()``.

    Attributes:
        checks: what was found; none before the first look.
        looked_at, looking_since: when the last look ended, and when the present one began, if there is one.
        trouble: why the last look came to nothing; the checks are then those of the look before.
        repair: the last repair asked for.
    """

    checks: tuple[Check, ...] = ()
    looked_at: float | None = None
    looking_since: float | None = None
    trouble: str = ""
    repair: RepairProgress | None = None

    @property
    def repairing(self) -> bool:
        """A repair is under way."""
        return self.repair is not None and self.repair.ended is None

    def began(self, now: float) -> PreflightState:
        """A look begins."""
        return replace(self, looking_since=now)

    def found(self, checks: tuple[Check, ...], now: float) -> PreflightState:
        """It ended with ``checks``."""
        return replace(self, checks=checks, looked_at=now, looking_since=None, trouble="")

    def failed(self, trouble: str) -> PreflightState:
        """It came to nothing."""
        return replace(self, looking_since=None, trouble=trouble)

    def repair_began(self, check: str, now: float) -> PreflightState:
        """A repair begins."""
        return replace(self, repair=RepairProgress(check, now))

    def repair_said(self, line: str) -> PreflightState:
        """It got on."""
        return replace(self, repair=self.repair and replace(self.repair, line=line))

    def repair_ended(self, now: float, trouble: str = "") -> PreflightState:
        """It ended, or is no longer waited for."""
        return replace(self, repair=self.repair and replace(self.repair, ended=now, trouble=trouble))

    def repair_seen(self) -> PreflightState:
        """What came of a repair has been seen."""
        return self if self.repairing else replace(self, repair=None)


def first_concern(checks: tuple[Check, ...]) -> int:
    """The place of the check to see to first: a blocker, else a warning, else the first."""
    return next((place for place, check in enumerate(checks) if check.status == worst_status(checks)), 0)


def verdict(checks: tuple[Check, ...]) -> str:
    """``1 blocker, 2 warnings``; ``all well`` where there are none."""
    counts = Counter(check.status for check in checks)
    concerns = [counted(counts[status], status) for status in ("blocker", "warning") if counts[status]]
    return ", ".join(concerns) or "all well"
