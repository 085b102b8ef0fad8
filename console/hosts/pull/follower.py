"""Turns what the agent's polls bring into run views and logs; keeps the byte offsets from which to go on."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from console.hosts.ssh.errors import LinkDown
from console.runs.log_buffer import LogBuffer
from console.runs.run_view import RunView, reduce, with_state
from console.sanitize import sanitize_line
from engine.contract import events, state
from engine.contract.settings import RunId

MAX_EVENT_LINE = 1 << 20


class _Stream:
    """One run's event stream under one launch: how far it was read, and the line that is not whole yet."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.events_at = 0
        self.log_at: int | None = None
        self.partial = b""
        self.skipping = False


class RunFollower:
    """The runs of one experiment and profile as the host's bytes tell of them."""

    def __init__(self, runs: tuple[RunId, ...]) -> None:
        self.views = {run: RunView(run) for run in runs}
        self.logs = {run: LogBuffer() for run in runs}
        self.sealed: dict[RunId, str] = {}
        self._names = {str(run): run for run in runs}
        self._streams: dict[RunId, _Stream] = {}
        self._digest = ""

    def request(self) -> dict[str, Any]:
        """The arguments of the next poll: what is known already."""
        offsets: dict[str, dict[str, Any]] = {}
        for run, stream in self._streams.items():
            known = offsets[str(run)] = {"key": stream.key, "events": stream.events_at}
            if stream.log_at is not None:
                known["log"] = stream.log_at
        return {"digest": self._digest, "offsets": offsets}

    def absorb(self, reply: dict[str, Any]) -> bool:
        """Take one reply in; True if anything changed.

        Raises:
            LinkDown: the reply has not the shape of one.
        """
        before = dict(self.views)
        lines = sum(log.total for log in self.logs.values())
        try:
            self._absorb_states(reply["states"])
            writing = set()
            for name, key, file, offset, content in reply["chunks"]:
                if (run := self._names.get(name)) is not None:
                    self._absorb_chunk(run, str(key), str(file), int(offset), base64.b64decode(content, validate=True))
                    writing.add(run)
            for run, view in self.views.items():
                if view.state is not None and view.state.ended and run not in writing:
                    self.logs[run].end()
            self.sealed = {self._names[name]: key for name, key in reply["sealed"].items() if name in self._names}
            self._digest = str(reply["digest"])
        except (KeyError, TypeError, ValueError, AttributeError, binascii.Error, msgspec.MsgspecError) as error:
            raise LinkDown(f"the agent's reply cannot be understood: {sanitize_line(str(error))}") from error
        return before != self.views or lines != sum(log.total for log in self.logs.values())

    def _absorb_states(self, states: dict[str, Any]) -> None:
        for run, view in self.views.items():
            said = states.get(str(run))
            now = None if said is None else msgspec.convert(said, state.RunState)
            if now is not None:
                now = msgspec.structs.replace(now, reason=sanitize_line(now.reason))
            self.views[run] = with_state(view, now)
            if now is not None and (run not in self._streams or self._streams[run].key != now.key):
                self._streams[run] = _Stream(now.key)
                self.logs[run].clear()

    def _absorb_chunk(self, run: RunId, key: str, file: str, offset: int, content: bytes) -> None:
        stream = self._streams[run]
        if stream.key != key:
            return
        if file == "log":
            if stream.log_at is not None and offset != stream.log_at:
                self.logs[run].clear()
            self.logs[run].feed(content)
            stream.log_at = offset + len(content)
            return
        if offset != stream.events_at:
            stream.partial, stream.skipping = b"", False
            if offset == 0:  # the run started over in its place, as Slurm does with a requeued job: another stream
                self.views[run] = RunView(run, state=self.views[run].state)
        stream.events_at = offset + len(content)
        self._absorb_events(run, stream, content)

    def _absorb_events(self, run: RunId, stream: _Stream, content: bytes) -> None:
        """Parse whole lines only; a line that is no event is counted and passed over, and so is one without an end."""
        *lines, stream.partial = (stream.partial + content).split(b"\n")
        found, rejected = [], 0
        for line in lines:
            if stream.skipping:
                stream.skipping = False
                continue
            try:
                found.append(events.decode(line))
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                rejected += 1
        if len(stream.partial) > MAX_EVENT_LINE:
            rejected += not stream.skipping
            stream.partial, stream.skipping = b"", True
        view = reduce(self.views[run], found)
        if rejected:
            view = msgspec.structs.replace(view, rejected=view.rejected + rejected)
        self.views[run] = view
