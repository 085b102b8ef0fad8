"""ReplaySession: local copies shown as their runs were at one moment, which goes on, back, faster and slower."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from console.format import duration
from console.hosts.pull.local_runs import LocalRun
from console.local.experiment import LocalExperiment
from console.local.session import LocalSession
from console.runs.event_index import EventIndex, decode_lines, whole_lines
from console.runs.log_store import LogStore
from console.runs.log_times import LogTimes
from console.runs.run_view import RunView
from console.runs.snapshot import HostView, Link, Snapshot, SyncState
from engine.contract.events import Event
from engine.contract.run_folder import EVENTS, LOG, open_regular
from engine.contract.settings import RunId
from engine.contract.state import RunState

TICK_S = 0.25  # as the screen
SPEEDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
DEFAULT_SPEED = 60.0
SKIP_S = 10.0  # of replaying, at the present speed: a key press goes that far
_NOT_LAUNCHED = RunState("queued", "")


class ReplayLog(LogStore):
    """Log store that shows a log file up to a given size, as the log was at one moment of a replay."""

    def __init__(self, path: Path | None) -> None:
        super().__init__(path)
        self.size = 0

    @property
    def behind(self) -> bool:
        """Whether the log has bytes that are not known yet."""
        return self._scanned < self.size or (self._ended and self.size > self.index.offsets[-1])

    def show_size(self, size: int, *, whole: bool) -> None:
        """End the log after ``size`` bytes; ``whole``: its last line is complete."""
        if size < self.size:
            self.open(self.path)
        self.size = size
        if whole:
            self.end()

    def _read(self, offset: int, size: int) -> bytes:
        return super()._read(offset, min(size, self.size - offset))


class ReplayRun:
    """Replay of one run: its state, events and log at any moment. Methods block.

    Attributes:
        first, last: the host's Unix time in s of the first and last thing known of it; 0.0 if nothing is.
        view: as it was at the moment that was asked for last.
    """

    def __init__(self, local: LocalRun) -> None:
        self.run = local.run
        self.first = self.last = 0.0
        self.view = RunView(local.run)
        self.log = ReplayLog(None)
        self._local = local
        self._state = local.view.state
        self._events: EventIndex | None = None
        self._count = 0
        self._log_times: LogTimes | None = None
        self._sizes: tuple[int, int] = (0, 0)
        self._start = self._queued = self._end = 0.0

    def load(self) -> None:
        """Read the local copy as far as its files can be read; ``sync_state`` says why the events cannot."""
        folder, self._state = self._local.folder, self._local.view.state
        if folder is None:
            return
        with suppress(OSError):
            self._events = EventIndex(folder / EVENTS, RunView(self.run))
            self._log_times = LogTimes(folder / LOG, _events_in(folder / EVENTS))
            self.log = ReplayLog(folder / LOG)
        if self._events is None:
            return
        times, state = self._events.times, self._state
        earliest, latest = (times[0], times[-1]) if times else (0.0, 0.0)
        if state is not None:
            self._start = state.started_at or earliest
            self._queued = min(state.queued_at or self._start, self._start)
            self._end = max(state.ended_at, latest, self._start) if state.ended else float("inf")
        known = [one for one in (self._queued, earliest, self._start) if one > 0]
        self.first = min(known, default=0.0)
        self.last = max(latest, self._start, self._end if state is not None and state.ended else 0.0)

    def show(self, moment: float) -> bool:
        """Set ``view`` and ``log`` to what they were at ``moment``, host's Unix time in s; True if the view changed."""
        if self._events is None:
            return False
        count, state = self._events.count_at(moment), self.state_at(moment)
        if count == self._count and state == self.view.state:
            changed = False
        else:
            view = self._events.view(count, replace(self.view, state=None), self._count)
            self.view, self._count, changed = replace(view, state=state), count, True
        size = self._log_times.size_at(moment) if self._log_times is not None else 0
        if size != self.log.size:
            self.log.show_size(size, whole=state is not None and state.ended)
        return changed

    def state_at(self, moment: float) -> RunState | None:
        """The state at ``moment``, of which only the last launch is recorded; None before it, unless it had begun."""
        state = self._state
        if state is None or (state.ended and moment >= self._end):
            return state
        begun = self._events is not None and self._events.count_at(moment) > 0
        if moment >= self._start or (begun and moment < self._queued):
            return replace(
                state, state="running" if state.ended else state.state, reason="", exit_code=None, ended_at=0.0
            )
        if moment >= self._queued:
            return replace(state, state="queued", reason="", exit_code=None, started_at=0.0, ended_at=0.0)
        return None

    @property
    def has_ended(self) -> bool:
        """Whether the run has ended at the moment that is shown."""
        return self.view.state is not None and self.view.state.ended

    def sync_state(self) -> SyncState:
        """Sync state of the local copy once the run has ended; before that only why a file cannot be read."""
        return self._local.sync if self.has_ended else SyncState(note=self._local.error)


class ReplaySession(LocalSession):
    """Local copies as their runs were at one moment of the time from the first launch to the last end.

    Attributes:
        moment: seconds since the beginning of what is replayed; ``length`` is all of it.
        speed: seconds that pass in one.
        paused: the moment stands still.
    """

    LINK: Link = "replay"

    def __init__(self, found: LocalExperiment, speed: float = DEFAULT_SPEED) -> None:
        self.moment = self.length = 0.0
        self.speed = speed
        self.paused = False
        self._begin = self._finish = 0.0
        self._wake = asyncio.Event()
        self._replayed: dict[RunId, ReplayRun] = {}
        super().__init__(found)
        self._replayed = {run: ReplayRun(local) for run, local in self._runs.items()}
        self._shown: float | None = None
        self._notify()

    def _host(self) -> HostView:
        return replace(super()._host(), detail=self.text)

    @property
    def text(self) -> str:
        """``replay 00:41:10 of 2:03:00, 60x``."""
        if not self.ready.is_set():
            return "reading the local copies"
        hours, rest = divmod(int(self.moment), 3600)
        speed = "paused" if self.paused else f"{self.speed:g}x"
        return f"replay {hours:02d}:{rest // 60:02d}:{rest % 60:02d} of {duration(self.length)}, {speed}"

    def _new_snapshot(self) -> Snapshot:
        snapshot = super()._new_snapshot()
        if not self._replayed:
            return snapshot
        views = {run: one.view for run, one in self._replayed.items()}
        return replace(snapshot, runs=views, sync_states={run: one.sync_state() for run, one in self._replayed.items()})

    def log(self, run: RunId) -> LogStore:
        """The log of a run as it was at the moment."""
        return self._replayed[run].log

    async def load(self) -> None:
        """Read the runs, and show them as they were at the beginning."""
        for run, local in self._runs.items():
            await asyncio.to_thread(local.refresh)
            await asyncio.to_thread(self._replayed[run].load)
        known = [one for one in self._replayed.values() if one.first > 0]
        self._begin = min((one.first for one in known), default=0.0)
        self._finish = max((one.last for one in known), default=0.0)
        self.length = self._finish - self._begin
        self.ready.set()
        await self.show()

    async def run(self) -> None:
        """Read the runs, then go on until cancelled."""
        await self.load()
        last = time.monotonic()
        while True:
            now = time.monotonic()
            if not self.paused:
                self.go_to(self.moment + (now - last) * self.speed)
            last = now
            await self.show()
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._wake.wait()

    async def show(self) -> None:
        """Set the runs to what they were at ``moment``, if that has changed."""
        while self._shown != self.moment:
            moment = self.moment
            await asyncio.to_thread(self.show_now, moment)
            self._shown = moment
        if self._snapshot.host.detail != self.text:
            self._notify()

    def show_now(self, moment: float) -> None:
        """Set the runs to what they were ``moment`` seconds after the beginning. Blocks."""
        at = self._finish if moment >= self.length else self._begin + moment  # a sum may round to before the end
        for one in self._replayed.values():
            one.show(at)

    def go_to(self, moment: float) -> None:
        """Go to ``moment``, within what there is; at the end it is paused."""
        self._wake.set()
        self.moment = min(max(0.0, moment), self.length)
        self.paused = self.paused or self.moment >= self.length

    def toggle_pause(self) -> None:
        """Pause or go on; at the end, from the beginning."""
        self._wake.set()
        if self.paused and self.moment >= self.length:
            self.moment = 0.0
        self.paused = not self.paused

    def skip(self, by: int) -> None:
        """Move forward or back by what ten seconds show at the present speed."""
        if by < 0 and self.moment >= self.length:
            self.paused = True
        self.go_to(self.moment + by * SKIP_S * self.speed)

    def change_speed(self, by: int) -> None:
        """Replay at the next higher speed of ``SPEEDS`` if ``by`` is 1, at the next lower one if it is -1."""
        at = bisect_right(SPEEDS, self.speed) - 1 + (by if by > 0 or self.speed in SPEEDS else 0)
        self._wake.set()
        self.speed = SPEEDS[min(max(0, at), len(SPEEDS) - 1)]

    def _known_of_runs(self) -> tuple[dict[RunId, RunState | None], dict[RunId, str]]:
        """States for the results: the copy of a run that has not ended at the moment is of no launch that counts."""
        states, damaged = super()._known_of_runs()
        return {
            run: state if state is not None and state.ended else replace(state or _NOT_LAUNCHED, key="")
            for run, state in states.items()
        }, damaged


def _events_in(path: Path) -> Iterator[Event]:
    """The events of a file, read when they are first wanted."""
    try:
        file = open_regular(path)
    except FileNotFoundError:
        return
    with file:
        yield from (event for event in decode_lines(line for line, _ in whole_lines(file)) if event is not None)
