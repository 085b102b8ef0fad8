"""What a sync would do, from what both ends hold: a function of values."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from msgspec import Struct

from console.hosts.agent.file_index import Entry, FileIndex
from console.hosts.agent.safe_dir import unsafe_reason
from console.hosts.transfer.errors import TooManyDeletions
from console.sanitize import sanitize_line
from engine.contract.bad_input import BadInput


class Refusal(Struct, frozen=True):
    """A path that is not synced, safe to show, and why."""

    path: str
    why: str


class SyncPlan(Struct, frozen=True):
    """Files to move, files to delete at the target, and what is left out.

    Attributes:
        wanted: every file of the source that can be synced.
        move: those of them that the target lacks or has otherwise.
        remove: files of the target alone; empty unless deletions were asked for.
        refused: what the source holds and cannot be synced.
    """

    wanted: tuple[Entry, ...]
    move: tuple[Entry, ...]
    remove: tuple[Entry, ...]
    refused: tuple[Refusal, ...]

    @property
    def size(self) -> int:
        """Bytes to move."""
        return sum(entry.size for entry in self.move)


class DeletionCap(Struct, frozen=True):
    """At most so many files, or such a share of the target's, may be deleted by one push."""

    files: int | None = None
    share: float | None = None

    def check(self, plan: SyncPlan, held: int) -> None:
        """See that ``plan`` deletes no more of the ``held`` files of the target than allowed.

        Raises:
            TooManyDeletions: it does.
        """
        most = self.files if self.files is not None else int((self.share or 0.0) * held)
        if len(plan.remove) > most:
            first = ", ".join(sanitize_line(entry.path, 200) for entry in plan.remove[:3])
            raise TooManyDeletions(
                f"{len(plan.remove):,} of {held:,} files would be deleted, {most:,} may be: {first}, ..."
            )


def read_cap(text: str) -> DeletionCap:
    """``50`` is so many files, ``10%`` such a share.

    Raises:
        BadInput: it is neither.
    """
    digits = text.removesuffix("%")
    if not (digits.isascii() and digits.isdigit()) or (digits != text and int(digits) > 100):
        raise BadInput(f"a number of files or a percentage is wanted, not {text!r}", field="--max-delete")
    return DeletionCap(files=int(digits)) if digits == text else DeletionCap(share=int(digits) / 100)


def plan_sync(source: FileIndex, target: FileIndex, *, delete: bool = False) -> SyncPlan:
    """Bring ``target`` in step with ``source``; names that no end should trust are refused, whoever sent them."""
    refused = dict(source.refused)
    refused.update((entry.path, why) for entry in source.files if (why := unsafe_reason(entry.path)))
    refused.update(
        dict.fromkeys(clashes(entry.path for entry in source.files), "its name differs only in case from another")
    )
    held = {entry.path: entry for entry in target.files}
    remove: tuple[Entry, ...] = ()
    if delete:
        present = {entry.path for entry in source.files} | set(refused)
        remove = tuple(entry for entry in target.files if not _covered(entry.path, present))
    standing = _in_the_way(target, {entry.path for entry in remove})
    wanted, move = [], []
    for entry in source.files:
        if entry.path in refused:
            continue
        if why := _obstacle(entry.path, standing, held):
            refused[entry.path] = why
            continue
        wanted.append(entry)
        if held.get(entry.path) != entry:
            move.append(entry)
    shown = tuple(Refusal(sanitize_line(path, 400), sanitize_line(why, 400)) for path, why in sorted(refused.items()))
    return SyncPlan(tuple(wanted), tuple(move), remove, shown)


def clashes(paths: Iterable[str]) -> set[str]:
    """Paths that, or whose folders, differ from another only in case or in how accents are encoded.

    Some file systems take two such names for one, so that one file would silently replace the other.
    """
    known = list(paths)
    spelling: dict[str, str] = {}
    clashing: set[str] = set()
    for path in known:
        for prefix in (*_folders(path), path):
            if spelling.setdefault(_case_folded(prefix), prefix) != prefix:
                clashing.add(_case_folded(prefix))
    if not clashing:
        return set()
    return {path for path in known if any(_case_folded(prefix) in clashing for prefix in (*_folders(path), path))}


def _case_folded(path: str) -> str:
    return path if path.isascii() and path.islower() else unicodedata.normalize("NFC", path.casefold())


def _covered(path: str, present: set[str]) -> bool:
    """Whether ``path``, or a folder above it that could not be read, is at the source."""
    return any(prefix in present for prefix in _folders(path)) or path in present


def _in_the_way(target: FileIndex, going: set[str]) -> dict[str, str]:
    """What stands at the target and must stay: path -> what it is."""
    standing = {entry.path: "a file" for entry in target.files if entry.path not in going}
    for path in list(standing):
        standing.update(dict.fromkeys(_folders(path), "a folder"))
    standing.update((path, why) for path, why in target.refused)
    return standing


def _obstacle(path: str, standing: dict[str, str], held: dict[str, Entry]) -> str:
    for prefix in _folders(path):
        if standing.get(prefix, "a folder") != "a folder":
            return f"{prefix} is in the way at the other end: {standing[prefix].removeprefix('it is ')}"
    if path in standing and path not in held:
        return f"its place at the other end is taken: {standing[path].removeprefix('it is ')}"
    return ""


def _folders(path: str) -> Iterable[str]:
    return (path[:end] for end, character in enumerate(path) if character == "/")


def differing(plan: SyncPlan, failures: dict[str, str], otherwise: str) -> tuple[Refusal, ...]:
    """What ``plan`` has still to do: why it failed, or ``otherwise``."""
    return tuple(
        Refusal(sanitize_line(entry.path, 400), sanitize_line(failures.get(entry.path, otherwise), 400))
        for entry in (*plan.move, *plan.remove)
    )
