"""One small file of the host, read whole."""

from __future__ import annotations

from console.hosts.agent.frames import DATA, END, WHOLE
from console.hosts.agent.outflow import Outgoing
from console.hosts.sync.failure import SyncFailed
from console.hosts.sync.transfer_channel import TransferChannel
from console.sanitize import sanitize_line


class Content:
    """Collects one file of at most ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        self.content = b""
        self.whole = False
        self._limit = limit

    def take(self, kind: int, payload: bytes | memoryview) -> None:
        if kind == DATA and len(self.content) <= self._limit:
            self.content += payload[: self._limit + 1 - len(self.content)]
        elif kind == END:
            self.whole = payload[0] == WHOLE and len(self.content) <= self._limit


async def read_host_file(channel: TransferChannel, root: str, path: str, limit: int) -> bytes:
    """The content of ``path`` below the host's folder ``root``.

    Raises:
        LinkDown: the link failed.
        SyncFailed: it is not there, changes, or has more than ``limit`` bytes.
    """
    sink = Content(limit)
    channel.post({"op": "send", "root": root, "files": [Outgoing(path, None)]})
    await channel.answer(sink)
    if not sink.whole:
        raise SyncFailed(f"{sanitize_line(path)} cannot be read whole, or has more than {limit >> 20} MiB")
    return sink.content
