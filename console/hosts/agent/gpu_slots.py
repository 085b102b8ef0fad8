"""Which GPU a run is bound to: each slot its own while there are enough, and one that others occupy only where that is wanted."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from console.hosts.agent import gpu
from console.hosts.agent.gpu import Card, CardUse
from console.hosts.agent.gpu_claims import GpuClaims
from console.hosts.agent.process import KEY_VARIABLE, boot_id, read_stat, read_strings
from console.hosts.agent.workspace import Workspace, read_json, write_json
from engine.contract.file_lock import is_locked, take_lock

VISIBLE = "CUDA_VISIBLE_DEVICES"
SEEN = "gpus.json"  # in the folder of the slots: the GPUs seen since the host started
ASK_EVERY_S = 2.0
TIMEOUT_S = 4.0  # of one question: a supervisor that waits must take an abort in time
SETTLE_S = 10.0  # a driver may release the GPU of a run that has ended late: nothing is refused before that
MAX_HIDDEN_MIB = (
    1024  # of a GPU on which no process is shown: more than a desktop, less than a training run of anybody's
)
NOT_USERS = ("nvidia-cuda-mps-server",)
MAX_PARENTS = 64


class GpuBusy(Exception):
    """No GPU for a run now; the text says why, for the queue."""


class GpuRefused(Exception):
    """No GPU for a run, which is not to wait for one."""


class _Found(NamedTuple):
    """Answer of nvidia-smi: the GPUs to choose from, what it says of others, and their use by the UUID of the GPU."""

    cards: tuple[Card, ...]
    note: str
    uses: dict[str, CardUse]


class GpuSlots:
    """The choice of a GPU for one run.

    Args:
        wanted: of the launch: ``device`` (``auto``, ``cuda``) and ``occupied``: whether a run waits for a GPU that others
            use, is refused (``refuse``) or shares it (``share``).
        slots: how many runs the host takes at a time.
        environ: of the job; its CUDA_VISIBLE_DEVICES names the GPUs to choose from.
    """

    def __init__(self, workspace: Workspace, wanted: Mapping[str, Any], slots: int, environ: Mapping[str, str]) -> None:
        self._workspace = workspace
        self._claims = GpuClaims(workspace)
        self._needs_gpu = wanted.get("device") == "cuda"
        self._occupied = wanted.get("occupied", "wait")
        self._slots = slots
        self._visible = environ.get(VISIBLE)
        self._found: _Found | None = None
        self._problem = ""  # why nothing was found
        self._asked_at: float | None = None
        self._busy_since: float | None = None
        self.card: Card | None = None

    def ask(self) -> None:
        """Ask nvidia-smi, unless it has just answered. It may take seconds: the queue's lock must not be held."""
        now = time.monotonic()
        if self._asked_at is not None and now - self._asked_at < ASK_EVERY_S:
            return
        self._found, self._problem = None, ""
        try:
            if self._visible is None or self._visible.strip() not in ("", "-1"):
                found, note = gpu.cards(TIMEOUT_S)
                shared = self._occupied == "share"
                uses = {} if shared else gpu.card_uses(sorted({card.gpu for card in found}), TIMEOUT_S)
                self._found = _Found(tuple(found), note, uses)
        except gpu.NoNvidiaSmi:
            pass
        except gpu.GpuUnknown as unknown:
            self._problem = str(unknown)
        self._asked_at = time.monotonic()

    def take(self, slot: int) -> list[int]:
        """Descriptors of the locks on the GPU for ``slot``, which then is ``card``; none if runs are not bound to any here.

        The queue's lock must be held.

        Raises:
            GpuBusy: none is free.
            GpuRefused: none is free of others, and the run is not to wait.
            OSError: there is no room for the lock's file.
        """
        self.card = None
        try:
            locks = self._take(slot)
        except GpuBusy:
            self._busy_since = time.monotonic() if self._busy_since is None else self._busy_since
            raise
        self._busy_since = None
        return locks

    @property
    def environment(self) -> dict[str, str]:
        """What the job's environment has of GPUs."""
        value = self._visible if self.card is None else self.card.uuid
        return {} if value is None else {VISIBLE: value}

    @property
    def record(self) -> dict[str, Any]:
        """The run's GPU for its state: ``uuid``, ``index`` and ``name``; nothing if there is none."""
        card = self.card
        return {} if card is None else {"gpu": {"uuid": card.uuid, "index": card.number, "name": card.name}}

    def _take(self, slot: int) -> list[int]:
        seen = self._seen()
        if self._found is None:
            if self._problem and (seen or self._needs_gpu):
                self._wait(f"waits for a GPU: {self._problem}", refused=True)
            return []
        cards = {card.uuid: card._replace(number=seen.get(card.uuid, card).number) for card in self._found.cards}
        divided = {card.gpu for card in cards.values()}  # as they are divided now: MIG devices come and go
        known = {**{uuid: card for uuid, card in seen.items() if card.gpu not in divided}, **cards}
        if known != seen:
            self._remember(known)
        chosen = _visible_cards(known, self._visible)
        if not chosen:
            if known and self._visible:
                names = ", ".join(card.label for card in known.values())
                self._wait(
                    f"waits for a GPU: {VISIBLE}={self._visible} on the host names none of {names}", refused=True
                )
            return []
        share = -(-self._slots // len(chosen))  # how many runs a GPU takes
        loads = {uuid: len(self._locked(uuid)) for uuid in chosen}
        problems = {uuid: self._occupant(card, loads[uuid], uuid in cards) for uuid, card in chosen.items()}
        free = [uuid for uuid in chosen if not problems[uuid] and loads[uuid] < share]
        if not free:
            full = {uuid: "has " + ("a run" if loads[uuid] == 1 else f"{loads[uuid]} runs") for uuid in chosen}
            texts = [f"{card.label} {problems[uuid] or full[uuid]}" for uuid, card in chosen.items()]
            self._wait(f"waits for a GPU: {'; '.join(texts)}", refused=all(problems.values()))
            return []
        order = sorted(chosen)  # not as nvidia-smi lists them: that changes
        first = slot % len(order)
        uuid = min(order[first:] + order[:first], key=lambda one: loads[one] if one in free else self._slots + 1)
        for number in itertools.count():
            path = self._lock(uuid, str(number))
            lock = take_lock(path, wait=False)
            if lock is not None:
                return self._claimed(chosen[uuid], lock)
        raise AssertionError("unreachable")

    def _claimed(self, card: Card, lock: int) -> list[int]:
        """Claim ``card`` for this workspace beside its ``lock``; both are given back if another has it by now."""
        claim = self._claims.take(card.uuid)
        locks = [lock] if claim is None else [lock, claim]
        if self._occupied != "share" and (other := self._claims.other(card.uuid)):
            for descriptor in locks:
                os.close(descriptor)
            raise GpuBusy(f"waits for a GPU: {card.label} {_claim_text(other)}")
        self.card = card
        return locks

    def _wait(self, why: str, refused: bool) -> None:
        """Raise GpuBusy or GpuRefused with the text ``why``; returns only where the run is to start all the same."""
        if self._occupied == "share" and refused:
            return
        since = time.monotonic() if self._busy_since is None else self._busy_since
        if self._occupied == "refuse" and refused and time.monotonic() - since >= SETTLE_S:
            raise GpuRefused(why.replace("waits for a GPU", "no GPU is free", 1))
        raise GpuBusy(why)

    def _occupant(self, card: Card, runs: int, listed: bool) -> str:
        """Why a run is not to use ``card``, on which ``runs`` of ours are; "" if it may."""
        assert self._found is not None
        if not listed:
            note = f": {self._found.note}" if self._found.note else ""
            return f"is not there any more, by nvidia-smi{note}"
        if self._occupied == "share":
            return ""
        if other := self._claims.other(card.uuid):
            return _claim_text(other)
        if card.uuid != card.gpu:
            return ""  # nvidia-smi does not say who uses a MIG device
        use = self._found.uses.get(card.gpu, CardUse())
        if use.problem:
            return f"does not answer: {use.problem}"
        others = [one for one in use.processes if one["name"] not in NOT_USERS and not self._is_ours(one["pid"], runs)]
        if others:
            return f"is used by {', '.join(map(_user_text, others))}"
        if not use.processes and not runs and (use.memory or 0) > MAX_HIDDEN_MIB:
            return f"has {_gib(use.memory)} in use by processes that the host does not show"
        return ""

    def _is_ours(self, pid: int, runs: int) -> bool:
        """Whether a process on a GPU with ``runs`` runs of ours is one of theirs."""
        if not runs:
            return False  # not even what a lost run has left behind: it closed its run's locks
        if read_stat(pid) is None:
            return True  # in a container nvidia-smi may name pids of the machine: nobody can tell whose they are
        return is_of_job(self._workspace, pid)

    def _lock(self, uuid: str, number: str) -> Path:
        return self._workspace.slots / f"gpu-{uuid.replace('/', '_')}-{number}.lock"

    def _locked(self, uuid: str) -> list[Path]:
        """The locks on a GPU that are held, each by a run and by what it has left running."""
        pattern = self._lock(uuid, "*")
        return [path for path in pattern.parent.glob(pattern.name) if is_locked(path)]

    def _seen(self) -> dict[str, Card]:
        """The GPUs seen since the host, or its container, was started."""
        kept = read_json(self._workspace.slots / SEEN) or {}
        if kept.get("start") != _start() or not isinstance(kept.get("cards"), list):
            return {}
        texts = [one for one in kept["cards"] if isinstance(one, list) and len(one) == len(Card._fields)]
        return {str(one[0]): Card(*map(str, one)) for one in texts}

    def _remember(self, known: Mapping[str, Card]) -> None:
        content = {"start": _start(), "cards": [list(card) for card in known.values()]}
        write_json(self._workspace.slots / SEEN, content, durable=False)


def _start() -> str:
    """Changes with each start of the host, and of the container in which this runs: its GPUs may be others then."""
    first = read_stat(1)
    return f"{boot_id()} {first.start if first else 0}"


def _visible_cards(known: Mapping[str, Card], visible: str | None) -> dict[str, Card]:
    """Those of ``known`` that a CUDA_VISIBLE_DEVICES names, by number or by the beginning of the UUID; all without one."""
    if visible is None:
        return dict(known)
    found: dict[str, Card] = {}
    for name in (part.strip() for part in visible.split(",")):
        for uuid, card in known.items():
            by_number = name in (card.number, card.number.partition(":")[0])
            if by_number or (
                name.startswith(("GPU-", "MIG-")) and (uuid.startswith(name) or card.gpu.startswith(name))
            ):
                found[uuid] = card
    return found


def is_of_job(workspace: Workspace, pid: int) -> bool:
    """Whether a process is of a run that was launched in this workspace: by its key, or that of one that started it."""
    for _ in range(MAX_PARENTS):
        for entry in read_strings(pid, "environ"):
            name, _, key = entry.partition("=")
            if name == KEY_VARIABLE and workspace.is_key(key) and workspace.job(key).exists():
                return True
        stat = read_stat(pid)
        if stat is None or stat.parent <= 1:
            return False
        pid = stat.parent
    return False


def _claim_text(workspace: str) -> str:
    return f"has a run of the workspace {workspace}"


def _user_text(process: Mapping[str, Any]) -> str:
    """``ann python3 (4242) 11.8 GiB``."""
    user = gpu.owner(process["pid"])["user"]
    name = os.path.basename(str(process["name"])) or "a process"  # noqa: PTH119 - a name, not a path of this system
    memory = "" if process["memory"] is None else _gib(process["memory"])
    return " ".join(filter(None, (user, name, f"({process['pid']})", memory)))


def _gib(mib: int | None) -> str:
    return f"{(mib or 0) / 1024:.1f} GiB"
