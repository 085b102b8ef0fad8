"""Message on the end of a run: title and body in the console's own words, made on the host from the sealed run."""

from __future__ import annotations

import math
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.hosts.agent.workspace import ABORT, read_json
from engine.contract.run_folder import METRICS

if TYPE_CHECKING:
    from console.hosts.agent.launches import Launch

LABELS = {"retrieval_top1": "top-1", "retrieval_top3": "top-3", "coherence_accuracy": "coherence"}
"""Names of the gated metrics for people; as in ``console.format``, which is not shipped to a host."""
KINDS = {"finished": "success", "failed": "failure", "aborted": "warning", "lost": "failure"}
MAX_TITLE, MAX_TEXT = 200, 400
MAX_GATES = 20  # a message fits in a pipe, whatever a run has written


def message_of(launch: Launch, state: dict[str, Any]) -> dict[str, str] | None:
    """``title``, ``body`` and apprise's ``kind`` on the end of a launch; None if there is nothing to tell.

    Nothing is told of an abort that was requested from a console: who requested it knows.
    """
    event, run_folder = state.get("state"), launch.run_folder
    if event not in KINDS or run_folder is None or (event == "aborted" and (launch.folder / ABORT).exists()):
        return None
    reason = one_line(str(state.get("reason") or ""), MAX_TEXT)
    if event == "lost":
        reason = reason or "its supervisor is gone"
    scores, details = _scores(run_folder) if event == "finished" else ("", [])
    about = scores or reason
    host = one_line(str(launch.spec.get("notify", {}).get("host", "")), MAX_TEXT)
    where = one_line(run_folder.parent.name, MAX_TEXT) + (f" on {host}" if host else "")
    lines = [where, *details, *([reason] if reason else [])]
    title = f"{_label(run_folder)} {event}" + (f": {about}" if about else "")
    return {"title": one_line(title, MAX_TITLE), "body": "\n".join(lines), "kind": KINDS[str(event)]}


def _label(run_folder: Path) -> str:
    """``A/42`` of the folder ``A_seed42``."""
    condition, is_run, seed = run_folder.name.rpartition("_seed")
    return one_line(f"{condition}/{seed}" if is_run else run_folder.name, MAX_TITLE)


def _scores(run_folder: Path) -> tuple[str, list[str]]:
    """``top-1 43.1, coherence gate not passed``, and a line for each gate; empty where the metrics cannot be read."""
    gates = (read_json(run_folder / METRICS) or {}).get("gates")
    if not isinstance(gates, list) or not all(isinstance(gate, dict) for gate in gates):
        return "", []
    values = {str(gate.get("gate")): _percent(gate.get("value")) for gate in gates}
    failed = [_metric(gate.get("gate")) for gate in gates if gate.get("passed") is not True]
    if len(failed) > 1:
        verdict = f"{', '.join(failed[:-1])} and {failed[-1]} gates not passed"
    else:
        verdict = f"{failed[0]} gate not passed" if failed else "all gates passed" if gates else ""
    top1 = f"top-1 {values['retrieval_top1']}" if "retrieval_top1" in values else ""
    lines = [
        f"{_metric(gate.get('gate'))} {_percent(gate.get('value'))}, gate {_percent(gate.get('threshold'))}: "
        + ("passed" if gate.get("passed") is True else "not passed")
        for gate in gates[:MAX_GATES]
    ]
    return ", ".join(part for part in (top1, verdict) if part), lines


def _metric(name: object) -> str:
    return one_line(LABELS.get(str(name), str(name)), 60)


def _percent(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return "-"
    return f"{100 * value:.1f}"


def one_line(text: str, limit: int) -> str:
    """``text`` without control characters and line breaks, cut to ``limit`` characters: a job's log is anybody's text."""
    safe = "".join(" " if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else one for one in text)
    line = " ".join(safe.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."
