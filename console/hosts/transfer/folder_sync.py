"""Folder sync, push or pull: transfers what changed in one stream, and verifies the result by indexing both ends again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from console.hosts.agent.disk import DiskFull
from console.hosts.agent.file_index import FileIndex, HashCache, fingerprint
from console.hosts.agent.safe_dir import RESERVED
from console.hosts.agent.transfer import keep_receipt
from console.hosts.ssh.channels import HostConnection
from console.hosts.transfer.batch import TransferResult, fetch, send
from console.hosts.transfer.channel import MAX_STALLS, HostFolder, TransferChannel, open_transfer
from console.hosts.transfer.errors import NoRoom, Stalled, SyncFailed
from console.hosts.transfer.plan import DeletionCap, SyncPlan, path_problems, plan_sync
from console.hosts.transfer.request import SyncRequest, index_local
from console.hosts.transfer.verdict import Progress, Receipt, Report, Verdict

MAX_ROUNDS = 2  # files that change during the first round are transferred once more; what changes again is reported

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
    return await _FolderSync(connection, request, "pull", report).run()


@dataclass
class _FolderSync:
    """One sync from its first index to its receipt."""

    connection: HostConnection
    request: SyncRequest
    direction: Literal["push", "pull"]
    report: Report
    delete: DeletionCap | None = None
    confirm: Confirm | None = None
    started: float = field(default_factory=time.monotonic)
    result: TransferResult = field(default_factory=lambda: TransferResult({}, 0, 0))
    transferred_files: int = 0
    confirmed: set[str] = field(default_factory=set)

    async def run(self) -> Verdict:
        """Sync; continue with a new process on the host if one stands still.

        Raises:
            Stalled: three did.
        """
        for _ in range(MAX_STALLS - 1):
            try:
                return await self._run_once()
            except Stalled as stalled:
                self.report(Progress(0, 0, 0, f"{stalled}; a new one continues"))
        return await self._run_once()

    async def _run_once(self) -> Verdict:
        request = self.request
        indexing = asyncio.create_task(asyncio.to_thread(index_local, request))
        try:
            async with open_transfer(self.connection) as channel:
                remote = await channel.index(request.remote, request.patterns, request.ignore_cache)
                if self.direction == "pull" and not remote.exists:
                    raise SyncFailed(f"the host has no folder {request.remote}")
                plan = self._plan(await indexing, remote)
                if request.dry_run:
                    return self._verdict(plan)
                if plan.remove and self.delete is not None:
                    self.delete.check(plan, len(remote.files))
                    await self._confirm_deletions(plan)
                verdict = self._verdict(await self._execute(channel, plan, remote))
                await self._keep_receipts(channel, verdict)
                return verdict
        finally:
            indexing.cancel()
            await asyncio.gather(indexing, return_exceptions=True)

    async def _confirm_deletions(self, plan: SyncPlan) -> None:
        """Ask once, also if the sync begins again."""
        paths = {entry.path for entry in plan.remove}
        if not paths <= self.confirmed and (self.confirm is None or not await self.confirm(plan)):
            raise SyncFailed("the deletions were not confirmed; nothing was changed")
        self.confirmed = paths

    def _plan(self, local: FileIndex, remote: HostFolder) -> SyncPlan:
        remote_index = FileIndex(remote.files, remote.refused)
        source, target = (local, remote_index) if self.direction == "push" else (remote_index, local)
        return plan_sync(source, target, delete=self.delete is not None)

    async def _execute(self, channel: TransferChannel, plan: SyncPlan, remote: HostFolder) -> SyncPlan:
        """Transfer, index both ends again, plan again; returns the plan of what is still not synced."""
        for _ in range(MAX_ROUNDS):
            if not plan.transfer and not plan.remove:
                break
            result = await self._transfer(channel, plan, remote)
            self.transferred_files += sum(entry.path not in result.failures for entry in plan.transfer)
            self.result = TransferResult(
                result.failures, self.result.bytes + result.bytes, self.result.removed + result.removed
            )
            local, remote = await asyncio.gather(
                asyncio.to_thread(index_local, self.request), channel.index(self.request.remote, self.request.patterns)
            )
            plan = self._plan(local, remote)
            # a file that appeared at the target meanwhile was not part of what the operator confirmed
            plan = msgspec.structs.replace(plan, remove=tuple(one for one in plan.remove if one.path in self.confirmed))
        return plan

    async def _transfer(self, channel: TransferChannel, plan: SyncPlan, remote: HostFolder) -> TransferResult:
        request = self.request
        if self.direction == "push":
            return await send(channel, request, plan, remote, self.report)
        aside = f"{RESERVED}/replaced/{time.time_ns()}"
        cache = HashCache(request.hash_cache_file)
        try:
            return await fetch(
                channel, request.remote, plan.transfer, request.local, self.report, aside=aside, cache=cache
            )
        except OSError as error:
            raise SyncFailed(f"{request.local}: {error}") from error

    def _verdict(self, plan: SyncPlan) -> Verdict:
        reason = "it would be transferred" if self.request.dry_run else "it changed during the sync"
        failures = self.result.failures
        not_synced = ((entry.path, failures.get(entry.path, reason)) for entry in (*plan.transfer, *plan.remove))
        unsynced = {entry.path for entry in plan.transfer}
        synced = [entry for entry in plan.syncable if entry.path not in unsynced]
        return Verdict(
            direction=self.direction,
            files=len(synced),
            bytes=sum(entry.size for entry in synced),
            fingerprint=fingerprint(synced),
            transferred_files=self.transferred_files,
            transferred_bytes=self.result.bytes,
            removed=self.result.removed,
            not_synced=path_problems(not_synced),
            refused=plan.refused,
            seconds=time.monotonic() - self.started,
            dry_run=self.request.dry_run,
        )

    async def _keep_receipts(self, channel: TransferChannel, verdict: Verdict) -> None:
        request = self.request
        receipt = Receipt(
            request.host, self.connection.fingerprint, request.remote, str(request.local), time.time(), verdict
        )
        channel.send_request({"op": "keep_receipt", "root": request.remote, "receipt": msgspec.to_builtins(receipt)})
        content = msgspec.json.format(msgspec.json.encode(receipt)) + b"\n"
        try:
            await asyncio.to_thread(keep_receipt, request.records, content)
        except DiskFull as full:
            raise NoRoom(full) from full
        await channel.read_reply()
