"""A command run on a host to hear whether it succeeds, whatever the login shell there makes of words and says meanwhile."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from console.hosts.link_down import LinkDown
from console.hosts.reached import Reached
from console.hosts.remote_python import MarkedPython
from console.sanitize import sanitize_line

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


async def complaint_of(reached: Reached, command: tuple[str, ...], seconds: float) -> str:
    """The last line that a failing ``command`` says on stderr; "" if it does not fail.

    Raises:
        LinkDown: the link failed.
    """
    line = await MarkedPython(reached.python, RUN, f"{seconds:g}", *command).answer(
        reached.connection, seconds + LINK_S
    )
    try:
        ended = msgspec.json.decode(line, type=Ended)
    except msgspec.DecodeError as error:
        raise LinkDown(f"what the host says of {sanitize_line(command[0])} cannot be read") from error
    return "" if ended.code == 0 else sanitize_line(ended.said) or f"ended with {ended.code}"
