"""Folders of local runs as a sync leaves them, made in milliseconds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from engine.contract.events import Body, Event, encode
from engine.contract.experiment import Experiment
from engine.contract.run_folder import EVENTS, LOG, MANIFEST, SPEC, STATE, StateName, build_manifest
from engine.contract.settings import RunId, Spec, resolve
from engine.contract.state import RunState

KEY = "0123456789abcdef" * 2


def write_run(
    folder: Path,
    experiment: Experiment,
    profile: str,
    run: RunId,
    bodies: Iterable[Body] = (),
    *,
    state: StateName = "finished",
    start: float = 1000.0,
    log: bytes = b"",
    sealed: bool = True,
) -> Path:
    """Write a run that said ``bodies``, one a second from ``start`` on, queued 10 s and started 5 s before the first."""
    own = folder / str(run) if sealed else folder / ".live" / str(run) / KEY
    own.mkdir(parents=True, exist_ok=True)
    events = [Event(seq, start + seq, body) for seq, body in enumerate(bodies)]
    (own / EVENTS).write_bytes(b"".join(encode(event) + b"\n" for event in events))
    (own / LOG).write_bytes(log)
    end = start + len(events) if state not in ("queued", "running") else 0.0
    told = RunState(state, KEY, queued_at=start - 10, started_at=start - 5, ended_at=end)
    (own / STATE).write_bytes(msgspec.json.encode(told))
    settings = resolve(experiment, profile, run)
    spec = Spec(settings, settings.fingerprint(), "d", "m", "e", "cpu", {}, "")
    if sealed:
        (own / SPEC).write_bytes(msgspec.json.encode(spec))
        (own / MANIFEST).write_bytes(msgspec.json.encode(build_manifest(own, KEY)))
    return own
