"""``qllm-console sync``: a folder pushed to the host, one pulled from it, or every ended run brought home."""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

import msgspec

from console import exit_codes
from console.commands.connect import attached
from console.commands.context import Context, absolute
from console.commands.output import put, say
from console.hosts.open_connection import open_connection
from console.hosts.ssh.access import Access
from console.hosts.ssh.errors import LinkDown
from console.hosts.ssh.prompts import NobodyToAsk, Question, TerminalPrompter
from console.hosts.transfer.errors import SyncFailed
from console.hosts.transfer.folder_sync import pull, push
from console.hosts.transfer.plan import SyncPlan, read_cap
from console.hosts.transfer.request import EXCLUDES, SyncRequest, notes_of
from console.hosts.transfer.verdict import Progress, Verdict
from console.runs.snapshot import Snapshot
from console.runs.sync_status import SyncStatus, sync_status
from console.sanitize import sanitize_line
from console.session import Session
from engine.contract.bad_input import BadInput
from engine.contract.settings import RunId

REPORT_EVERY_S = 2.0
NAMED = 20  # paths named of a list


def sync(context: Context) -> int:
    """Carry out ``sync push`` or ``sync pull``, and print the verdict.

    Returns:
        0 for a full sync or a rehearsal; 1 when something is not in step.
    """
    options = context.options
    try:
        if options.direction == "pull" and options.remote is None:
            _refuse_folder_options(options)
            return asyncio.run(_sync_runs(context))
        verdict = asyncio.run(_sync_folder(context))
    except LinkDown as error:
        say(f"qllm-console: {error}")
        return exit_codes.UNREACHABLE
    except SyncFailed as error:
        say(f"qllm-console: not in sync: {error}")
        return exit_codes.FAILED
    if options.json:
        put(msgspec.json.encode({"full": verdict.full, **msgspec.to_builtins(verdict)}).decode())
    else:
        _print(verdict)
    return exit_codes.DONE if verdict.full or verdict.planned else exit_codes.FAILED


async def _sync_folder(context: Context) -> Verdict:
    request = request_of(context)
    access = Access(prompter=TerminalPrompter())
    async with open_connection(context.host, context.runs_dir / ".local-host", access) as connection:
        reporter = _Reporter()
        if context.options.direction == "pull":
            return await pull(connection, request, report=reporter.take)
        cap = read_cap(context.options.max_delete) if context.options.delete else None
        confirm = _always if context.options.yes else _ask
        return await push(connection, request, delete=cap, confirm=confirm, report=reporter.take)


def _refuse_folder_options(options: argparse.Namespace) -> None:
    """Runs come home where ``--runs`` says, whole and at once: what is said of a folder would go unheard.

    Raises:
        BadInput: it was said.
    """
    for field, given in (
        ("FOLDER", options.folder),
        ("--dry-run", options.dry_run),
        ("--exclude", options.exclude),
        ("--no-excludes", options.no_excludes),
    ):
        if given:
            raise BadInput("goes with --from only; runs come home where --runs says", field=field)


def request_of(context: Context) -> SyncRequest:
    """What the options ask for.

    Raises:
        BadInput: a push of something that is no folder, or in a read-only console.
    """
    options = context.options
    local = absolute(options.folder or Path(), "FOLDER")
    if options.direction == "push":
        if context.options.read_only:
            raise BadInput("the console is read-only: it pushes nothing", field="--read-only")
        if not local.is_dir():
            raise BadInput(f"{local} is no folder", field="FOLDER")
    return SyncRequest(
        local=local,
        remote=options.remote or "project",
        notes=notes_of(context.runs_dir, context.host_name, local, options.remote or "project"),
        host=context.host_name,
        excludes=(*(() if options.no_excludes else EXCLUDES), *(options.exclude or ())),
        afresh=options.afresh,
        rehearse=options.dry_run,
    )


async def _sync_runs(context: Context) -> int:
    """Wait until every run that has ended is at home, or is found damaged; the verdict is over all of them."""
    session = context.session()
    changed = asyncio.Event()
    session.subscribe(lambda _: changed.set())
    waits = _Waits()
    async with attached(session):
        if context.options.afresh:
            await _verify(session)
        while True:
            changed.clear()
            verdict = sync_status(session.snapshot)
            waits.take(session.snapshot, verdict)
            if verdict.heard and not verdict.waiting and verdict.coming is None:
                break
            await changed.wait()
        sync_states = session.snapshot.sync_states
    lacking = {str(run): sync_states[run].note for run in verdict.damaged}
    if context.options.json:
        numbers = {"runs": len(verdict.due), "files": verdict.files, "bytes": verdict.bytes}
        answer = {"full": verdict.full, **numbers, "lacking": lacking}
        put(msgspec.json.encode(answer).decode())
    else:
        many = f"NOT in full sync: {len(lacking)} of {len(verdict.due)} runs are lacking"
        put(
            f"{'full sync' if verdict.full else many}: {len(verdict.synced)} ended runs at home, "
            f"{verdict.files:,} files, {verdict.bytes:,} bytes"
        )
        for run, note in lacking.items():
            put(f"  {run}: {note}")
    return exit_codes.DONE if verdict.full else exit_codes.FAILED


async def _verify(session: Session) -> None:
    """Read again what is at home; what is not what its manifest says is asked for again."""
    check = [one async for one in session.verify_synced()][-1]
    say(f"at home {check.files:,} of {check.files_total:,} files are what their manifests say, {check.bytes:,} bytes")
    for one in check.differing[:NAMED]:
        say(f"  {one.run}: {one.path}: {one.why}; asked for again")
    session.pull_again()


class _Waits:
    """Says why a run does not come home, once for each reason."""

    def __init__(self) -> None:
        self._said: dict[RunId, str] = {}

    def take(self, snapshot: Snapshot, verdict: SyncStatus) -> None:
        for run in verdict.waiting:
            note = snapshot.sync_states[run].note
            if note and self._said.get(run) != note:
                say(f"{run}: {note}")
                self._said[run] = note


async def _ask(plan: SyncPlan) -> bool:
    """Name what would be deleted, and have the number typed; where nobody can be asked, nobody has agreed."""
    size = sum(entry.size for entry in plan.remove)
    lines = [sanitize_line(entry.path, 200) for entry in plan.remove[:NAMED]]
    if len(plan.remove) > NAMED:
        lines.append(f"and {len(plan.remove) - NAMED:,} more")
    title = f"To be deleted on the host: {len(plan.remove):,} files, {size:,} bytes"
    try:
        number = str(len(plan.remove))
        question = Question(title, tuple(lines), f"Type {number} to delete them:", consent=number)
        answer = await TerminalPrompter().ask(question)
    except NobodyToAsk:
        say(f"{title}; say --yes where nobody can be asked")
        return False
    return (answer or "").strip() == number


async def _always(_: SyncPlan) -> bool:
    return True


def _print(verdict: Verdict) -> None:
    put(verdict.sentence())
    for what, part in (("differs", verdict.differing), ("refused", verdict.refused)):
        for one in part[:NAMED]:
            put(f"  {what}: {one.path}: {one.why}")
        if len(part) > NAMED:
            put(f"  and {len(part) - NAMED:,} more")


class _Reporter:
    """Says how far it is, now and then, with the time that is left."""

    def __init__(self) -> None:
        self._started = self._said = time.monotonic()
        self._first: int | None = None

    def take(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = progress.bytes_done
        if now - self._said < REPORT_EVERY_S:
            return
        self._said = now
        rate = (progress.bytes_done - self._first) / (now - self._started)
        left = f", {(progress.bytes - progress.bytes_done) / rate:,.0f} s left" if rate else ""
        say(f"{progress.bytes_done:,} of {progress.bytes:,} bytes of {progress.files:,} files{left}")
