"""Sets up ``.venv`` and says at every moment what is being done and what remains; called by ``make``.

It uses only the standard library, since nothing is installed yet. On a terminal one line changes; elsewhere, as in a log
of CI, a line is written every few seconds.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO, NoReturn

LARGE_MB = 5.0  # a package of at least this size gets a line of its own
LINE_EVERY_S = 10.0  # without a terminal
LAST_LINES = 12
DOWNLOAD = re.compile(r"(?:Downloading|Using cached) (?:\S*/)?([A-Za-z0-9_.]+)-\S+ \(([\d.]+) (kB|MB|GB)\)")
MEGABYTES = {"kB": 0.001, "MB": 1.0, "GB": 1000.0}
STEPS = 3  # the third, WordNet, is the engine's own command


class Step:
    """A step's line on stderr, which shows its latest state and the seconds so far until it ends."""

    def __init__(self, number: int, title: str) -> None:
        self._begin = time.monotonic()
        self._shown_at = self._begin
        self.state = ""
        self._tty = sys.stderr.isatty()
        self.write(f"step {number} of {STEPS}: {title}")

    def write(self, text: str) -> None:
        """Write a line that stays."""
        clear = "\r\x1b[K" if self._tty else ""
        print(f"{clear}{text}", file=sys.stderr, flush=True)

    def tick(self) -> None:
        """Show the state and the time again, if it is time to."""
        now = time.monotonic()
        text = f"  {self.state}, {now - self._begin:.0f} s so far"
        if self._tty:
            print(f"\r\x1b[K{text[: shutil.get_terminal_size().columns - 1]}", end="", file=sys.stderr, flush=True)
        elif now - self._shown_at >= LINE_EVERY_S:
            self._shown_at = now
            self.write(text)

    def end(self) -> None:
        self.write(f"  done in {time.monotonic() - self._begin:.0f} s")


def download_of(line: str) -> tuple[str, float] | None:
    """Name and megabytes of the package that a line of pip's output says it fetches, else None."""
    found = DOWNLOAD.search(line)
    if found is None:
        return None
    name, size, unit = found.groups()
    return name.replace("_", "-"), float(size) * MEGABYTES[unit]


def advice(output: str) -> str:
    """What to do about a failure of pip, judged by what it printed."""
    if "No space left" in output:
        return "the disk is full: free about 2 GB (with GPU packages 8 GB), then run make again"
    if re.search(
        r"Temporary failure in name|NewConnectionError|ConnectTimeout|ProxyError|ReadTimeout|SSLError", output
    ):
        return (
            "the package index cannot be reached: check the network, or name a proxy (https_proxy) or a mirror "
            "(PIP_INDEX_URL), then run make again; what was downloaded is kept"
        )
    if "No matching distribution" in output:
        return "a package has no build for this Python or platform: try another with make PYTHON=/path/to/python3.12"
    return "run make again; if it fails again, the log says why"


def create_environment(venv: Path) -> None:
    """Step 1: an empty environment."""
    step = Step(1, f"Python environment in {venv}")
    step.state = "creating it"
    making = subprocess.Popen(
        [sys.executable, "-I", "-m", "venv", str(venv)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while True:
        try:
            status = making.wait(1.0)
            break
        except subprocess.TimeoutExpired:
            step.tick()
    if status:
        shutil.rmtree(venv, ignore_errors=True)
        fail(1, "qllm-console needs Python's venv module (on Debian: apt-get install python3-venv)")
    step.end()


def install_packages(venv: Path, requirement: str, constraints: Path) -> None:
    """Step 2: the packages, with pip's output in ``set-up.log`` and its progress on stderr."""
    pins = sum("==" in line for line in constraints.read_text().splitlines())
    step = Step(2, f"about {pins} packages; torch is the largest, and takes minutes on a slow network")
    log = venv / "set-up.log"
    argv = [
        str(venv / "bin" / "python"),
        "-I",
        "-u",
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
    ]
    with tempfile.TemporaryDirectory(dir=venv) as unpacked, log.open("w") as copy:
        pip = subprocess.Popen(
            [*argv, "-c", str(constraints), "-e", requirement],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "TMPDIR": str(Path(unpacked).absolute())},
        )
        assert pip.stdout is not None
        progress = PipProgress(step, Path(unpacked), site_packages(venv), pins)
        reader = threading.Thread(target=progress.read, args=(pip.stdout, copy))
        reader.start()
        while reader.is_alive():
            reader.join(1.0)
            progress.show()
    if pip.wait():
        last = "".join(f"    {line}" for line in progress.last)
        fail(2, f"pip could not install the packages:\n{last}  {advice(''.join(progress.last))}\n  log: {log}")
    step.end()


class PipProgress:
    """What pip is doing, from its output, its partial downloads and what stands in ``site-packages``."""

    def __init__(self, step: Step, unpacked: Path, packages: Path, pins: int) -> None:
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        self._step = step
        self._unpacked = unpacked
        self._packages = packages
        self._pins = pins
        self._collected = 0
        self._download: tuple[str, float] | None = None
        self._installing = 0
        self._present: set[str] = set()  # packages that stood there before, in the same version
        step.state = "resolving packages"

    def read(self, output: IO[str], copy: IO[str]) -> None:
        """Follow pip's output to its end."""
        for line in output:
            copy.write(line)
            self.last.append(line)
            if line.startswith("Collecting "):
                self._collected += 1
                self._download = None
            elif line.startswith("Installing collected packages:"):
                self._installing = line.count(",") + 1
                self._present = self._installed()
                self._step.write(f"  installing {self._installing} packages")
            elif found := download_of(line):
                self._download = found
                if found[1] >= LARGE_MB:
                    self._step.write(f"  package {self._collected} of about {self._pins}: {found[0]} {found[1]:.0f} MB")

    def _installed(self) -> set[str]:
        return {one.name for one in self._packages.glob("*.dist-info")}

    def show(self) -> None:
        """Show how far it is."""
        if self._installing:
            self._step.state = f"{len(self._installed() - self._present)} of {self._installing} packages installed"
        elif self._download is not None:
            name, size = self._download
            received = f", {self._received(name):.0f} of {size:.0f} MB" if size >= LARGE_MB else ""
            self._step.state = f"package {self._collected} of about {self._pins}: {name}{received}"
        elif self._collected:
            self._step.state = f"package {self._collected} of about {self._pins}"
        self._step.tick()

    def _received(self, name: str) -> float:
        """Megabytes of the package that have arrived."""
        found = self._unpacked.glob(f"pip-*/{name.replace('-', '?')}-*")
        return sum(path.stat().st_size for path in found if path.is_file()) / 1e6


def site_packages(venv: Path) -> Path:
    return venv / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"


def fail(step: int, text: str) -> NoReturn:
    """Say which step failed and what to do; exit code 2."""
    print(f"step {step} of {STEPS} failed: {text}", file=sys.stderr)
    sys.exit(2)


def main() -> None:
    """``set_up.py VENV REQUIREMENT CONSTRAINTS``: steps 1 and 2; ``set_up.py --wordnet``: announces step 3."""
    if sys.argv[1:] == ["--wordnet"]:
        Step(3, "WordNet 3.0, 10 MB unless it is on this machine")
        return
    venv, requirement, constraints = sys.argv[1:]
    create_environment(Path(venv))
    install_packages(Path(venv), requirement, Path(constraints))


if __name__ == "__main__":
    main()
