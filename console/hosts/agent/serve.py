"""The agent's programs, and the one that answers requests: a JSON object on each line of stdin, replies on stdout."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from console.hosts.agent import environment, jobs, notify, requirements
from console.hosts.agent.abort import abort
from console.hosts.agent.caretaker import CARETAKER
from console.hosts.agent.host_facts import facts, preflight_facts
from console.hosts.agent.inventory import list_launches
from console.hosts.agent.job_environment import run_as_job
from console.hosts.agent.lease import Lease
from console.hosts.agent.poll import poll
from console.hosts.agent.restore import list_set_aside, restore
from console.hosts.agent.workspace import Refused, Workspace, error_text
from engine.contract.run_folder import size_and_sha256

PROGRAMS = {
    "serve": "serve",
    "transfer": "transfer",
    "supervise": "supervisor",
    "supervise-allocation": "slurm.allocation",
    "make-environment": "environment",
    "install-requirements": "requirements",
    "notify": "notify",
}
"""First argument of the shipped file -> the module whose ``main`` gets the others."""

LEASE = Lease()
VERBS = {
    "hello": lambda *_: hello(),
    "launch": jobs.launch,
    "launch_all": jobs.launch_all,
    "abort": abort,
    "restore": restore,
    "list_set_aside": list_set_aside,
    "list_launches": list_launches,
    "poll": poll,
    "facts": facts,
    "preflight_facts": preflight_facts,
    "lease": LEASE.request,
    "check_lease": lambda *_: {},
    "environment_state": environment.state,
    "make_environment": environment.make,
    "requirements_state": requirements.state,
    "install_requirements": requirements.install,
    "run_as_job": run_as_job,
    "notify_keep": notify.keep,
    "notify_test": notify.send_test,
    "notify_log": notify.log,
}
NEEDS_LEASE = ("launch", "launch_all", "abort", "restore", "notify_keep", "check_lease")
UNFINISHED = ("poll", "run_as_job")  # verbs that an agent which ends does not wait for


def run_program() -> None:
    """Entry of the shipped file."""
    program, *arguments = sys.argv[1:] or [""]
    if program not in PROGRAMS or not arguments:
        sys.exit("usage: agent serve WORKSPACE | transfer WORKSPACE")
    import_module(f"console.hosts.agent.{PROGRAMS[program]}").main(*arguments)


def main(root: str) -> None:
    """Answer requests, each in a thread, until stdin ends. A launch under way is finished: runs never depend on the link."""
    workspace = Workspace(Path(root))
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # a stray print must not end up among the replies
    signal.signal(signal.SIGTERM, _exit)
    write_lock = threading.Lock()
    CARETAKER.start(workspace)
    for line in sys.stdin.buffer:
        # a daemon thread does not delay the exit: a poll may wait for many seconds, and changes nothing
        request = _decoded(line)
        daemon = request.get("verb") in UNFINISHED
        threading.Thread(target=_answer, args=(workspace, request, output, write_lock), daemon=daemon).start()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _exit(*_: object) -> NoReturn:
    """Exit since another console takes over, or the link is gone; threads of requests are finished first."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second signal must not interrupt them
    sys.exit(0)


def _decoded(line: bytes) -> dict[str, Any]:
    """The request in ``line``; an empty one, which is answered with an error, if there is none."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return request if isinstance(request, dict) else {}


def _answer(workspace: Workspace, request: dict[str, Any], output: BinaryIO, write_lock: threading.Lock) -> None:
    number = request.get("id")
    try:
        verb = request["verb"]
        if verb in NEEDS_LEASE:
            LEASE.check(workspace)
        reply = {"id": number, "ok": VERBS[verb](workspace, request)}
    except Refused as refused:
        reply = {"id": number, "refused": str(refused)}
    except Exception as error:  # noqa: BLE001 - the console shows it; one bad request must not end the agent
        reply = {"id": number, "error": error_text(error, workspace)}
    content = json.dumps(reply).encode() + b"\n"
    try:
        with write_lock:
            view = memoryview(content)
            while view:
                view = view[output.write(view) :]
    except OSError:
        os.kill(os.getpid(), signal.SIGTERM)  # the link is gone


def hello() -> dict[str, Any]:
    """Hash of the file that this agent runs from, so that the console knows that it is the one it shipped."""
    return {"sha256": size_and_sha256(Path(sys.argv[0]))[1], "python": sys.version.split()[0]}
