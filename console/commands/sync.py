"""``qllm-console sync``: push a folder to the host, pull one from it, or pull every ended run."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from msgspec import structs

from console import exit_codes
from console.commands.answers import SyncFolderAnswer, SyncRunsAnswer, TransferProgress, print_json
from console.commands.connect import command, connected
from console.commands.context import Context, absolute
from console.commands.limits import WaitLimit, not_synced_reason
from console.commands.output import REPORT_EVERY_S, is_progress_ndjson, print_line, report
from console.commands.status import run_status
from console.hosts.ssh.access import Access
from console.hosts.ssh.connection import open_connection
from console.hosts.ssh.prompts import OperatorUnavailable, Question, TerminalPrompter
from console.hosts.transfer.errors import SyncFailed
from console.hosts.transfer.folder_sync import pull, push
from console.hosts.transfer.plan import SyncPlan, parse_deletion_cap
from console.hosts.transfer.request import EXCLUDES, SyncRequest, records_folder
from console.hosts.transfer.verdict import Progress, Verdict
from console.runs.snapshot import Snapshot, SyncStatus, sync_status
from console.sanitize import sanitize_line
from console.session import Session
from engine.contract.bad_input import BadInput
from engine.contract.settings import RunId

MAX_LISTED = 20  # paths printed of a longer list


@command
async def sync(context: Context) -> int:
    """Carry out ``sync push`` or ``sync pull``, and print the verdict.

    Returns:
        0 when everything is synced, or for a dry run; 1 when something differs.
    """
    if context.options.direction == "pull" and context.options.remote is None:
        _refuse_folder_options(context.options)
        return await _sync_runs(context)
    return await _sync_folder(context)


async def _sync_folder(context: Context) -> int:
    try:
        verdict = await _transfer_folder(context)
    except SyncFailed as error:
        report(f"qllm-console: not synced: {error}")
        return exit_codes.FAILED
    if context.options.json:
        print_json("sync-folder", "sync", SyncFolderAnswer(**structs.asdict(verdict), full=verdict.full))
    else:
        _print_verdict(verdict)
    return exit_codes.DONE if verdict.full or verdict.dry_run else exit_codes.FAILED


async def _transfer_folder(context: Context) -> Verdict:
    request = request_of(context)
    access = Access(prompter=TerminalPrompter())
    async with open_connection(context.host, context.runs_dir / ".local-host", access) as connection:
        reporter = _ProgressReporter()
        if context.options.direction == "pull":
            return await pull(connection, request, report=reporter.update)
        cap = parse_deletion_cap(context.options.max_delete) if context.options.delete else None
        confirm = _always if context.options.yes else _ask
        return await push(connection, request, delete=cap, confirm=confirm, report=reporter.update)


def _refuse_folder_options(options: argparse.Namespace) -> None:
    """Without ``--from`` whole runs are pulled into the runs folder; options about a folder would be ignored.

    Raises:
        BadInput: one of them was given.
    """
    for field, given in (
        ("FOLDER", options.folder),
        ("--dry-run", options.dry_run),
        ("--exclude", options.exclude),
        ("--no-excludes", options.no_excludes),
    ):
        if given:
            raise BadInput("needs --from; without it, runs are pulled into the folder of --runs", field=field)


def request_of(context: Context) -> SyncRequest:
    """The folder sync that the options describe.

    Raises:
        BadInput: no folder to push is named, or it does not exist; or the console is read-only.
    """
    options = context.options
    if options.direction == "push" and options.folder is None:
        raise BadInput(f"name the folder to push; . is the whole of {Path.cwd()}", field="FOLDER")
    local = absolute(options.folder or Path(), "FOLDER")
    if options.direction == "push":
        if context.options.read_only:
            raise BadInput("the console is read-only: it pushes nothing", field="--read-only")
        if not local.is_dir():
            raise BadInput(f"{local} is not a folder", field="FOLDER")
    return SyncRequest(
        local=local,
        remote=options.remote or "project",
        records=records_folder(context.runs_dir, context.host_name, local, options.remote or "project"),
        host=context.host_name,
        excludes=(*(() if options.no_excludes else EXCLUDES), *(options.exclude or ())),
        ignore_cache=options.rehash,
        dry_run=options.dry_run,
    )


async def _sync_runs(context: Context) -> int:
    """Wait until every ended run is synced, found damaged or given up; print and return the verdict over all of them."""
    session = context.session()
    limit = WaitLimit(session, session.snapshot.runs)
    waits = _WaitReporter()
    async with connected(session):
        if context.options.rehash:
            await _verify(session)
        while True:
            verdict = sync_status(session.snapshot)
            waits.update(session.snapshot, verdict)
            if verdict.host_answered and limit.given_up.issuperset(verdict.not_synced):
                break
            await limit.wait()
        limit.report_given_up(session.snapshot)
        snapshot = session.snapshot
    if context.options.json:
        not_synced = {run.label: not_synced_reason(snapshot, run) for run in (*verdict.damaged, *verdict.not_synced)}
        answer = SyncRunsAnswer(verdict.full, len(verdict.due), verdict.files, verdict.bytes, not_synced)
        print_json("sync-runs", "sync", answer)
    else:
        print_line(
            f"{'full sync' if verdict.full else 'NOT in full sync'}: {len(verdict.synced)} of {len(verdict.due)} "
            f"ended runs synced, {verdict.files:,} files, {verdict.bytes:,} bytes"
        )
        for run in (*verdict.damaged, *verdict.not_synced):
            print_line(f"  {run.label}: {not_synced_reason(snapshot, run)}")
    return exit_codes.DONE if verdict.full else exit_codes.FAILED


async def _verify(session: Session) -> None:
    """Hash the local files again; runs that differ from their manifests are pulled again."""
    check = [one async for one in session.verify_synced()][-1]
    report(f"verified {check.files:,} of {check.files_total:,} local files, {check.bytes:,} bytes")
    for one in check.differing[:MAX_LISTED]:
        report(f"  {one.run.label}: {one.path}: {one.why}; pulling it again")
    if check.differing:
        session.pull_again()


class _WaitReporter:
    """Reports why a run is not synced yet, once for each reason; for programs also how far the pull of one is."""

    def __init__(self) -> None:
        self._notes: dict[RunId, str] = {}
        self._pulled: tuple[RunId | None, int, float] = None, 0, 0.0

    def update(self, snapshot: Snapshot, verdict: SyncStatus) -> None:
        if is_progress_ndjson() and (run := verdict.pulling) is not None:
            self._report_pull(run, snapshot)
        for run in verdict.waiting:
            note = snapshot.sync_states[run].note
            if note and self._notes.get(run) != note:
                report(f"{run.label}: {note}", "run", run=run_status(snapshot.runs[run], snapshot))
                self._notes[run] = note

    def _report_pull(self, run: RunId, snapshot: Snapshot) -> None:
        sync = snapshot.sync_states[run]
        before, done, at = self._pulled
        now = time.monotonic()
        if run != before or (sync.bytes_done != done and now - at >= REPORT_EVERY_S):
            self._pulled = run, sync.bytes_done, now
            transfer = TransferProgress(sync.files_total, sync.bytes_total, sync.bytes_done, sync.left)
            report(f"{run.label}: pulling", "transfer", run=run_status(snapshot.runs[run], snapshot), transfer=transfer)


async def _ask(plan: SyncPlan) -> bool:
    """List what would be deleted and have its number typed; without a terminal the answer is no."""
    size = sum(entry.size for entry in plan.remove)
    lines = [sanitize_line(entry.path, 200) for entry in plan.remove[:MAX_LISTED]]
    if len(plan.remove) > MAX_LISTED:
        lines.append(f"and {len(plan.remove) - MAX_LISTED:,} more")
    title = f"To be deleted on the host: {len(plan.remove):,} files, {size:,} bytes"
    try:
        number = str(len(plan.remove))
        question = Question(title, tuple(lines), f"Type {number} to delete them:", confirm_word=number)
        answer = await TerminalPrompter().ask(question)
    except OperatorUnavailable:
        report(f"{title}; use --yes where there is no terminal")
        return False
    return (answer or "").strip() == number


async def _always(_: SyncPlan) -> bool:
    return True


def _print_verdict(verdict: Verdict) -> None:
    print_line(verdict.sentence())
    for what, part in (("not synced", verdict.not_synced), ("refused", verdict.refused)):
        for one in part[:MAX_LISTED]:
            print_line(f"  {what}: {one.path}: {one.reason}")
        if len(part) > MAX_LISTED:
            print_line(f"  and {len(part) - MAX_LISTED:,} more")


class _ProgressReporter:
    """Reports every two seconds how far a transfer is and how long it will take."""

    def __init__(self) -> None:
        self._started = self._reported = time.monotonic()
        self._first: int | None = None  # bytes done when this attempt began

    def update(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.note:
            report(progress.note)
            self._first = None
            return
        if self._first is None:
            self._first, self._started = progress.bytes_done, now
        if now - self._reported < REPORT_EVERY_S:
            return
        self._reported = now
        rate = (progress.bytes_done - self._first) / max(now - self._started, 1e-6)
        left_s = (progress.bytes - progress.bytes_done) / rate if rate else None
        left = "" if left_s is None else f", {left_s:,.0f} s left"
        text = f"{progress.bytes_done:,} of {progress.bytes:,} bytes of {progress.files:,} files{left}"
        transfer = TransferProgress(progress.files, progress.bytes, progress.bytes_done, left_s)
        report(text, "transfer", transfer=transfer)
