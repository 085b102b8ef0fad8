"""The results as JSON for programs and as plain text for people."""

from __future__ import annotations

from typing import Any

import msgspec

from console.results.records import Results, RunResult
from console.results.result_sections import result_sections
from console.results.tables import page_lines


def as_json(results: Results) -> str:
    """One JSON object; a number that does not exist is null."""
    body = msgspec.to_builtins(results) | {"runs": [_run_fields(run) for run in results.runs]}
    return msgspec.json.format(msgspec.json.encode(body), indent=2).decode()


def _run_fields(run: RunResult) -> dict[str, Any]:
    """A run with its head's scores at the top level; null where it has none."""
    fields: dict[str, Any] = msgspec.to_builtins(run)
    head = fields.pop("head") or dict.fromkeys(("top1", "top3", "coherence", "margins", "tiers"))
    return {**fields, **head}


def as_text(results: Results) -> str:
    """The page that view 4 shows, without styles."""
    return "\n".join("".join(part.text for part in line).rstrip() for line in page_lines(result_sections(results)))
