"""One look at one running run: its state before and after says which launch the bytes in between are of."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path

from console.hosts.agent.frames import COMPLETE, DATA, END, FILE, SHRANK
from console.hosts.agent.send import OutgoingFile
from console.hosts.agent.workspace import KEY
from engine.contract.run_folder import EVENTS, LOG, STATE, size_and_sha256

AGAIN_S = 0.05


class HeldPlace:
    """Holds ``place`` until it is released, against every other look and pull, of whatever console. Blocks.

    Args:
        patience: seconds to wait for who has it.

    Raises:
        BlockingIOError: another has it still.
        FileNotFoundError: there is no such folder, or not any more.
    """

    def __init__(self, place: Path, patience: float = 0.0) -> None:
        self._handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            self._lock(time.monotonic() + patience)
            if not os.path.samestat(os.fstat(self._handle), place.stat()):
                raise FileNotFoundError(f"{place} was replaced")
        except BaseException:
            os.close(self._handle)
            raise

    def __enter__(self) -> HeldPlace:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        os.close(self._handle)

    def _lock(self, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(AGAIN_S)


GROWING = (EVENTS, LOG)
MAX_STATE = 1 << 20
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class LiveLook:
    """What to ask of one run, and where what comes goes. ``close`` ends it, in whatever state it is.

    Args:
        run: its folder's name on the host.
        key: the launch it is expected to be under; empty if that is not known, and then only that is asked.
        place: the local folder of that launch.
        sure: what is there is known to be the beginning of the host's files; else the host is asked.

    Attributes:
        files: what to ask for; known once it was opened.
        key: after the look, the launch that the run is under; empty if it is under none.
        confirmed: the launch was the expected one from before the first byte until after the last.
        shrank: a file of the host is shorter than what is here, so it was begun anew: this is not its beginning.
        sizes, new: bytes at home of each file, and how many of them came with this look.
    """

    def __init__(self, run: str, key: str, place: Path | None, *, sure: bool) -> None:
        self.files: list[OutgoingFile] = []
        self.key = ""
        self.confirmed = False
        self.shrank = False
        self.sizes: dict[str, int] = {}
        self.new = 0
        self._run = run
        self._expected = key
        self._place = place
        self._sure = sure
        self._held: HeldPlace | None = None
        self._handles: dict[int, int] = {}
        self._before: dict[int, int] = {}
        self._afresh: set[int] = set()
        self._states: dict[int, bytes] = {}

    def open(self) -> bool:
        """See how much is here; False if another look, or the capsule's pull, has it at this moment. Blocks.

        Raises:
            OSError: it cannot be written here.
        """
        state = OutgoingFile(f"{self._run}/{STATE}", None)
        growing = []
        if self._place is not None:
            self._place.mkdir(parents=True, exist_ok=True)
            try:
                self._held = HeldPlace(self._place)
            except (BlockingIOError, FileNotFoundError):
                return False
            for slot, name in enumerate(GROWING, 1):
                self._handles[slot] = os.open(self._path(slot), APPEND, 0o666)
                size = self._before[slot] = os.fstat(self._handles[slot]).st_size
                prefix = "" if self._sure or not size else size_and_sha256(self._path(slot))[1]
                growing.append(OutgoingFile(f"{self._run}/{name}", None, size, prefix))
        self.files = [state, *growing, state]
        return True

    def take(self, slot: int, kind: int, payload: bytes | memoryview, offset: int) -> None:
        """The next frame of the file asked for as number ``slot``."""
        if slot in (0, len(self.files) - 1):
            if kind == DATA and len(self._states.get(slot, b"")) < MAX_STATE:
                self._states[slot] = self._states.get(slot, b"") + bytes(payload)
            return
        handle = self._handles.get(slot)
        if handle is None:
            return
        if kind == FILE:
            if self._key_in(0) != self._expected:
                self._drop(slot)
            elif offset != self._before[slot]:  # what is here is not the beginning of what is there
                os.close(handle)
                self._handles[slot] = os.open(self._anew(slot), APPEND | os.O_TRUNC, 0o666)
                self._before[slot] = 0
                self._afresh.add(slot)
        elif kind == DATA:
            view = memoryview(payload)
            while view:
                view = view[os.write(handle, view) :]
        elif kind == END and payload[0] != COMPLETE:
            self.shrank = self.shrank or payload[0] == SHRANK
            os.ftruncate(handle, self._before[slot])

    def finish(self) -> None:
        """All frames came: keep the bytes if they are of the expected launch, and say what was found."""
        self.key = self._key_in(len(self.files) - 1)
        self.confirmed = bool(self.key) and self._key_in(0) == self.key == self._expected
        for slot, handle in self._handles.items():
            if not self.confirmed:
                os.ftruncate(handle, self._before[slot])
            elif slot in self._afresh:
                self._anew(slot).replace(self._path(slot))
            size = os.fstat(handle).st_size
            self.sizes[GROWING[slot - 1]] = size
            self.new += size - self._before[slot]

    def close(self) -> None:
        for slot in list(self._handles):
            self._drop(slot)
        for slot in self._afresh:
            self._anew(slot).unlink(missing_ok=True)
        if self._held is not None:
            self._held.release()
            self._held = None

    def _path(self, slot: int) -> Path:
        return (self._place or Path()) / GROWING[slot - 1]

    def _anew(self, slot: int) -> Path:
        """Where a file comes from its beginning on, while what is here may still be of use."""
        return self._path(slot).with_name(f".{GROWING[slot - 1]}.new")

    def _drop(self, slot: int) -> None:
        os.close(self._handles.pop(slot))

    def _key_in(self, slot: int) -> str:
        try:
            key = json.loads(self._states.get(slot, b""))["key"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return ""
        return key if isinstance(key, str) and KEY.match(key) else ""
