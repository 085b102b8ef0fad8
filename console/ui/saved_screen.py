"""What of the screen is kept from one console to the next: the view, the selected run, how the charts are shown."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from console.ui.action import ViewName
from engine.contract.durable import write_durably

FILE = "screens.json"
_MAX_SCREENS = 50  # of experiments, the ones left last


class SavedCharts(Struct, frozen=True):
    """How view 3 shows its charts, in the words of ``ChartOptions``; ``metrics`` are the names of one for each chart."""

    mode: str = "runs"
    spread: str = "sd"
    x: str = "step"
    layout: int = 0
    metrics: tuple[str, ...] = ()


class SavedScreen(Struct, frozen=True):
    """The screen of one experiment as it was left.

    Attributes:
        view: the view that was shown.
        run: the selected run, as ``A_seed42``; "" for none.
    """

    view: ViewName = "runs"
    run: str = ""
    charts: SavedCharts = SavedCharts()


class SavedScreens:
    """The file of saved screens, one of each folder of runs. What cannot be read or written is as if it had not been saved.

    Args:
        folder: where this program keeps what it remembers.
        runs_dir: the folder of all experiments, as an absolute path.
        may_write: else screens are only read.
    """

    def __init__(self, folder: Path, runs_dir: Path, *, may_write: bool = True) -> None:
        self._file = folder / FILE
        self._runs_dir = runs_dir
        self._may_write = may_write

    def read(self, folder: str) -> SavedScreen:
        """The screen of the experiment in ``folder`` of the runs; the first screen where none was saved."""
        return self._screens().get(self._key(folder), SavedScreen())

    def write(self, folder: str, screen: SavedScreen) -> None:
        """Save the screen of the experiment in ``folder`` of the runs. Blocks."""
        if not self._may_write:
            return
        key = self._key(folder)
        others = {name: one for name, one in self._screens().items() if name != key}
        kept = dict(list(others.items())[-_MAX_SCREENS + 1 :]) | {key: screen}
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_durably(self._file, msgspec.json.encode(kept), wait=False)

    def _key(self, folder: str) -> str:
        return str(self._runs_dir / folder).encode("utf-8", "replace").decode()

    def _screens(self) -> dict[str, SavedScreen]:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=dict[str, SavedScreen])
        except (OSError, ValueError):  # such as no file yet, or one of a newer version
            return {}


class ScreenKeeper:
    """Saves the screen of the experiment that is open whenever it has changed.

    Args:
        screens: the file; None keeps nothing.
        folder: of the experiment that is open.
    """

    def __init__(self, screens: SavedScreens | None, folder: str) -> None:
        self._screens = screens
        self.open(folder)

    def open(self, folder: str) -> None:
        """Keep the screen of another experiment from now on."""
        self._folder = folder
        self.last = self._screens.read(folder) if self._screens is not None else SavedScreen()

    def save(self, screen: SavedScreen) -> None:
        """Save ``screen``, unless it is the one that was saved last. Blocks."""
        if self._screens is not None and screen != self.last:
            self.last = screen
            self._screens.write(self._folder, screen)
