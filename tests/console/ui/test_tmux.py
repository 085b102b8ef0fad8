"""The real console in a real tmux, as a user sees it: resized in the middle of runs on the real embedded host."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.console.conftest import FinishedExperiment
from tests.console.tiny import LONG, arguments, warm, write_experiment
from tests.console.waiting import until

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="no tmux to run the console in"),
]


class Tmux:
    """One window of a tmux server of its own."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def run(self, *command: str) -> str:
        """What a tmux command prints; "" if it fails, as it does without a server."""
        argv = ["tmux", "-S", str(self._socket), "-f", os.devnull, *command]
        sizes = ("COLUMNS", "LINES")  # where they are set, they go before the size of the window
        environ = {name: value for name, value in os.environ.items() if name not in sizes} | {"LC_ALL": "C.UTF-8"}
        return subprocess.run(argv, capture_output=True, text=True, env=environ, timeout=60, check=False).stdout

    def resize(self, width: int, height: int) -> None:
        """Give the window another size."""
        self.run("resize-window", "-x", str(width), "-y", str(height))

    def press(self, *keys: str) -> None:
        """Press keys, by their names in tmux."""
        self.run("send-keys", *keys)

    def until_shown(self, *texts: str, without: str = "", size: tuple[int, int] | None = None) -> list[str]:
        """The lines of the screen once they have every text and not ``without``, and fill ``size``.

        The last of them has then the keys, and the first reaches the right edge, where there may be one blank.
        """
        shown: list[str] = []

        def complete() -> bool:
            shown[:] = self.run("capture-pane", "-p").splitlines()
            text = "\n".join(shown)
            fills = size is None or (
                len(shown) == size[1] and size[0] - len(shown[0]) in (0, 1) and "q quit" in shown[-1]
            )
            return fills and all(one in text for one in texts) and not (without and without in text)

        try:
            until(complete)
        except AssertionError as error:
            raise AssertionError(f"never shown: {texts}, size {size}\n" + "\n".join(shown)) from error
        return shown


@contextmanager
def console_in_tmux(folder: Path, experiment: Path, runs: Path) -> Iterator[Tmux]:
    """The console in a window of 80 x 24."""
    tmux = Tmux(folder / "tmux")
    try:
        tmux.run("new-session", "-d", "-x", "80", "-y", "24", *arguments(None, experiment, runs))
        yield tmux
    finally:
        tmux.run("kill-server")


def test_resized_in_the_middle_of_runs_every_view_fills_the_terminal(
    tmp_path: Path, finished: FinishedExperiment
) -> None:
    runs = tmp_path / "runs"
    warm(finished.runs, runs)
    with console_in_tmux(tmp_path, write_experiment(tmp_path, epochs=LONG), runs) as tmux:
        tmux.until_shown("press a to launch all four", size=(80, 24))
        tmux.press("a")
        tmux.until_shown("2 running", "▶ running  training")
        for size in ((120, 40), (40, 12), (200, 60), (80, 24)):
            tmux.resize(*size)
            tmux.until_shown("▶", size=size)
        tmux.press("3")
        tmux.until_shown(">3 Live<", "training loss", "log: ", without="dev top-1 %", size=(80, 24))
        tmux.resize(120, 40)
        tmux.until_shown("training loss", "dev top-1 %", without="learning rate", size=(120, 40))
        tmux.resize(200, 60)
        tmux.until_shown("training loss", "dev top-1 %", "learning rate", size=(200, 60))
        tmux.resize(80, 24)
        tmux.until_shown("training loss", without="dev top-1 %", size=(80, 24))
        tmux.press("2")
        tmux.until_shown(">2 Runs<")  # in view 3, too, a run is running, but X aborts nothing
        tmux.press("X")
        tmux.until_shown("in mid-run")
        tmux.press("y")
        tmux.until_shown("4 aborted")
