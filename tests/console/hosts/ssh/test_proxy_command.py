"""ProxyCommand: what it says on stderr is no part of the connection, and nothing of it is left behind."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from console.hosts.ssh.access import Access
from console.hosts.ssh.errors import HostKeyRefused, LinkDown
from tests.console.hosts.ssh.desk import RAMP, Desk
from tests.console.hosts.sshd import connect

pytestmark = pytest.mark.server


async def test_a_proxy_command_ends_with_its_connection(desk: Desk) -> None:
    relay = desk.put("relay.py", RELAY)
    files, _ = desk.write(f"{desk.identity}ProxyCommand {sys.executable} {relay} %h %p {desk.folder}/pids\n")
    await connect(RAMP, Access(files))
    desk.known.write_text("")
    with pytest.raises(HostKeyRefused):
        await connect(RAMP, Access(files))
    pids = [int(pid) for pid in (desk.folder / "pids").read_text().split()]
    assert len(pids) == 4
    while any(is_running(pid) for pid in pids):
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("command", ["false", "echo neither SSH nor an error"])
async def test_a_proxy_command_that_ends_in_silence_is_told_in_words(desk: Desk, command: str) -> None:
    files, _ = desk.write(f"{desk.identity}ProxyCommand {command}\n")
    with pytest.raises(LinkDown, match="by ProxyCommand: it ended without a message"):
        await connect(RAMP, Access(files))


RELAY = """import os, socket, subprocess, sys, threading
host, port, pids = sys.argv[1:]
child = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
with open(pids, "a") as file:
    file.write(f"{os.getpid()} {child.pid} ")
server = socket.create_connection((host, int(port)))
print("a word on stderr", file=sys.stderr, flush=True)
def send():
    while data := os.read(0, 65536):
        server.sendall(data)
threading.Thread(target=send, daemon=True).start()
while data := server.recv(65536):
    os.write(1, data)
child.wait()
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
