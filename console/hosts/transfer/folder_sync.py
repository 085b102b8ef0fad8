"""Brings a folder here and one on the host in step, either way: what changed as one stream, proved by a second count."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from console.hosts.agent.file_index import FileIndex, HashCache, fingerprint
from console.hosts.agent.safe_dir import RESERVED
from console.hosts.ssh.channels import HostConnection
from console.hosts.transfer.batch import TransferResult, fetch, send
from console.hosts.transfer.channel import HostFolder, TransferChannel, open_transfer
from console.hosts.transfer.errors import SyncFailed
from console.hosts.transfer.plan import DeletionCap, SyncPlan, differing, plan_sync
from console.hosts.transfer.request import SyncRequest, hashes_in, index_local
from console.hosts.transfer.verdict import Progress, Receipt, Verdict, keep_receipt

# what the experiment leaves out, and what is made anew at each end


TRIES = 2  # what changes while it travels is planned once more, then reported

Report = Callable[[Progress], None]
Confirm = Callable[[SyncPlan], Awaitable[bool]]


async def push(
    connection: HostConnection,
    request: SyncRequest,
    *,
    delete: DeletionCap | None = None,
    confirm: Confirm | None = None,
    report: Report = lambda _: None,
) -> Verdict:
    """Bring the host's folder in step with this machine's.

    Args:
        delete: also delete there what is not here, up to this cap and if ``confirm`` says yes; None deletes nothing.
        report: told how far it is.

    Raises:
        LinkDown: the link failed; asked for again, it goes on from what arrived.
        NoRoom: a disk is full; every file is the old one or the new one.
        SyncFailed: it is refused; where deletions are too many or not confirmed, nothing was changed.
    """
    if not request.local.is_dir():
        raise SyncFailed(f"{request.local} is no folder")
    return await _Course(connection, request, "push", report, delete, confirm).run()


async def pull(connection: HostConnection, request: SyncRequest, *, report: Report = lambda _: None) -> Verdict:
    """Bring this machine's folder in step with the host's. Nothing here is deleted; what is replaced is set aside in
    ``.qllm-sync/replaced/`` of the folder.

    Raises:
        LinkDown, NoRoom, SyncFailed: as of a push.
    """
    return await _Course(connection, request, "pull", report, None, None).run()


class _Course:
    """One sync from its first count to its receipt."""

    def __init__(
        self,
        connection: HostConnection,
        request: SyncRequest,
        direction: Literal["push", "pull"],
        report: Report,
        delete: DeletionCap | None,
        confirm: Confirm | None,
    ) -> None:
        self._reached = connection
        self._request = request
        self._direction = direction
        self._report = report
        self._delete = delete
        self._confirm = confirm
        self._started = time.monotonic()
        self._moved = TransferResult({}, 0, 0)
        self._files = 0

    async def run(self) -> Verdict:
        counting = asyncio.create_task(asyncio.to_thread(self._count))
        try:
            async with open_transfer(self._reached) as channel:
                there = await channel.count(self._request.remote, self._request.patterns, afresh=self._request.afresh)
                if self._direction == "pull" and not there.exists:
                    raise SyncFailed(f"the host has no folder {self._request.remote}")
                plan = self._plan(await counting, there)
                if not self._request.rehearse:
                    await self._agree(plan, there)
                    plan = await self._carry_out(channel, plan, there)
                verdict = self._verdict(plan)
                if not self._request.rehearse:
                    await self._keep(channel, verdict)
                return verdict
        finally:
            counting.cancel()
            await asyncio.gather(counting, return_exceptions=True)

    def _count(self) -> FileIndex:
        request = self._request
        try:
            return index_local(request.local, request.patterns, request.notes, afresh=request.afresh)
        except OSError as error:
            raise SyncFailed(f"{request.local}: {error}") from error

    def _plan(self, here: FileIndex, there: HostFolder) -> SyncPlan:
        source, target = (here, there.file_index) if self._direction == "push" else (there.file_index, here)
        return plan_sync(source, target, delete=self._delete is not None)

    async def _agree(self, plan: SyncPlan, there: HostFolder) -> None:
        if not plan.remove or self._delete is None:
            return
        self._delete.check(plan, len(there.files))
        if self._confirm is None or not await self._confirm(plan):
            raise SyncFailed("the deletions were not confirmed; nothing was changed")

    async def _carry_out(self, channel: TransferChannel, plan: SyncPlan, there: HostFolder) -> SyncPlan:
        """Move, count again at both ends, plan again; returns what is then still to be done."""
        agreed = {entry.path for entry in plan.remove}
        for _ in range(TRIES):
            if not plan.move and not plan.remove:
                break
            moved = await self._move(channel, plan, there)
            self._files += len(plan.move) - sum(entry.path in moved.failures for entry in plan.move)
            self._moved = TransferResult(
                moved.failures, self._moved.bytes + moved.bytes, self._moved.removed + moved.removed
            )
            channel.post_count(self._request.remote, self._request.patterns)
            here, there = await asyncio.gather(asyncio.to_thread(self._count), channel.counted())
            plan = self._plan(here, there)
            plan = msgspec.structs.replace(plan, remove=tuple(entry for entry in plan.remove if entry.path in agreed))
        return plan

    async def _move(self, channel: TransferChannel, plan: SyncPlan, there: HostFolder) -> TransferResult:
        if self._direction == "push":
            return await send(channel, self._request, plan, there, self._report)
        aside = f"{RESERVED}/replaced/{time.time_ns()}"
        try:
            cache = HashCache(hashes_in(self._request.notes))
            return await fetch(
                channel, self._request.remote, plan.move, self._request.local, self._report, aside=aside, cache=cache
            )
        except OSError as error:
            raise SyncFailed(f"{self._request.local}: {error}") from error

    def _verdict(self, plan: SyncPlan) -> Verdict:
        otherwise = "it would be brought in step" if self._request.rehearse else "it changed meanwhile"
        left = {entry.path for entry in plan.move}
        held = [entry for entry in plan.wanted if entry.path not in left]
        return Verdict(
            direction=self._direction,
            files=len(held),
            bytes=sum(entry.size for entry in held),
            fingerprint=fingerprint(held),
            moved_files=self._files,
            moved_bytes=self._moved.bytes,
            removed=self._moved.removed,
            differing=differing(plan, self._moved.failures, otherwise),
            refused=plan.refused,
            seconds=time.monotonic() - self._started,
            planned=self._request.rehearse,
        )

    async def _keep(self, channel: TransferChannel, verdict: Verdict) -> None:
        connection, request = self._reached, self._request
        receipt = Receipt(
            request.host, connection.fingerprint, request.remote, str(request.local), time.time(), verdict
        )
        channel.post({"op": "keep_receipt", "root": request.remote, "receipt": msgspec.to_builtins(receipt)})
        await asyncio.to_thread(keep_receipt, request.notes, receipt)
        await channel.answer()
