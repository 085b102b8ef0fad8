"""What later launches of a run have set aside on the host, and can be restored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from console.sanitize import sanitize_line


class SetAsideLaunch(Struct, frozen=True):
    """One launch of a run that a later one has set aside; all texts are safe to show.

    Attributes:
        key: by which it can be restored.
        ended_at: the host's Unix time in seconds; 0.0 where it recorded no end.
        results, checkpoint: whether it has them.
    """

    key: str
    state: str = ""
    reason: str = ""
    ended_at: float = 0.0
    results: bool = False
    checkpoint: bool = False

    @property
    def content_text(self) -> str:
        """``results, checkpoint``; ``nothing`` if it has neither."""
        names = [name for name, has in (("results", self.results), ("checkpoint", self.checkpoint)) if has]
        return ", ".join(names) or "nothing"


class SetAside(Struct, frozen=True):
    """All that was set aside of a run, newest first, and the key of the present launch; "" if there is none."""

    present: str
    launches: tuple[SetAsideLaunch, ...]


def decode_set_aside(reply: Mapping[str, Any]) -> SetAside:
    """Decode the agent's ``reply`` and sanitize its texts; raises ValidationError."""
    found = msgspec.convert(reply, SetAside)
    launches = tuple(
        replace(one, key=sanitize_line(one.key), state=sanitize_line(one.state), reason=sanitize_line(one.reason))
        for one in found.launches
    )
    return SetAside(sanitize_line(found.present), launches)
