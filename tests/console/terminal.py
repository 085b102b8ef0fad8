"""The console as a process in a terminal of its own: keys go in, and what it paints comes out."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence

CONTROL = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[()][A-Z0-9]|\x1b[=>]")


class Terminal:
    """Runs ``command`` in a terminal of 120 x 40 within the block."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self._command = command
        self._environ = {**environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self._painted = b""
        self._more = threading.Condition()

    def __enter__(self) -> Terminal:
        self._operator, device = pty.openpty()
        fcntl.ioctl(device, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self._process = subprocess.Popen(
            self._command,
            stdin=device,
            stdout=device,
            stderr=device,
            env=self._environ,
            start_new_session=True,
        )
        os.close(device)
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._reading.join()
        os.close(self._operator)

    def wait_for(self, text: str, seconds: float) -> None:
        """Wait until ``text`` has been painted since the last key.

        Raises:
            AssertionError: it was not within ``seconds``.
        """
        with self._more:
            if not self._more.wait_for(lambda: text.encode() in CONTROL.sub(b"", self._painted), seconds):
                shown = CONTROL.sub(b"", self._painted)[-4000:].decode("utf-8", "replace")
                raise AssertionError(f"never painted: {text!r}\n{shown}")

    def wait_for_bytes(self, sequence: bytes, seconds: float) -> None:
        """Wait until ``sequence`` has come since the last key, control sequences included.

        Raises:
            AssertionError: it did not within ``seconds``.
        """
        with self._more:
            if not self._more.wait_for(lambda: sequence in self._painted, seconds):
                raise AssertionError(f"never came: {sequence!r}")

    @property
    def pid(self) -> int:
        """Process id of the command."""
        return self._process.pid

    @property
    def painted(self) -> bytes:
        """What was written since the last key."""
        with self._more:
            return self._painted

    def write(self, text: str) -> None:
        """Send ``text`` as the terminal would."""
        os.write(self._operator, text.encode())

    def press(self, key: str, text: str, seconds: float = 10.0) -> float:
        """Press ``key``; returns how long it took until ``text`` was painted after it."""
        with self._more:
            self._painted = b""
        pressed = time.perf_counter()
        os.write(self._operator, key.encode())
        self.wait_for(text, seconds)
        return time.perf_counter() - pressed

    def _read(self) -> None:
        while True:
            try:
                painted = os.read(self._operator, 65536)
            except OSError:  # the process has ended
                return
            with self._more:
                self._painted = self._painted[-(1 << 20) :] + painted
                self._more.notify_all()
