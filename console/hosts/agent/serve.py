"""Answers the console's requests: one JSON object a line on stdin, one reply a line on stdout, many at once."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from console.hosts.agent import environment, jobs
from console.hosts.agent import poll as reading
from console.hosts.agent.lease import Lease
from console.hosts.agent.preflight_facts import preflight_facts
from console.hosts.agent.workspace import Refused, Workspace, refusal

LEASE = Lease()
VERBS = {
    "launch": jobs.launch,
    "launch_all": jobs.launch_all,
    "abort": jobs.abort,
    "poll": reading.poll,
    "facts": reading.facts,
    "lease": LEASE.request,
    "premises": preflight_facts,
    "environment": environment.state,
    "make_environment": environment.make,
}
CHANGING = ("launch", "launch_all", "abort")  # what only the holder of the lease may do


def main(root: str) -> None:
    """Serve until stdin ends. A launch that is under way is finished first: runs never depend on the link."""
    workspace = Workspace(Path(root))
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # a stray print must not end up among the replies
    signal.signal(signal.SIGTERM, _leave)
    writing = threading.Lock()
    threads: list[threading.Thread] = []
    for line in sys.stdin.buffer:
        thread = threading.Thread(target=_answer, args=(workspace, line, output, writing), daemon=b'"poll"' in line)
        thread.start()
        threads = [other for other in threads if other.is_alive()] + [thread]
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _leave(*_: object) -> NoReturn:
    """Another console takes over, or the link is gone. A second signal must not cut short what the first lets finish."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(0)


def _answer(workspace: Workspace, line: bytes, output: BinaryIO, writing: threading.Lock) -> None:
    number = None
    try:
        request = json.loads(line)
        number = request["id"]
        verb = request["verb"]
        if verb in CHANGING:
            LEASE.demand(workspace)
        reply = {"id": number, "ok": _hello() if verb == "hello" else VERBS[verb](workspace, request)}
    except Refused as refused:
        reply = {"id": number, "refused": str(refused)}
    except Exception as error:  # noqa: BLE001 - whatever went wrong is the console's to show; the agent serves on
        reply = {"id": number, "error": refusal(error, workspace)}
    content = json.dumps(reply).encode() + b"\n"
    try:
        with writing:
            view = memoryview(content)
            while view:
                view = view[output.write(view) :]
    except OSError:
        os.kill(os.getpid(), signal.SIGTERM)  # the link is gone: nobody to answer


def _hello() -> dict[str, Any]:
    """The hash of the file this agent runs from, so that the console knows it talks to the one it shipped."""
    return {"sha256": hashlib.sha256(Path(sys.argv[0]).read_bytes()).hexdigest(), "python": sys.version.split()[0]}
