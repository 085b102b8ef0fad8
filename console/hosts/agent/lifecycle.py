"""Life of a launch on the host: which durable step comes next, decided from what is on the disk alone.

Every process that works on a launch may be killed after any step. Whoever comes next, be it the same request again, the
agent's caretaker or the supervisor, looks at what is there (``Facts``) and performs ``next_step`` until there is none.
Pure: what the steps do to files and processes is in ``launches``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from engine.contract.run_folder import SEALED

# Steps. Those in PLACEMENT move folders that launches of the same run share, and need the queue's lock as well.
DISCARD = "discard"  # delete what an interrupted claim prepared: nothing was promised yet
SET_ASIDE = "set aside"  # move the run before it out of the run's folder
PUT_IN_PLACE = "put in place"  # give the prepared folder the run's name
START = "start"  # start its supervisor
ABORT = "abort"  # end its processes, and record that it was aborted
RECORD = "record"  # copy the recorded exit to the state, and write the manifest
SEAL = "seal"  # write the manifest
ARCHIVE = "archive"  # move the launch to those that are over
TAKE_BACK = "take back"  # undo "put in place"
RESTORE = "restore"  # undo "set aside"
FORGET = "forget"  # delete the undone launch: its key can be claimed again
PLACEMENT = frozenset((DISCARD, SET_ASIDE, PUT_IN_PLACE, ARCHIVE, TAKE_BACK, RESTORE, FORGET))


class Facts(NamedTuple):
    """What is on the disk of one launch that nobody supervises.

    Attributes:
        committed: the launch is claimed; before that it can be forgotten without a trace.
        undone: its launcher refused it, so that the claim is being undone.
        staged: its prepared run folder has not been put in place.
        folder: the run's folder exists, whosever it is.
        replaced: it is of the launch that this one was claimed to replace.
        ours: the run's folder is this launch's.
        unreadable: the run's folder is there without a state that can be read: it is not known whose it is.
        previous: the run that was set aside for this launch still is.
        state: the recorded state of the run; "" if it is not this launch's, or cannot be read.
        exit: the state in the recorded exit; "" if there is none.
        sealed: the manifest is there.
        aborting: an abort was requested.
        queues_itself: it waits in a queue of its own, such as Slurm's, which starts and aborts it.
    """

    committed: bool = False
    undone: bool = False
    staged: bool = False
    folder: bool = False
    replaced: bool = False
    ours: bool = False
    unreadable: bool = False
    previous: bool = False
    state: str = ""
    exit: str = ""
    sealed: bool = False
    aborting: bool = False
    queues_itself: bool = False


def next_step(facts: Facts) -> str:
    """The next durable step of a launch that nobody supervises; "" if there is none: it waits, or it is lost."""
    if facts.undone:
        if facts.ours:
            return TAKE_BACK
        return RESTORE if facts.previous and not facts.folder else FORGET
    if not facts.committed:
        return DISCARD
    if facts.staged:
        if not facts.folder:
            return PUT_IN_PLACE
        return SET_ASIDE if facts.replaced else ARCHIVE  # somebody has put another run there since: it stays
    if facts.unreadable and not facts.sealed:
        return RECORD if facts.exit else ""  # it stays among the live launches, where it is found to be active
    if not facts.ours:
        return ARCHIVE  # launched again since, deleted, or sealed with a state that cannot be read
    if facts.state in SEALED:
        return ARCHIVE if facts.sealed else SEAL
    if facts.exit:
        return RECORD
    if facts.queues_itself:
        return ""
    if facts.aborting:
        return ABORT
    return START if facts.state == "queued" else ""


class Present(NamedTuple):
    """The present launch of a run, as a request to launch the run finds it.

    Attributes:
        key: of the launch whose state is in the run's folder, or "" if that is missing or cannot be read.
        active: key of the launch that is queued, supervised or has processes; "" if there is none.
        finished: it has finished, so that there are results.
    """

    key: str = ""
    active: str = ""
    finished: bool = False


def may_claim(claimed: bool, present: Present, replaces: str | None, sets_aside_results: bool) -> bool:
    """Whether a key may be claimed for a run. A key means the same launch for ever; an active run is never launched over.

    Args:
        claimed: whether the key has been claimed already, however long ago.
        replaces: key of the launch that the operator saw, "" for none: nothing else is set aside. None: whatever is there.
        sets_aside_results: whether the operator was told that results would be set aside; a launch that the operator saw as
            lost may have finished since.
    """
    if claimed or present.active or replaces not in (None, present.key):
        return False
    return sets_aside_results or not present.finished


def owns_run(key: str, supervisor: Mapping[str, Any], recorded: Mapping[str, Any], recorded_lives: bool) -> bool:
    """Whether ``supervisor`` of launch ``key`` may write to the run's folder, and start its job.

    Locks are files, which can be deleted: another supervisor may have the same launch then, or another launch the run.

    Args:
        recorded: the state in the run's folder; empty if there is none that can be read.
        recorded_lives: the supervisor that is recorded there is a living process.
    """
    if not recorded:
        return True
    if recorded["key"] != key or recorded["state"] in SEALED:
        return False
    if recorded.get("supervisor") == supervisor or "slurm" in recorded:  # Slurm may start a run again
        return True
    return recorded["state"] == "queued" and not recorded_lives
