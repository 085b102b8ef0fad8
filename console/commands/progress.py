"""Progress of a command as NDJSON on stderr: ``--progress ndjson``."""

from __future__ import annotations

import time
from typing import Any

from console.commands.answers import ProgressLine, json_line
from console.commands.output import ProgressKind, progress_as_ndjson


def use_ndjson(command: str) -> None:
    """Write progress and errors of ``command`` as JSON, a line each, from now on."""

    def as_line(text: str, kind: ProgressKind, fields: dict[str, Any]) -> str:
        return json_line("progress", command, ProgressLine(round(time.time(), 3), kind, text, **fields))

    progress_as_ndjson(as_line)
