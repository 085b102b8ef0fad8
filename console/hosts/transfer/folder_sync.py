"""Folder sync, push or pull: transfers what changed in one stream, and verifies the result by indexing both ends again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from console.hosts.agent.disk import DiskFull
from console.hosts.agent.file_index import FileIndex, HashCache, fingerprint
from console.hosts.agent.safe_dir import RESERVED
from console.hosts.agent.transfer import keep_receipt
from console.hosts.ssh.channels import HostConnection
from console.hosts.transfer.batch import TransferResult, fetch, send
from console.hosts.transfer.channel import HostFolder, TransferChannel, open_transfer
from console.hosts.transfer.errors import NoRoom, SyncFailed
from console.hosts.transfer.plan import DeletionCap, SyncPlan, plan_sync, unsynced_paths
from console.hosts.transfer.request import SyncRequest, hash_cache_file, index_local
from console.hosts.transfer.verdict import Progress, Receipt, Verdict

MAX_ROUNDS = 2  # files that change during the first round are transferred once more; what changes again is reported

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
    """Make the remote folder equal to the local one.

    Args:
        delete: also delete remote files that do not exist locally, up to this cap and after ``confirm`` has returned
            True; None deletes nothing.
        report: called with the progress.

    Raises:
        LinkDown: the link failed; a second push continues from what arrived.
        NoRoom: a disk is full; every file is the old one or the new one.
        SyncFailed: it is refused; if deletions are too many or not confirmed, nothing was changed.
    """
    if not request.local.is_dir():
        raise SyncFailed(f"{request.local} is not a folder")
    return await _FolderSync(connection, request, "push", report, delete, confirm).run()


async def pull(connection: HostConnection, request: SyncRequest, *, report: Report = lambda _: None) -> Verdict:
    """Copy the remote folder over the local one. No local file is deleted; replaced ones are kept in the folder's
    ``.qllm-sync/replaced/``.

    Raises:
        LinkDown, NoRoom, SyncFailed: as of a push.
    """
    return await _FolderSync(connection, request, "pull", report, None, None).run()


class _FolderSync:
    """One sync from its first index to its receipt."""

    def __init__(
        self,
        connection: HostConnection,
        request: SyncRequest,
        direction: Literal["push", "pull"],
        report: Report,
        delete: DeletionCap | None,
        confirm: Confirm | None,
    ) -> None:
        self._connection = connection
        self._request = request
        self._direction = direction
        self._report = report
        self._delete = delete
        self._confirm = confirm
        self._started = time.monotonic()
        self._result = TransferResult({}, 0, 0)
        self._transferred_files = 0

    async def run(self) -> Verdict:
        request = self._request
        indexing = asyncio.create_task(asyncio.to_thread(self._index_local))
        try:
            async with open_transfer(self._connection) as channel:
                remote = await channel.index(request.remote, request.patterns, ignore_cache=request.ignore_cache)
                if self._direction == "pull" and not remote.exists:
                    raise SyncFailed(f"the host has no folder {request.remote}")
                plan = self._plan(await indexing, remote)
                if request.dry_run:
                    return self._verdict(plan)
                await self._confirm_deletions(plan, remote)
                verdict = self._verdict(await self._execute(channel, plan, remote))
                await self._keep_receipts(channel, verdict)
                return verdict
        finally:
            indexing.cancel()
            await asyncio.gather(indexing, return_exceptions=True)

    def _index_local(self) -> FileIndex:
        request = self._request
        try:
            return index_local(request.local, request.patterns, request.records, ignore_cache=request.ignore_cache)
        except OSError as error:
            raise SyncFailed(f"{request.local}: {error}") from error

    def _plan(self, local: FileIndex, remote: HostFolder) -> SyncPlan:
        source, target = (local, remote.file_index) if self._direction == "push" else (remote.file_index, local)
        return plan_sync(source, target, delete=self._delete is not None)

    async def _confirm_deletions(self, plan: SyncPlan, remote: HostFolder) -> None:
        if not plan.remove or self._delete is None:
            return
        self._delete.check(plan, len(remote.files))
        if self._confirm is None or not await self._confirm(plan):
            raise SyncFailed("the deletions were not confirmed; nothing was changed")

    async def _execute(self, channel: TransferChannel, plan: SyncPlan, remote: HostFolder) -> SyncPlan:
        """Transfer, index both ends again, plan again; returns the plan of what is still not synced."""
        confirmed = {entry.path for entry in plan.remove}
        for _ in range(MAX_ROUNDS):
            if not plan.transfer and not plan.remove:
                break
            result = await self._transfer(channel, plan, remote)
            self._transferred_files += sum(entry.path not in result.failures for entry in plan.transfer)
            self._result = TransferResult(
                result.failures, self._result.bytes + result.bytes, self._result.removed + result.removed
            )
            channel.request_index(self._request.remote, self._request.patterns)
            local, remote = await asyncio.gather(asyncio.to_thread(self._index_local), channel.read_index())
            plan = self._plan(local, remote)
            # a file that appeared at the target meanwhile was not part of what the operator confirmed
            plan = msgspec.structs.replace(plan, remove=tuple(one for one in plan.remove if one.path in confirmed))
        return plan

    async def _transfer(self, channel: TransferChannel, plan: SyncPlan, remote: HostFolder) -> TransferResult:
        request = self._request
        if self._direction == "push":
            return await send(channel, request, plan, remote, self._report)
        aside = f"{RESERVED}/replaced/{time.time_ns()}"
        cache = HashCache(hash_cache_file(request.records))
        try:
            return await fetch(
                channel, request.remote, plan.transfer, request.local, self._report, aside=aside, cache=cache
            )
        except OSError as error:
            raise SyncFailed(f"{request.local}: {error}") from error

    def _verdict(self, plan: SyncPlan) -> Verdict:
        reason = "it would be transferred" if self._request.dry_run else "it changed during the sync"
        unsynced = {entry.path for entry in plan.transfer}
        synced = [entry for entry in plan.syncable if entry.path not in unsynced]
        return Verdict(
            direction=self._direction,
            files=len(synced),
            bytes=sum(entry.size for entry in synced),
            fingerprint=fingerprint(synced),
            transferred_files=self._transferred_files,
            transferred_bytes=self._result.bytes,
            removed=self._result.removed,
            not_synced=unsynced_paths(plan, self._result.failures, reason),
            refused=plan.refused,
            seconds=time.monotonic() - self._started,
            dry_run=self._request.dry_run,
        )

    async def _keep_receipts(self, channel: TransferChannel, verdict: Verdict) -> None:
        request = self._request
        receipt = Receipt(
            request.host, self._connection.fingerprint, request.remote, str(request.local), time.time(), verdict
        )
        channel.send_request({"op": "keep_receipt", "root": request.remote, "receipt": msgspec.to_builtins(receipt)})
        content = msgspec.json.format(msgspec.json.encode(receipt)) + b"\n"
        try:
            await asyncio.to_thread(keep_receipt, request.records, content)
        except DiskFull as full:
            raise NoRoom("this machine", full.disk, full.missing) from full
        await channel.read_reply()
