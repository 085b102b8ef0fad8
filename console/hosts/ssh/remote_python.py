"""Python programs on a host, run through any login shell, whatever that shell prints."""

from __future__ import annotations

import asyncio
import contextlib
import re
import uuid

import asyncssh

from console.hosts.ssh.channels import Channels
from console.hosts.ssh.errors import LinkDown, Misconfigured
from console.sanitize import sanitize_line

MAX_NOISE_BYTES = 1 << 20
MAX_REPLY = 20_000  # characters: two paths of up to 4,095 bytes, in hexadecimal digits
REPLY_TIMEOUT_S = 20.0  # for the reply to arrive, beyond what the command may take
SHELL_SAFE = re.compile(r"[A-Za-z0-9_./+@%:,-]+")
_PRINTF_SAFE = re.compile(rb"[A-Za-z0-9_./]")
_EXPANDED = re.compile(r"^~[A-Za-z0-9_.-]*(?=/)|\$[A-Za-z_]\w*|\$\{[A-Za-z_]\w*\}", re.ASCII)
UTF_8 = '"utf-8","surrogateescape"'
UNPACK = "import os,sys;exec(bytes.fromhex(sys.argv[1]).decode())"
CANNOT_RUN = (126, 127)  # a shell's exit codes for a command that is not executable, or not found
NO_OPTION = "nknown option: -"  # Python 2 has no -I, and prints its usage
OTHER_PROGRAM = re.compile(r"(invalid|illegal|unrecognized) option\b")  # another program has no -I either
TOO_OLD = "too old: "
NOT_SET = "is not set on the host"
NAME_ONE = "name Python 3.8 or newer as `python` in hosts.toml, for the engine 3.11 or newer"
# Executed before any program, on Python 3 of any version: 3.8 is the first that the agent runs on.
JUDGE = f"""
import os, sys
if sys.version_info < (3, 8):
    folders = os.environ.get("PATH", "").split(":") + ["/usr/bin", "/usr/local/bin"]
    paths = [folder + "/python3.%d" % minor for minor in range(19, 7, -1) for folder in folders if "shims" not in folder]
    newer = [path for path in paths if os.access(path, os.X_OK)][:1]
    text = " ".join(["%d.%d.%d" % sys.version_info[:3]] + newer)
    os.write(1, ("\\n" + sys.argv[2] + "{TOO_OLD}" + text + "\\n").encode("utf-8", "surrogateescape"))
    os._exit(0)
"""


class MarkedPython:
    """Python program for a host; its reply is a line that begins with a random mark, all output before it is noise.

    Code and arguments are sent as hexadecimal digits, since bash, dash, zsh, fish and csh quote in different ways.
    The program sees the standard library only (``-IS``); its ``sys.argv`` is ``["-c", code, mark, *arguments]``.

    Args:
        python: the host's Python, any path.
        code: program text; it must print a line that begins with the mark.
        expand: the host replaces ``~`` and variables in ``python``.
    """

    def __init__(self, python: str, code: str, *arguments: str, expand: bool = False) -> None:
        self.mark = uuid.uuid4().hex
        self._python = sanitize_line(python)
        decode = f"import sys;sys.argv[3:]=[bytes.fromhex(a[1:]).decode({UTF_8}) for a in sys.argv[3:]]\n"
        packed = [self.mark, *(f"x{argument.encode('utf-8', 'surrogateescape').hex()}" for argument in arguments)]
        program = (JUDGE + decode + code).encode().hex()
        self.command = f"{start_of_python(python, expand)} -IS -X utf8 -c '{UNPACK}' {program} {' '.join(packed)}"

    async def run(self, channels: Channels, seconds: float) -> str:
        """Run the program to its end; returns the text after the mark.

        Raises:
            LinkDown: it printed no mark, or did not end within ``seconds``.
            Misconfigured: the host has no such Python, or it is too old.
        """
        try:
            async with asyncio.timeout(seconds):
                with contextlib.closing(await channels.create_process(self.command)) as process:
                    line = await self.marked_line(process)
                    await process.wait_closed()
                    return line
        except TimeoutError as error:
            raise LinkDown(f"{self._python} does not answer on the host") from error
        except (OSError, asyncssh.Error) as error:
            raise LinkDown(f"{self._python} cannot be run on the host: {sanitize_line(str(error))}") from error

    async def marked_line(self, process: asyncssh.SSHClientProcess[bytes]) -> str:
        """Read a program's output up to the line with the mark; returns the text after it.

        Raises:
            LinkDown: the program ended without it; the text is the last line that it or the shell printed.
            Misconfigured: the host has no such Python, or it is too old.
        """
        size, last, start = 0, b"", self.mark.encode()
        while line := await process.stdout.readline():
            if line.startswith(start):
                reply = sanitize_line(line[len(start) :].decode("utf-8", "replace").strip(), MAX_REPLY)
                if not reply.startswith(TOO_OLD):
                    return reply
                version, _, newer = reply.removeprefix(TOO_OLD).partition(" ")
                found = f"; the host has {newer}" if newer else ""
                raise Misconfigured(f"{self._python} on the host is Python {version}, too old: {NAME_ONE}{found}")
            last = line.strip() or last
            size += len(line)
            if size > MAX_NOISE_BYTES:
                mib = MAX_NOISE_BYTES >> 20
                raise LinkDown(f"the host's shell printed more than {mib} MiB before it ran the program")
        stderr = (await process.stderr.read(MAX_NOISE_BYTES)).strip().splitlines()
        text = sanitize_line((stderr[-1] if stderr else last).decode("utf-8", "replace"), 400)
        await process.wait_closed()
        if any(NO_OPTION in line.decode("utf-8", "replace") for line in stderr):
            raise Misconfigured(f"{self._python} on the host is Python 2, too old: {NAME_ONE}")
        if process.exit_status == 0 or any(OTHER_PROGRAM.search(line.decode("utf-8", "replace")) for line in stderr):
            raise Misconfigured(f"{self._python} on the host is no Python: {NAME_ONE}")
        if process.exit_status and text.endswith(NOT_SET):
            raise Misconfigured(f"python {self._python!r}: {text.rpartition(': ')[0].rpartition(' ')[2]} {NOT_SET}")
        # tcsh has no exit code of its own for what it does not find
        if process.exit_status in CANNOT_RUN or (process.exit_status and text.lower().endswith("command not found.")):
            raise Misconfigured(
                f"python {self._python!r} cannot be run on the host: {text or 'no message'}; {NAME_ONE}"
            )
        raise LinkDown(text or "the host's shell ended without a message")


def start_of_python(python: str, expand: bool) -> str:
    """The words that start ``python``, whatever its path, through any login shell.

    A path with other than safe characters goes through ``sh``, which has it from ``printf`` in octal digits: no shell reads
    its characters, and within single quotes all shells read the rest in the same way.
    """
    expanded = [match.span() for match in _EXPANDED.finditer(python)] if expand else []
    if SHELL_SAFE.fullmatch(python):
        return python
    parts: list[str] = []
    end = 0
    for begin, stop in (*expanded, (len(python), len(python))):
        if literal := python[end:begin]:
            # the slash stays outside of the quotes: it ends what a shell replaces of ``~user``
            after_home = "/" if literal[0] == "/" and parts else ""
            parts.append(f'{after_home}"$(printf "{_octal(literal.removeprefix(after_home))}")"')
        name = python[begin:stop].strip("${}")
        parts.append(name if name.startswith("~") or not name else f'"${{{name}:?{NOT_SET}}}"')
        end = stop
    return f'/bin/sh -c \'p={"".join(parts)} && exec "$p" "$@"\' sh'


def _octal(text: str) -> str:
    """``text`` as the format of ``printf``."""
    encoded = text.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if _PRINTF_SAFE.match(bytes([byte])) else f"\\{byte:03o}" for byte in encoded)
