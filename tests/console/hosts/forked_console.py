"""A console in a process of its own, forked so that it starts at once: driven by commands, killed at any moment.

It is the real session over real SSH, through a proxy that can cut the link. Its jobs are shell scripts in place of the
engine, and each of its agents and supervisors can be made to die or to stop before any of its durable steps.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import asyncssh
from msgspec import Struct

import console.session as session_module
from console.commands import run as run_command
from console.hosts import host_link
from console.hosts.host_config import HostConfig
from console.hosts.remote import agent_package
from console.hosts.remote.agent_client import AgentClient
from console.hosts.remote.launch_request import launch_request
from console.hosts.ssh import embedded_host
from console.hosts.ssh.access import Access, Timeouts
from console.hosts.ssh.errors import LinkDown
from console.runs.launch_attempts import Outcome
from console.session import Session
from engine.contract.bad_input import BadInput
from engine.contract.experiment_reader import read_experiment
from engine.contract.import_path import isolated_python
from engine.contract.settings import RunId, run_ids
from tests.console.hosts.proxy import proxy_to
from tests.console.tiny import PROFILE

QUICK = Timeouts(handshake=10.0, keepalive=0.4, misses=3, backoff=(0.02, 0.2))
CONNECT_S = 10.0
ANSWER_S = 4.0  # for an agent that was stopped to be given up
REPLY_S = 60.0  # no command may take longer, whatever happens meanwhile

WAITS = {
    "launches": {"GRACE_S": 0.5},
    "abort": {"GRACE_S": 0.5, "KILL_AFTER_S": 1.5, "SEARCH_EVERY_S": 0.2},
    "process": {"START_TIMEOUT_S": 4.0},
    "claims": {"BUSY_TIMEOUT_S": 2.0},
    "caretaker": {"PERIOD_S": 0.1, "RETRY_S": 0.2, "MAX_RETRY_S": 1.0},
    "run_states": {"STALE_S": 3.0},
    "supervisor": {"HEARTBEAT_S": 0.3, "QUEUE_POLL_S": 0.1},
}
"""Waits of the agent that are shorter in a test, by module."""

# Comes first in the shipped file. A process sends itself a signal before its n-th durable step from the moment on at which
# somebody writes the signal and n to the file ``signal-<program>``.
HOOK = """
import importlib, os, sys

def prepare(control, waits):
    for name, values in waits.items():
        if name != "supervisor" or sys.argv[1] == "supervise":
            vars(importlib.import_module("console.hosts.agent." + name)).update(values)
    from console.hosts.agent import run_states
    run_states.HEARTBEATS = run_states.HeartbeatWatch(run_states.STALE_S)
    path, seen = os.path.join(control, "signal-" + sys.argv[1]), [0, 0]

    def count():
        try:
            with open(path) as file:
                number, (what, steps) = os.fstat(file.fileno()).st_ino, map(int, file.read().split())
        except (OSError, ValueError):
            return
        seen[:] = [number, seen[1] + 1 if seen[0] == number else 1]
        if seen[1] >= steps:
            try:
                unlink(path)
            except OSError:
                return
            os.kill(os.getpid(), what)

    def counted(call):
        def wrapped(*arguments, **keywords):
            count()
            return call(*arguments, **keywords)
        return wrapped

    unlink = os.unlink
    for name in ("fsync", "rename", "replace", "mkdir", "unlink", "rmdir"):
        setattr(os, name, counted(getattr(os, name)))

prepare(*ARGUMENTS)
"""

# Whatever becomes of its supervisor, a job and its children hold the locks of their run and of one slot: a second job of
# the run, or one more than there are slots, is found out. Arguments: CONTROL RUN_FOLDER RUN WORK SLOTS
JOB = r"""
control=$1 folder=$2 run=$3 work=$4 slots=$5
cd "$control" || exit 9
exec 3>>"locks/$run"
flock -n 3 || echo "two jobs of $run at once, one is $QLLM_JOB_KEY" >>violations
slot=0
while :; do
    exec 4>>"locks/slot-$slot"
    flock -n 4 && break
    slot=$((slot + 1))
    [ $slot -lt $slots ] || { echo "more jobs than slots, one is $QLLM_JOB_KEY" >>violations; break; }
done
echo "$QLLM_JOB_KEY" >>started
cd "$folder" || exit 8
event() { echo "{\"seq\":$(cat events.jsonl 2>/dev/null | wc -l),\"t\":1.0,\"body\":$1}" >>events.jsonl; }
event '{"type":"stage","name":"train"}'
event '{"type":"checkpoint","step":1,"epoch":1,"sha256":"0"}'
echo "{}" >checkpoint.json
echo "$QLLM_JOB_KEY" >checkpoint.safetensors
echo "$work $run $QLLM_JOB_KEY"
[ "$work" = fail ] && exit 3
held='while [ ! -e "$0" ]; do sleep 0.1; done'
[ "$work" = fork ] && env -i setsid /bin/sh -c "$held" "$control/go-$run" &
[ "$work" = done ] || /bin/sh -c "$held" "$control/go-$run"
echo "$QLLM_JOB_KEY" >items.parquet
event '{"type":"end","failed_gates":[]}'
"""


class Setup(Struct, frozen=True):
    """Where a console finds its experiment, its host and its folders.

    Attributes:
        control: folder of the test: the job, its locks, and the server's address.
    """

    experiment: Path
    workspace: Path
    runs_dir: Path
    control: Path
    slots: int

    @property
    def runs(self) -> tuple[RunId, ...]:
        return run_ids(read_experiment(self.experiment), PROFILE)


class Forked:
    """A forked process that runs ``main`` and nothing else; its stderr is appended to ``log``."""

    def __init__(self, main: Callable[[], Any], log: Path) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
                sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115 - for as long as the process lives
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                main()
            except BaseException:  # noqa: BLE001 - it must not go on as a test
                traceback.print_exc()
            finally:
                os._exit(0)

    def kill(self) -> None:
        """Kill it and wait until it is gone."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0


class Server:
    """The embedded SSH server as a process that no console owns; its address is in a file."""

    def __init__(self, control: Path) -> None:
        self._path = control / "server.json"
        key = asyncssh.generate_private_key("ssh-ed25519")
        command = [*isolated_python(), "-m", "console.hosts.ssh.embedded_server"]
        self._process = subprocess.Popen(
            [*command, key.export_public_key().decode().strip()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        port, host_key = self._process.stdout.readline().decode().strip().split(" ", 1)
        address = {"port": int(port), "host_key": host_key, "client_key": key.export_private_key().decode()}
        self._path.write_text(json.dumps(address))

    def kill(self) -> None:
        self._path.unlink(missing_ok=True)
        self._process.kill()
        self._process.communicate()


class ForkedConsole:
    """The test's end of a console: commands go to it, one after the other, and replies come from it."""

    def __init__(self, setup: Setup) -> None:
        for module, waits in WAITS.items():
            assert waits.keys() <= vars(import_module(f"console.hosts.agent.{module}")).keys(), waits
        ours, theirs = socket.socketpair()

        def main() -> None:
            ours.close()  # so that the console ends with the test, however that ends
            asyncio.run(_Console(setup, theirs).serve())

        with theirs:
            self._process = Forked(main, setup.control / "console.log")
        ours.settimeout(REPLY_S)
        self._socket = ours
        self._file = ours.makefile("rw", encoding="utf-8")
        self.plans: list[dict[str, Any]] = []
        self.reply()  # it is ready to be cut off

    def send(self, do: str, **arguments: Any) -> None:
        self._file.write(json.dumps({"do": do, **arguments}) + "\n")
        self._file.flush()

    def reply(self) -> dict[str, Any] | None:
        """The reply to the command sent before; None if the console is dead.

        Raises:
            TimeoutError: there is none.
        """
        try:
            for line in self._file:
                message: dict[str, Any] = json.loads(line)
                if "plan" not in message:
                    return message
                self.plans.append(message["plan"])
        except ConnectionError:
            pass
        return None

    def do(self, do: str, **arguments: Any) -> dict[str, Any] | None:
        self.send(do, **arguments)
        return self.reply()

    @property
    def killed(self) -> bool:
        return not self._process.pid

    def cut(self) -> None:
        """Cut its link now, whatever it is doing."""
        os.kill(self._process.pid, signal.SIGUSR1)

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        self.kill()
        self._file.close()
        self._socket.close()


class _Console:
    """The console's end: a session, and what carries out the commands on it."""

    def __init__(self, setup: Setup, channel: socket.socket) -> None:
        self._setup = setup
        self._channel = channel
        self._work = "done"
        hook = HOOK.replace("ARGUMENTS", repr((str(setup.control), WAITS)))
        agent_package.ENTRY = hook.encode() + agent_package.ENTRY
        agent_package.agent_file.cache_clear()
        embedded_host.embedded_server = self._running_server  # type: ignore[assignment]
        host_link.POLL_WAIT_S = 0.3  # type: ignore[attr-defined]
        AgentClient.request.__defaults__ = (ANSWER_S,)
        session_module.launch_request = self._launch_request  # type: ignore[attr-defined]
        session_module.engine_error = self._no_error  # type: ignore[attr-defined, assignment]

    async def serve(self) -> None:
        setup = self._setup
        host = HostConfig("here", "embedded", workspace=str(setup.workspace), slots=setup.slots)
        self._session = Session(
            host,
            read_experiment(setup.experiment),
            setup.experiment,
            PROFILE,
            setup.runs_dir,
            access=Access(timeouts=QUICK),
            take_over=True,
        )
        async with proxy_to(0) as self._proxy:
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._proxy.drop)
            following = asyncio.create_task(self._session.run())
            reader, self._writer = await asyncio.open_connection(sock=self._channel)
            self._say({"ready": True})
            while line := await reader.readline():
                try:
                    self._say(await self._carry_out(json.loads(line)))
                except (LinkDown, BadInput) as error:
                    self._say({"error": str(error)})
                if following.done():
                    following.result()

    def _say(self, message: dict[str, Any]) -> None:
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def _carry_out(self, command: dict[str, Any]) -> dict[str, Any]:
        session = self._session
        runs = [RunId(*run) for run in command.get("runs", ())]
        match command["do"]:
            case "launch":
                await self._reported()
                self._work = command["work"]
                plan = session.plan_launch(runs, restart=command["restart"])
                self._say({"plan": {"results_aside": [plan.replaces[run] for run in plan.results_aside]}})
                return {"outcomes": list(map(_outcome, await run_command._launch(session, plan)))}
            case "abort":
                await self._reported()
                return {"outcomes": list(map(_outcome, await session.abort(session.plan_abort(runs))))}
            case "cut after":
                self._proxy.cut_after(iter([command["size"]]))
            case "poll":
                session.ready.clear()
                await self._reported()
        snapshot = session.snapshot
        return {
            "link": f"{snapshot.host.link} {snapshot.host.detail} {snapshot.host.lease}",
            "states": {str(run): _view(view) for run, view in snapshot.runs.items()},
            "sync": {str(run): [sync.status, sync.key, sync.note] for run, sync in snapshot.sync_states.items()},
        }

    async def _reported(self) -> None:
        """Until the host has reported its runs to this session, as every command waits, and with the lease."""
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._session.ready.wait()
        except TimeoutError:
            raise LinkDown(self._session.snapshot.host.detail) from None
        if self._session.snapshot.host.lease:  # it could not be granted, or a stopped agent holds it
            await self._session.take_over()

    @asynccontextmanager
    async def _running_server(self, *_: Any) -> AsyncIterator[tuple[int, str, asyncssh.SSHKey]]:
        """In place of a server of the console's own."""
        try:
            address = json.loads((self._setup.control / "server.json").read_text())
        except (OSError, ValueError) as error:
            raise LinkDown("the server is down") from error
        self._proxy.target = address["port"]
        yield self._proxy.port, address["host_key"], asyncssh.import_private_key(address["client_key"])

    def _launch_request(self, host: HostConfig, engine: Any, settings: Any, *rest: Any, **more: Any) -> dict[str, Any]:
        setup = self._setup
        script = str(setup.control / "job.sh")
        argv = ["/bin/sh", script, str(setup.control), "{run}", str(settings.run), self._work, str(setup.slots)]
        return {**launch_request(host, engine, settings, *rest, **more), "argv": argv, "files": {}}

    async def _no_error(self, *_: Any) -> str:
        return ""


def _outcome(outcome: Outcome) -> list[Any]:
    return [str(outcome.run), outcome.done, outcome.note, outcome.key]


def _view(view: Any) -> dict[str, Any]:
    state = view.state
    if state is None:
        return {"state": "none"}
    return {name: getattr(state, name) for name in ("state", "key", "reason", "processes")}
