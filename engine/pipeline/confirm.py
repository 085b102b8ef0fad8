"""The sealed confirm split: it is scored for a decision only, which is recorded with who made it, when and why."""

from __future__ import annotations

import getpass
import socket
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from engine.contract.durable import write_durably
from engine.contract.file_lock import locked
from engine.contract.run_folder import RunFolder

RECORD = "confirm.json"
"""The decision, beside the scores."""

LOG = "confirm.jsonl"
"""All decisions of a workspace, in its folder of datasets: scores may be deleted, that they were looked at may not."""


class Decision(Struct, frozen=True):
    """Why the confirm split was scored: ``who`` is user@machine, ``at`` UTC in ISO 8601, ``subject`` what was scored.

    ``previous`` counts the decisions that this workspace had recorded on the same split: each makes the split less of a
    surprise.
    """

    reason: str
    who: str
    at: str
    subject: str
    confirm_fingerprint: str
    previous: int = 0


def record_decision(
    reason: str, subject: str, confirm_fingerprint: str, output: RunFolder, workspace: Path
) -> Decision:
    """Record durably that the confirm split is about to be scored, in ``output`` and in the workspace's log.

    Args:
        reason: the decision that the scores are for.
        subject: what is scored, such as ``A/42``.
    """
    log = workspace / "data" / LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    with locked(log.with_suffix(".lock")):
        content = log.read_bytes() if log.exists() else b""
        recorded = [msgspec.json.decode(line, type=Decision) for line in content.splitlines()]
        decision = Decision(
            reason=reason,
            who=f"{getpass.getuser()}@{socket.gethostname()}",
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            subject=subject,
            confirm_fingerprint=confirm_fingerprint,
            previous=sum(one.confirm_fingerprint == confirm_fingerprint for one in recorded),
        )
        write_durably(log, content + msgspec.json.encode(decision) + b"\n")
    output.root.mkdir(parents=True, exist_ok=True)
    write_durably(output.root / RECORD, msgspec.json.format(msgspec.json.encode(decision)) + b"\n")
    return decision
