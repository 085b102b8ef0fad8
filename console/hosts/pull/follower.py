"""Follows runs: new bytes of the host go to the local copies, and views and logs are made of the local copies alone.

One way: poll reply -> ``GrowingFile.append`` -> ``RunReader.read``: ``reduce`` -> snapshot; ``LogStore`` reads the log's
file when it is looked at. What is local is therefore shown without a host, and every byte crosses the link once.
"""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from console.hosts.agent.disk import disk_full_error
from console.hosts.pull.local_copy import (
    GROWING,
    GrowingFile,
    RunReader,
    RunsFolder,
    read_state,
    run_to_end,
    write_state,
)
from console.hosts.pull.poll_reply import Chunk, FileSize, PollReply, reported_state, with_safe_texts
from console.hosts.pull.verify import local_manifest
from console.hosts.ssh.errors import LinkDown
from console.hosts.transfer.errors import NoRoom
from console.runs.log_store import LogStore
from console.runs.run_view import RunView
from console.sanitize import sanitize_line
from engine.contract.run_folder import LOG
from engine.contract.settings import RunId
from engine.contract.state import RunState
from engine.contract.validation_words import error_in_words

RETRY_S = 30.0  # after a full disk, or a local file that cannot be used
ONE_FILE = frozenset((errno.EACCES, errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EPERM))
"""Errors of one local file: it is a folder, a symlink, a FIFO or another user's."""
REPLY_LIMIT = 256 << 10  # bytes of content: more would hold up the states on a slow link, less the events on a fast one


@dataclass
class _FollowedRun:
    """One run: which launch is followed, and its local files.

    Attributes:
        key: the followed launch; "" before one is known.
        state: as of the local files.
        files: receive new bytes; none of a synced capsule, and while no launch is known.
        pulled: its capsule is being pulled, so that polls request nothing more.
        retry_at: ``time.monotonic()`` before which its local files are left alone, since one of them failed.
    """

    run: RunId
    loaded: bool = False
    key: str = ""
    state: RunState | None = None
    files: dict[str, GrowingFile] = field(default_factory=dict)
    reader: RunReader | None = None
    pulled: bool = False
    retry_at: float = 0.0


class RunFollower:
    """Views and logs of the runs of one experiment and profile, made of the local files and of the states on the host.

    Args:
        folder: where local copies and capsules are.
        keep_logs: follow logs, too; short commands need states and events only.

    Attributes:
        views, logs: of every run; a log object stays the same.
        host_states: as reported by the host in this session, None before that; launches are decided by them alone.
        sealed: run -> launch key of its manifest on the host, "" if it has none.
        unnamed: runs in the experiment's folder on the host that are not followed.
        disk_free: bytes that were left on the host's disk at the last poll; None: not known.
        disk_full: these were too few for a run to start.
        disk_error: why new bytes cannot be kept at present, for want of room; "" if they can.
        file_errors: runs whose local files cannot be read or written, and why.
        bytes_received: new bytes of files in the last reply.
    """

    def __init__(self, folder: RunsFolder, runs: tuple[RunId, ...], *, keep_logs: bool = True) -> None:
        self.views: dict[RunId, RunView] = {}
        self.logs: dict[RunId, LogStore] = {}
        self.host_states: dict[RunId, RunState] | None = None
        self.sealed: dict[RunId, str] = {}
        self.unnamed = 0
        self.disk_free: int | None = None
        self.disk_full = False
        self.disk_error = ""
        self.file_errors: dict[RunId, str] = {}
        self.bytes_received = 0
        self._folder = folder
        self._names: tuple[str, ...] = tuple(GROWING) if keep_logs else ("events",)
        self._followed: dict[RunId, _FollowedRun] = {}
        self._by_name: dict[str, _FollowedRun] = {}
        self._files_in_use = asyncio.Lock()
        self._digest = ""
        self._retry_at = 0.0
        self.follow(runs)

    def follow(self, runs: tuple[RunId, ...]) -> None:
        """Follow ``runs`` in this order, those that are followed already among them; new ones are read by ``load``."""
        # new dictionaries: a loop over the present ones may be waiting for a file
        self.views = {run: self.views.get(run) or RunView(run) for run in runs}
        self.logs = {run: self.logs.get(run) or LogStore() for run in runs}
        self._followed = {run: self._followed.get(run) or _FollowedRun(run) for run in runs}
        self._by_name = {str(run): followed for run, followed in self._followed.items()}

    async def load(self, on_change: Callable[[], None]) -> None:
        """Make views and logs of what is local: the sealed capsule, or the newest launch that was followed."""
        for followed in self._followed.values():
            async with self._files_in_use:
                if not followed.loaded:
                    await run_to_end(self._open(followed, ""))
            on_change()

    def compare_again(self) -> None:
        """Have the next polls compare all local files with the host's, which may have changed since the last one."""
        for followed in self._followed.values():
            for file in followed.files.values():
                file.confirmed = False

    def request(self, wait: float) -> dict[str, Any]:
        """Arguments of the next poll; ``wait``: seconds that the host may wait for news."""
        files = []
        if time.monotonic() >= self._retry_at:
            for followed in self._followed.values():
                if followed.pulled or self._state_key(followed.run) != followed.key:
                    continue
                if time.monotonic() < followed.retry_at:
                    continue
                for name, file in followed.files.items():
                    if name == "log" and self._folder.writable and self.sealed.get(followed.run) == followed.key:
                        continue  # the pull of the capsule includes it
                    prefix = "" if file.confirmed else file.sha256
                    files.append((str(followed.run), followed.key, name, file.size, prefix))
        runs = list(self._by_name)
        return {"runs": runs, "digest": self._digest, "files": files, "limit": REPLY_LIMIT, "wait": wait}

    async def absorb(self, reply: dict[str, Any]) -> bool:
        """Apply the reply to a poll; True if a view or a log changed.

        Raises:
            LinkDown: the reply has not the shape of one.
        """
        before = dict(self.views), self._log_sizes()
        try:
            new = msgspec.convert(reply, PollReply)
            if new.states is not None:
                self._take_states(new.states)
                self.sealed = {
                    self._by_name[name].run: key for name, key in new.sealed.items() if name in self._by_name
                }
                self.unnamed = new.unnamed
            self.disk_free, self.disk_full = new.disk_free, new.disk_full
            self._digest = new.digest
            self.bytes_received = sum(len(chunk.content) for chunk in new.chunks)
            async with self._files_in_use:
                await run_to_end(self._store(new.chunks, new.sizes))
        except (KeyError, ValueError, msgspec.MsgspecError) as error:
            raise LinkDown(f"the agent's reply cannot be understood: {sanitize_line(error_in_words(error))}") from error
        self._end_logs()
        return before != (self.views, self._log_sizes())

    def _log_sizes(self) -> list[int]:
        """Bytes of each log that grows."""
        return [followed.files["log"].size for followed in self._followed.values() if "log" in followed.files]

    def host_views(self) -> dict[RunId, RunView]:
        """Views with the states that the host reported in this session; empty before that. Launches are decided by them."""
        states = self.host_states
        return {} if states is None else {run: replace(view, state=states.get(run)) for run, view in self.views.items()}

    @property
    def unconfirmed_bytes(self) -> int:
        """Bytes of local copies that the host has yet to compare with its own."""
        files = [file for followed in self._followed.values() for file in followed.files.values()]
        return sum(file.size for file in files if not file.confirmed)

    @property
    def caught_up(self) -> bool:
        """Whether all local files are loaded, and all events that the host had at the last poll are local."""
        if self.host_states is None or not all(followed.loaded for followed in self._followed.values()):
            return False
        return bool(self.disk_error) or all(
            not state.key or self.has_all_events(run, state.key) for run, state in self.host_states.items()
        )

    def has_all_events(self, run: RunId, key: str) -> bool:
        """Whether all events of that launch are local, as of the last poll, or cannot be kept for a reason of their own."""
        followed = self._followed[run]
        events = followed.files.get("events")
        if run in self.file_errors:
            return True
        return followed.key == key and (events is None or followed.pulled or events.complete)

    def copy_size(self, run: RunId, key: str) -> int:
        """Bytes in the copy of that launch; 0 if there is no copy."""
        followed = self._followed[run]
        return sum(file.size for file in followed.files.values()) if followed.key == key else 0

    async def release(self, run: RunId, key: str) -> None:
        """Stop writing the copy of that launch: the pull of its capsule takes its files over."""
        async with self._files_in_use:  # a reply that is being stored is stored whole
            if self._followed[run].key == key:
                self._followed[run].pulled = True

    async def use_capsule(self, run: RunId, key: str) -> None:
        """Continue reading in the synced capsule of that launch: its files begin with those of the copy."""
        followed = self._followed[run]
        async with self._files_in_use:
            if followed.key == key and followed.files and followed.reader is not None:
                followed.files = {}
                followed.reader.folder = self._folder.path / str(run)
                self.logs[run].move(followed.reader.folder / LOG)
                await run_to_end(self._read(followed, self.views[run]))
        self._end_logs()

    async def remove_copies(self, run: RunId, key: str) -> None:
        """Remove the live copies of a run, whose capsule of launch ``key`` is synced, unless another launch is followed."""
        async with self._files_in_use:  # a new launch would lose the first bytes of its copy
            if self._followed[run].key == key:
                await run_to_end(asyncio.to_thread(self._folder.remove_copies, run, key))

    async def reopen_copies(self) -> None:
        """Continue with the live copies, after this console has become the writer of the runs folder."""
        async with self._files_in_use:
            for followed in self._followed.values():
                if followed.files:
                    await run_to_end(self._open(followed, followed.key))
            await run_to_end(asyncio.to_thread(self._folder.delete_private_copies))

    def _state_key(self, run: RunId) -> str:
        state = self.host_states.get(run) if self.host_states is not None else None
        return state.key if state is not None else ""

    def _take_states(self, states: dict[str, Any]) -> None:
        self.host_states = {run: reported_state(states[str(run)]) for run in self.views if str(run) in states}
        for followed in self._followed.values():
            self._show(followed, self.views[followed.run])

    def _show(self, followed: _FollowedRun, view: RunView) -> None:
        """Show ``view`` with the state that the host reported, or the last known one before it reported any.

        A capsule keeps its state where the host does not know the run: it may be another host, or a cleared one.
        """
        state = followed.state
        if self.host_states is not None and (followed.files or followed.run in self.host_states):
            state = self.host_states.get(followed.run)
        # a state that cannot be read is of no launch: what is local of the last one is shown with it
        if state is not None and state.key not in ("", followed.key):
            view = RunView(followed.run)
        self.views[followed.run] = replace(view, state=state)

    async def _open(self, followed: _FollowedRun, key: str) -> None:
        """Follow launch ``key`` of a run from now on, or the newest local one if it is empty; load what is local of it."""
        try:
            opened = await asyncio.to_thread(self._local_files, followed.run, key)
            self.file_errors.pop(followed.run, None)
        except OSError as error:
            self._note_error(followed, error)
            opened = "", self._folder.path, {}, None  # tried again at the next reply
        followed.key, folder, followed.files, followed.state = opened
        followed.pulled = False
        has_log = followed.key and "log" in self._names
        self.logs[followed.run].open(folder / LOG if has_log else None)
        followed.reader = RunReader(folder) if followed.key else None
        await self._read(followed, RunView(followed.run))
        followed.loaded = True
        self._end_logs()

    def _local_files(self, run: RunId, key: str) -> tuple[str, Path, dict[str, GrowingFile], RunState | None]:
        """Key, folder, growing files and last known state of launch ``key``, or of the newest local one. Blocks."""
        manifest = local_manifest(self._folder.path, run)
        key = key or self._folder.newest_launch(run) or (manifest.key if manifest else "")
        folder, files = self._folder.path / str(run), {}
        if key and (manifest is None or manifest.key != key):
            folder = self._folder.copy_folder(run, key, self._names)
            files = {name: GrowingFile(folder / GROWING[name]) for name in self._names}
        state = read_state(folder) if key else None
        return key, folder, files, state and with_safe_texts(state)

    async def _store(self, chunks: Sequence[Chunk], sizes: Sequence[FileSize]) -> None:
        """Follow the launches that the host reported, append ``chunks`` to their copies, then read what is new there."""
        for followed in self._followed.values():
            key = self._state_key(followed.run)
            if followed.loaded and key and key != followed.key and time.monotonic() >= followed.retry_at:
                await self._open(followed, key)
        failed: set[RunId] = set()
        if sizes:
            self.disk_error = ""  # noted again below if it lasts
        for chunk in chunks:
            followed = self._by_name[chunk.run]
            try:
                await self._append(followed, chunk)
            except OSError as error:
                self._note_error(followed, error)
                failed.add(followed.run)
        for name, key, kind, size in sizes:
            followed = self._by_name[name]
            if followed.key == key and followed.run not in failed and (file := followed.files.get(kind)) is not None:
                file.readable = size >= 0
                if file.readable:
                    file.confirmed, file.remote_size = True, size
                self.file_errors.pop(followed.run, None)
        await self._write_states()
        for name in dict.fromkeys(chunk.run for chunk in chunks):
            followed = self._by_name[name]
            await self._read(followed, self.views[followed.run])

    async def _append(self, followed: _FollowedRun, chunk: Chunk) -> None:
        """Append a chunk to the copy; one at 0 replaces the copy's file.

        Raises:
            ValueError: it belongs somewhere else.
            OSError: it cannot be written; the file is as it was, or empty if it was to be replaced.
        """
        if not followed.files or followed.reader is None or followed.pulled or followed.key != chunk.key:
            return
        file = followed.files[chunk.file]
        if chunk.offset not in (0, file.size):
            raise ValueError(f"{chunk.file} of {followed.run} at byte {chunk.offset} in place of {file.size}")
        if chunk.offset == 0 and file.size:  # as Slurm does with a requeued job: another stream of the same launch
            await asyncio.to_thread(file.start_over)
            if chunk.file == "events":
                followed.reader.start_over()
                self.views[followed.run] = RunView(followed.run, state=self.views[followed.run].state)
            else:
                self.logs[followed.run].open(file.path)
        await asyncio.to_thread(file.append, chunk.content)

    async def _write_states(self) -> None:
        """Keep the last known states beside the copies, for the next start."""
        for run, reported in (self.host_states or {}).items():
            followed = self._followed[run]
            state = replace(reported, heartbeat=0)  # it changes all the time, and means nothing later
            if not followed.files or followed.reader is None or followed.pulled or followed.key != state.key:
                continue
            if state.state != "queued" and state != followed.state:
                try:
                    await asyncio.to_thread(write_state, followed.reader.folder, state)
                except OSError as error:
                    self._note_error(followed, error, pause=False)
                    continue
                followed.state = state

    async def _read(self, followed: _FollowedRun, view: RunView) -> None:
        """Show ``view`` with what is new in the local files: in parts, off the event loop."""
        reader, more = followed.reader, True
        while reader is not None and more:
            try:
                view, more = await asyncio.to_thread(reader.read, view)
            except OSError as error:
                self._note_error(followed, error)
                break
        self._show(followed, view)

    def _end_logs(self) -> None:
        """Show the last line of an ended run even if it has no newline."""
        for run, view in self.views.items():
            if view.state is not None and view.state.ended and self._followed[run].loaded and self._has_all(run):
                self.logs[run].end()

    def _has_all(self, run: RunId) -> bool:
        """Whether all that the followed launch has written is local, as of the last poll."""
        return all(file.complete for file in self._followed[run].files.values())

    def _note_error(self, followed: _FollowedRun, error: OSError, pause: bool = True) -> None:
        """Request no bytes for a while: of that run where one of its files is odd, of none where the disk is at fault."""
        full = disk_full_error(error, str(self._folder.path), REPLY_LIMIT)
        reason = (
            str(NoRoom(full)) if full else f"{error.filename2 or error.filename or self._folder.path}: {error.strerror}"
        )
        if error.errno in ONE_FILE:
            self.file_errors[followed.run] = sanitize_line(reason)
            if pause:
                followed.retry_at = time.monotonic() + RETRY_S
                for file in followed.files.values():
                    file.confirmed = False
            return
        self.disk_error = sanitize_line(reason)
        self._retry_at = time.monotonic() + RETRY_S
        self.compare_again()  # a file that is replaced during the pause may be longer than its copy by then
