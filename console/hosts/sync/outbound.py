"""One batch of files on its way to the host."""

from __future__ import annotations

from collections.abc import Callable

from console.hosts.agent.outflow import outflow
from console.hosts.agent.rooted import Rooted
from console.hosts.sync.host_folder import HostFolder
from console.hosts.sync.moved import Moved, read_moved
from console.hosts.sync.plan import SyncPlan
from console.hosts.sync.request import SyncRequest
from console.hosts.sync.resuming import gone_on_with
from console.hosts.sync.transfer_channel import TransferChannel
from console.hosts.sync.verdict import Progress


async def send(
    channel: TransferChannel,
    request: SyncRequest,
    plan: SyncPlan,
    there: HostFolder,
    report: Callable[[Progress], None],
) -> Moved:
    """Send what ``plan`` moves, and have the host delete what it removes; what a broken push left is gone on from.

    Raises:
        LinkDown, NoRoom, SyncFailed: as of the channel.
    """
    outgoing = [gone_on_with(entry, there.staged) for entry in plan.move]
    done = sum(file.offset for file in outgoing)
    progress = Progress(len(plan.move), plan.size, done)

    def sent(length: int) -> None:
        nonlocal progress
        progress = Progress(progress.files, progress.bytes, min(progress.bytes, progress.bytes_done + length))
        report(progress)

    report(progress)
    channel.post({"op": "receive", "root": request.remote, "files": plan.move, "remove": plan.remove})
    with Rooted(request.local) as root:
        return read_moved(await channel.stream(outflow(root, outgoing), sent))
