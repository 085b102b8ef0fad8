"""Python run on a host, through whatever shell its user has and whatever that shell prints at login."""

from __future__ import annotations

import asyncio
import re
import uuid

import asyncssh
import msgspec
from msgspec import Struct

from console.hosts.ssh.channels import Channels, HostConnection
from console.hosts.ssh.errors import LinkDown
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


LINK_S = 20.0  # for the answer to come, beyond what the command may take
# run on the host as MarkedPython: no shell reads the command, and nobody's words get among its own
RUN = """
import json, os, subprocess, sys

mark, seconds, *command = sys.argv[2:]
nothing, said = subprocess.DEVNULL, ""
try:
    done = subprocess.run(command, stdin=nothing, stdout=nothing, stderr=subprocess.PIPE, timeout=float(seconds))
    code = done.returncode
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    said = lines[-1][:1000] if lines else ""
except subprocess.TimeoutExpired:
    code, said = -1, command[0] + " did not end within " + seconds + " s"
except OSError as error:
    code, said = -1, command[0] + " cannot be run: " + error.strerror
os.write(1, ("\\n" + mark + json.dumps({"code": code, "said": said}) + "\\n").encode())
"""


class Ended(Struct, frozen=True):
    """How a command ended, and its last line on stderr."""

    code: int
    said: str


async def complaint_of(connection: HostConnection, command: tuple[str, ...], seconds: float) -> str:
    """The last line that a failing ``command`` says on stderr; "" if it does not fail.

    Raises:
        LinkDown: the link failed.
    """
    line = await MarkedPython(connection.python, RUN, f"{seconds:g}", *command).answer(
        connection.channels, seconds + LINK_S
    )
    try:
        ended = msgspec.json.decode(line, type=Ended)
    except msgspec.DecodeError as error:
        raise LinkDown(f"what the host says of {sanitize_line(command[0])} cannot be read") from error
    return "" if ended.code == 0 else sanitize_line(ended.said) or f"ended with {ended.code}"
