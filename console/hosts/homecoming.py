"""Keeps the runs at home in step with those sealed on the host, one pull after another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from console.hosts.connection import Reached
from console.hosts.pull import Damaged, manifest_at_home, pull
from console.hosts.sync.failure import NotNow
from console.snapshot import Home
from engine.contract.experiment import RunId

RETRY_S = 30.0  # when a full disk, or another console, kept a run from coming home


class Homecoming:
    """What is at home of each run.

    Args:
        folder: local folder of the experiment's runs.
        runs: the runs of interest.
        tell: called after each change.
    """

    def __init__(self, folder: Path, runs: tuple[RunId, ...], tell: Callable[[], None]) -> None:
        self.homes = dict.fromkeys(runs, Home())
        self._folder = folder
        self._tell = tell
        self._keys: dict[RunId, str] = {}
        self._refused: set[tuple[RunId, str]] = set()
        self._sealed: dict[RunId, str] = {}
        self._news = asyncio.Event()

    async def look(self) -> None:
        """See what lies at home already."""
        for run in self.homes:
            await self._look_at(run)

    def sealed(self, sealed: dict[RunId, str]) -> None:
        """The host says which runs are sealed, under which launch."""
        if sealed != self._sealed:
            self._sealed = dict(sealed)
            self._news.set()

    def at_home(self, run: RunId, key: str) -> bool:
        """Whether the capsule of that very launch is at home, verified."""
        return self._keys.get(run) == key

    def refused(self, run: RunId, key: str) -> bool:
        """Whether that capsule came damaged, so that it is not asked for again."""
        return (run, key) in self._refused

    async def bring(self, reached: Reached, folder: str) -> None:
        """Pull whatever is sealed and not at home, as long as the link holds.

        Raises:
            LinkDown: it does not.
        """
        remote = PurePosixPath(reached.workspace) / "runs" / folder
        self._news.set()
        later: NotNow | None = None
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(None if later is None else RETRY_S):
                    await self._news.wait()
            self._news.clear()
            later = None
            for run, key in self._sealed.items():
                if not key or self.at_home(run, key) or self.refused(run, key):
                    continue
                try:
                    await pull(reached, remote / str(run), self._folder, run, self._reporter(run))
                    await self._look_at(run)
                except NotNow as error:
                    later = error
                    self._set(run, Home("away", note=str(error)))
                except Damaged as error:
                    self._refused.add((run, key))
                    self._set(run, Home("damaged", note=str(error)))

    async def _look_at(self, run: RunId) -> None:
        manifest = await asyncio.to_thread(manifest_at_home, self._folder, run)
        if manifest is not None:
            self._keys[run] = manifest.key
            files, size = len(manifest.files), sum(entry.size for entry in manifest.files)
            self._set(run, Home("home", files, files, size, size))

    def _reporter(self, run: RunId) -> Callable[[Home], None]:
        return lambda home: self._set(run, home)

    def _set(self, run: RunId, home: Home) -> None:
        self.homes[run] = home
        self._tell()
