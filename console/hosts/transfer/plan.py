"""Sync plan: what to transfer and to delete, as a pure function of the files at both ends."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from msgspec import Struct

from console.hosts.agent.file_index import Entry, FileIndex
from console.hosts.agent.safe_dir import unsafe_reason
from console.hosts.transfer.errors import TooManyDeletions
from console.sanitize import sanitize_line
from engine.contract.bad_input import BadInput


class PathProblem(Struct, frozen=True):
    """A path that is not synced, and the reason; both are safe to show."""

    path: str
    reason: str


class SyncPlan(Struct, frozen=True):
    """Files to transfer, files to delete at the target, and what cannot be synced.

    Attributes:
        syncable: every file of the source that can be synced.
        transfer: those of them that the target lacks or has with another content or mode.
        remove: files that only the target has; empty unless deletions were requested.
        refused: paths of the source that cannot be synced.
    """

    syncable: tuple[Entry, ...]
    transfer: tuple[Entry, ...]
    remove: tuple[Entry, ...]
    refused: tuple[PathProblem, ...]

    @property
    def size(self) -> int:
        """Bytes to transfer."""
        return sum(entry.size for entry in self.transfer)


class DeletionCap(Struct, frozen=True):
    """The most files, or the largest share of the target's files, that one push may delete."""

    files: int | None = None
    share: float | None = None

    def check(self, plan: SyncPlan, target_files: int) -> None:
        """Check that ``plan`` deletes no more of the ``target_files`` files of the target than allowed.

        Raises:
            TooManyDeletions: it does.
        """
        limit = self.files if self.files is not None else int((self.share or 0.0) * target_files)
        if len(plan.remove) > limit:
            first = ", ".join(sanitize_line(entry.path, 200) for entry in plan.remove[:3])
            raise TooManyDeletions(
                f"{len(plan.remove):,} of {target_files:,} files would be deleted, --max-delete allows {limit:,}: {first}, ..."
            )


def parse_deletion_cap(text: str) -> DeletionCap:
    """Parse ``50`` (files) or ``10%`` (share of the target's files).

    Raises:
        BadInput: it is neither.
    """
    digits = text.removesuffix("%")
    if not (digits.isascii() and digits.isdigit()) or (digits != text and int(digits) > 100):
        raise BadInput(f"expected a number of files or a percentage, not {text!r}", field="--max-delete")
    return DeletionCap(files=int(digits)) if digits == text else DeletionCap(share=int(digits) / 100)


def plan_sync(source: FileIndex, target: FileIndex, *, delete: bool = False) -> SyncPlan:
    """Plan how ``target`` becomes equal to ``source``. Unsafe names are refused, whichever end reports them."""
    refused = dict(source.refused)
    refused.update((entry.path, reason) for entry in source.files if (reason := unsafe_reason(entry.path)))
    refused.update(
        dict.fromkeys(clashes(entry.path for entry in source.files), "its name differs only in case from another")
    )
    at_target = {entry.path: entry for entry in target.files}
    remove: tuple[Entry, ...] = ()
    if delete:
        # what could not be read at the source may well exist there, so its counterpart is not deleted
        at_source = {entry.path for entry in source.files} | set(refused)
        remove = tuple(entry for entry in target.files if at_source.isdisjoint(_with_parents(entry.path)))
    obstacles = _obstacles(target, {entry.path for entry in remove})
    syncable, transfer = [], []
    for entry in source.files:
        if entry.path in refused:
            continue
        if reason := _blocked_reason(entry.path, obstacles, at_target):
            refused[entry.path] = reason
            continue
        syncable.append(entry)
        if at_target.get(entry.path) != entry:
            transfer.append(entry)
    return SyncPlan(tuple(syncable), tuple(transfer), remove, path_problems(sorted(refused.items())))


def clashes(paths: Iterable[str]) -> set[str]:
    """Paths that, or whose folders, differ from another only in case or in how accents are encoded.

    Some file systems take two such names for one, so that one file would silently replace the other.
    """
    known = list(paths)
    spelling: dict[str, str] = {}
    clashing: set[str] = set()
    for path in known:
        for prefix in _with_parents(path):
            if spelling.setdefault(_case_folded(prefix), prefix) != prefix:
                clashing.add(_case_folded(prefix))
    if not clashing:
        return set()
    return {path for path in known if any(_case_folded(prefix) in clashing for prefix in _with_parents(path))}


def _case_folded(path: str) -> str:
    return path if path.isascii() and path.islower() else unicodedata.normalize("NFC", path.casefold())


def path_problems(reasons: Iterable[tuple[str, str]]) -> tuple[PathProblem, ...]:
    """Pairs of path and reason, made safe to show."""
    return tuple(PathProblem(sanitize_line(path, 400), sanitize_line(reason, 400)) for path, reason in reasons)


def _obstacles(target: FileIndex, removed: set[str]) -> dict[str, str]:
    """What stays at the target and may block a path there: path -> what it is."""
    obstacles = {entry.path: "a file" for entry in target.files if entry.path not in removed}
    for path in list(obstacles):
        obstacles.update(dict.fromkeys(_parent_folders(path), "a folder"))
    obstacles.update(target.refused)
    return obstacles


def _blocked_reason(path: str, obstacles: Mapping[str, str], at_target: Mapping[str, Entry]) -> str:
    """Why ``path`` cannot be written at the target; "" if it can."""
    for folder in _parent_folders(path):
        if obstacles.get(folder, "a folder") != "a folder":
            return f"the target's {folder} is not a folder: {obstacles[folder].removeprefix('it is ')}"
    if path in obstacles and path not in at_target:
        return f"the target's path is not a regular file: {obstacles[path].removeprefix('it is ')}"
    return ""


def _with_parents(path: str) -> Iterable[str]:
    return (*_parent_folders(path), path)


def _parent_folders(path: str) -> Iterable[str]:
    return (path[:end] for end, character in enumerate(path) if character == "/")
