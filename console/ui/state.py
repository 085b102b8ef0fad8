"""State of the preflight and of the verification, which the app keeps and several views are drawn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from console.format import seconds_left

if TYPE_CHECKING:  # hashing and checks, which the first paint does without
    from console.hosts.preflight.checks import Check
    from console.hosts.pull.verify import VerifyResult
    from console.runs.snapshot import Snapshot


class RepairProgress(Struct, frozen=True):
    """A repair: the name of its check, its last step, and its error if it failed; times by ``time.monotonic()``."""

    check: str
    started_at: float
    step: str = ""
    ended_at: float | None = None
    error: str = ""


class PreflightState(Struct, frozen=True):
    """The last preflight of the host; times are by ``time.monotonic()``.

    Attributes:
        checks: what was found; none before the first preflight.
        checked_at, started_at: when the last preflight ended, and when the present one started, if any.
        error: why the last preflight failed; ``checks`` are then those of the one before.
        repair: the last repair.
    """

    checks: tuple[Check, ...] = ()
    checked_at: float | None = None
    started_at: float | None = None
    error: str = ""
    repair: RepairProgress | None = None

    @property
    def repairing(self) -> bool:
        """Whether a repair is under way."""
        return self.repair is not None and self.repair.ended_at is None

    def finished(self, checks: tuple[Check, ...], now: float) -> PreflightState:
        """The state after a preflight that found ``checks``."""
        return replace(self, checks=checks, checked_at=now, started_at=None, error="")

    def failed(self, error: str) -> PreflightState:
        """The state after a preflight that failed; the old checks stay."""
        return replace(self, started_at=None, error=error)

    def with_repair(self, **changes: object) -> PreflightState:
        """The state with fields of the repair changed; unchanged without a repair."""
        return replace(self, repair=self.repair and replace(self.repair, **changes))


class VerifyState(Struct, frozen=True):
    """The last verification of the local copy; times are by ``time.monotonic()``.

    Attributes:
        result: what was read so far; None before the first progress.
        started_at: when it started; 0.0 if there was none.
        ended_at: when it ended; None while it runs.
        error: why it ended early.
    """

    result: VerifyResult | None = None
    started_at: float = 0.0
    ended_at: float | None = None
    error: str = ""

    @property
    def running(self) -> bool:
        """Whether it has started and not ended."""
        return self.started_at > 0 and self.ended_at is None

    def seconds_left(self, now: float) -> float | None:
        """Seconds until its end at its rate so far; None before it has one."""
        if self.result is None:
            return None
        return seconds_left(self.result.bytes_read, self.result.bytes_total, now - self.started_at)


class WhenDoneState(Struct, frozen=True):
    """The operator's command for when all is done, in this session.

    Attributes:
        argv: what is run; empty if the host's entry names nothing, or this console may not change the host.
        problem: why it cannot be run.
        off: the operator has turned it off.
        armed: a run was active, or launched, while this console had the lease, and the command was not run since.
        waits_for: why not all is done, in one line.
        outcome: what came of the last run of it; "" before one.
    """

    argv: tuple[str, ...] = ()
    problem: str = ""
    off: bool = False
    armed: bool = False
    waits_for: str = ""
    outcome: str = ""

    @property
    def ready(self) -> bool:
        """Whether the command is run once all is done."""
        return bool(self.argv) and not self.problem and not self.off and self.armed

    def updated(self, snapshot: Snapshot) -> WhenDoneState:
        """Armed by an active run; disarmed if another console has the lease, which then runs the command itself."""
        host = snapshot.host
        if host.lease:
            return replace(self, armed=False, waits_for="")
        if self.armed or host.link != "up" or not host.runs_reported:
            return self
        return replace(self, armed=any(view.active for view in snapshot.runs.values()))
