"""Python run on a host, through whatever shell its user has and whatever that shell prints at login."""

from __future__ import annotations

import asyncio
import re
import uuid

import asyncssh

from console.hosts.channels import Channels
from console.hosts.link_down import LinkDown
from console.sanitize import sanitize_line

NOISE_LIMIT = 1 << 20
SAFE = re.compile(r"[A-Za-z0-9_./+@%:,~-]+")
UNPACK = "import os,sys;exec(bytes.fromhex(sys.argv[1]).decode())"


class MarkedPython:
    """A Python program for the host whose output starts at a line with a mark of its own: what comes before is noise.

    The code and its arguments go as hexadecimal digits: bash, dash, zsh, fish and csh quote in different ways.
    It sees the standard library and nothing else (``-IS``); ``sys.argv`` there is ``["-c", the code, the mark, *arguments]``,
    the arguments as they are.

    Args:
        python: the host's Python.
        code: what it runs; it must print a line that begins with the mark.
        arguments: text for it.
    """

    def __init__(self, python: str, code: str, *arguments: str) -> None:
        if not SAFE.fullmatch(python):
            raise LinkDown(f"python {sanitize_line(python)!r} cannot be passed safely through every shell")
        self.mark = uuid.uuid4().hex
        self._python = python
        decode = "import sys;sys.argv[3:]=[bytes.fromhex(a[1:]).decode() for a in sys.argv[3:]]\n"
        packed = [self.mark, *(f"x{argument.encode().hex()}" for argument in arguments)]
        words = (decode + code).encode().hex()
        self.command = f"{python} -IS -c '{UNPACK}' {words} {' '.join(packed)}"

    async def answer(self, channels: Channels, seconds: float) -> str:
        """Run it to its end; returns what stands behind the mark.

        Raises:
            LinkDown: it cannot be run, ended without a mark, or did not end within ``seconds``.
        """
        try:
            async with asyncio.timeout(seconds):
                process = await channels.create_process(self.command)
                try:
                    line = await self.marked_line(process)
                    await process.wait_closed()
                    return line
                finally:
                    process.close()
        except TimeoutError as error:
            raise LinkDown(f"{self._python} does not answer there") from error
        except (OSError, asyncssh.Error) as error:
            raise LinkDown(f"{self._python} cannot be run there: {sanitize_line(str(error))}") from error

    async def marked_line(self, process: asyncssh.SSHClientProcess[bytes]) -> str:
        """What stands behind the mark; all before it is passed over.

        Raises:
            LinkDown: the program ended without it; the text is its last line, or the shell's.
        """
        size = 0
        last = b""
        start = self.mark.encode()
        while line := await process.stdout.readline():
            if line.startswith(start):
                return sanitize_line(line[len(start) :].decode("utf-8", "replace").strip())
            last = line.strip() or last
            size += len(line)
            if size > NOISE_LIMIT:
                raise LinkDown(f"the host's shell printed more than {NOISE_LIMIT >> 20} MiB before it ran anything")
        said = (await process.stderr.read(NOISE_LIMIT)).strip().splitlines()
        words = sanitize_line((said[-1] if said else last).decode("utf-8", "replace"), 400)
        raise LinkDown(words or "the host's shell ended without a word")
