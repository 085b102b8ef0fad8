"""The agent as one shipped file, a zip of its modules that is equal byte for byte everywhere; and its start on a host."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from importlib import resources
from typing import Any

import asyncssh

from console.hosts.host_config import MAX_NAME_BYTES, MAX_PATH_BYTES
from console.hosts.ssh.channels import HostConnection
from console.hosts.ssh.errors import LinkDown, Misconfigured
from console.hosts.ssh.remote_python import MarkedPython
from console.sanitize import sanitize_line

ENTRY = b"from console.hosts.agent.serve import run_program\n\nrun_program()\n"
# Modules keep their packages' names, so that an import reads the same on both machines. The zip comes first on the
# host's sys.path: another ``engine`` or ``console`` that is installed there is never imported instead.
PACKAGES = {
    "console": ("__init__",),
    "console/hosts": ("__init__",),
    "console/hosts/agent": (),
    "console/hosts/agent/slurm": (),
    "engine": ("__init__",),
    "engine/contract": ("__init__", "durable", "file_lock", "run_folder"),
}
"""Package -> its modules in the shipped file; all of them where none is named."""
START_TIMEOUT_S = 30.0
MAX_SHOWN = 200  # characters of a path in a message
MAX_WORKSPACE_BYTES = MAX_PATH_BYTES - 512  # with room for what the agent, an environment and a run put into it
NO_FOLDER = "no "
# Run before START: says why the workspace can never be a folder. One that is only full, or not the user's to write into, can
# be looked at all the same.
JUDGE_WORKSPACE = f"""
import hashlib, os, sys

mark, root, digest, size = sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])
there, why = root, ""
while not os.path.lexists(there):
    there = os.path.dirname(there)
length = len(os.fsencode(root))
if length > {MAX_WORKSPACE_BYTES}:
    why = "it has {{:,}} bytes, more than the {MAX_WORKSPACE_BYTES:,} that leave room for what is in it".format(length)
elif max(len(os.fsencode(name)) for name in root.split("/")) > {MAX_NAME_BYTES}:
    why = "a name in it is longer than {MAX_NAME_BYTES} bytes"
elif not os.path.isdir(there):
    why = there + " on the host is " + ("no folder" if os.path.exists(there) else "a link to nothing that can be seen")
if why:
    os.write(1, ("\\n" + mark + " {NO_FOLDER}" + why + "\\n").encode("utf-8", "surrogateescape"))
    sys.exit()
"""
# Run on the host as MarkedPython: asks for the file unless exactly this one exists, writes it atomically, and executes it.
START = """
path = os.path.join(root, "agent", digest + ".pyz")
try:
    with open(path, "rb") as file:
        exists = hashlib.sha256(file.read()).hexdigest() == digest
except OSError:
    exists = False
os.write(1, ("\\n" + mark + (" have" if exists else " want") + "\\n").encode())
if not exists:
    content = b""
    while len(content) < size:
        chunk = os.read(0, size - len(content))
        if not chunk:
            sys.exit("the link broke while the agent was sent")
        content += chunk
    if hashlib.sha256(content).hexdigest() != digest:
        sys.exit("the agent was damaged on its way")
    temporary = path + "." + str(os.getpid()) + ".tmp"
    try:
        for folder in (root, os.path.dirname(path)):  # each by itself: the mode is that of the last folder only
            os.makedirs(folder, 0o700, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        # a full disk: from memory it can look and abort all the same
        if os.path.exists(temporary):
            os.unlink(temporary)
        memory = os.memfd_create("agent", 0)
        os.write(memory, content)
        path = "/proc/self/fd/" + str(memory)
# no process that the agent starts gets the user's PYTHONPATH, PYTHONHOME or PYTHONSTARTUP either
for name in [name for name in os.environ if name.startswith("PYTHON")]:
    del os.environ[name]
os.execv(sys.executable, [sys.executable, "-IS", path, sys.argv[6], root])
"""


@cache
def agent_file() -> tuple[bytes, str]:
    """Content of the shipped file, which Python can execute, and its SHA-256 in hex."""
    files = {"__main__.py": ENTRY}
    for package, modules in PACKAGES.items():
        folder = resources.files(package.replace("/", "."))
        for module in sorted(folder.iterdir(), key=lambda entry: entry.name):
            name, _, suffix = module.name.partition(".")
            if suffix == "py" and (not modules or name in modules):
                files[f"{package}/{module.name}"] = module.read_bytes()
    content = zip_bytes(files, zipfile.ZIP_STORED)
    return content, hashlib.sha256(content).hexdigest()


def zip_bytes(files: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Zip of ``files`` with fixed dates and modes, so that its bytes depend on names and content alone."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, compression)
    return buffer.getvalue()


class AgentProcess:
    """A started agent behind one channel; the end of its stderr is kept, for it says why the agent ended.

    Attributes:
        heartbeats: how often it wrote to stderr; a transfer does so as long as it works.
    """

    def __init__(self, process: asyncssh.SSHClientProcess[bytes], digest: str) -> None:
        self.stdin, self.stdout = process.stdin, process.stdout
        self.wait_closed = process.wait_closed
        self.heartbeats = 0
        self._process = process
        self._digest = digest
        self._stderr = b""

    def check_hello(self, hello: dict[str, Any]) -> None:
        """Check the agent's first message, in which it gives the hash of the file that it runs from.

        Raises:
            LinkDown: it is not the file that was shipped.
        """
        if hello.get("sha256") != self._digest:
            raise LinkDown("the host runs another agent than the one that was shipped")

    def last_error(self) -> str:
        """The last line on stderr, safe to show; "" if there is none."""
        lines = self._stderr.decode("utf-8", "replace").strip().splitlines()
        return sanitize_line(lines[-1], 400) if lines else ""

    async def drain_stderr(self) -> None:
        """Read stderr until the channel ends; unread, it would block the channel."""
        with contextlib.suppress(OSError, asyncssh.Error):
            while chunk := await self._process.stderr.read(4096):
                self.heartbeats += 1
                self._stderr = (self._stderr + chunk.replace(b"\0", b""))[-4096:]


@asynccontextmanager
async def start_agent(connection: HostConnection, mode: str, **channel: Any) -> AsyncIterator[AgentProcess]:
    """Start the agent for the length of the block; its file is shipped first unless the host has it undamaged.

    Args:
        mode: ``serve`` (requests) or ``transfer`` (files).
        channel: asyncssh's settings of the channel.

    Raises:
        LinkDown: the link failed, or the agent cannot be started.
        Misconfigured: the workspace can never be a folder.
    """
    content, digest = agent_file()
    program = MarkedPython(
        connection.python, JUDGE_WORKSPACE + START, connection.workspace, digest, str(len(content)), mode
    )
    try:
        process = await connection.channels.create_process(program.command, **channel)
    except (OSError, asyncssh.Error) as error:
        raise LinkDown(f"the agent cannot be started: {sanitize_line(str(error))}") from error
    agent = AgentProcess(process, digest)
    draining: asyncio.Task[None] | None = None
    try:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                reply = await program.marked_line(process)
                if reply.startswith(NO_FOLDER):
                    workspace = sanitize_line(connection.workspace, MAX_SHOWN)
                    raise Misconfigured(f"workspace {workspace}: {reply.removeprefix(NO_FOLDER)}")
                if reply == "want":
                    process.stdin.write(content)
        except TimeoutError as error:
            raise LinkDown("the agent does not start: the host does not answer") from error
        except Misconfigured:
            raise
        except (OSError, asyncssh.Error, LinkDown) as error:
            raise LinkDown(f"the agent cannot be started: {sanitize_line(str(error))}") from error
        draining = asyncio.create_task(agent.drain_stderr())
        yield agent
    finally:
        process.close()
        if draining is not None:
            draining.cancel()
            await asyncio.gather(draining, return_exceptions=True)
