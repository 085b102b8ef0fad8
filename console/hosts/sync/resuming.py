"""Where to go on with a file that a broken sync left on its way."""

from __future__ import annotations

from collections.abc import Mapping

from console.hosts.agent.census import Entry
from console.hosts.agent.outflow import Outgoing
from console.hosts.agent.staging import staged_name


def gone_on_with(entry: Entry, staged: Mapping[str, tuple[int, str]]) -> Outgoing:
    """``entry`` from the byte it came to, if that is a beginning of it; who sends it compares the hash of what came."""
    offset, prefix = staged.get(staged_name(entry), (0, ""))
    return (
        Outgoing(entry.path, entry.size, offset, prefix) if offset <= entry.size else Outgoing(entry.path, entry.size)
    )
