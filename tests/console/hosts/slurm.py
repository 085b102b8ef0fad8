"""A real Slurm of one node on the loopback: munged, slurmctld and slurmd in a folder of their own, with pretended GPUs."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from console.hosts.remote.agent_client import REPLY_TIMEOUT_S, AgentClient
from tests.console.hosts.sshd import free_port, open_folder

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
START_S = 20.0
GPUS = 2  # device files like /dev/null: Slurm only counts them
SLURM_CONF = """
ClusterName=test
SlurmctldHost={node}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
ReturnToService=2
KillWait=5
MinJobAge=10
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={node} NodeAddr=127.0.0.1 CPUs=16 RealMemory=2000 Gres=gpu:{gpus} Feature=fast,new State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes={node} Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes={node} MaxTime=INFINITE State=UP PriorityTier=2
"""


class Slurm:
    """The three daemons; the controller can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conf = folder / "slurm.conf"
        self.node = socket.gethostname().partition(".")[0]
        self.kept: set[str] = set()  # comments of jobs that outlive the test that launched them
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        for number in range(GPUS):
            os.mknod(self.folder / f"gpu{number}", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        ports = {"controller_port": free_port(), "node_port": free_port()}
        self.conf.write_text(SLURM_CONF.format(folder=self.folder, node=self.node, gpus=GPUS, **ports))
        (self.folder / "gres.conf").write_text(f"Name=gpu File={self.folder}/gpu[0-{GPUS - 1}]\n")
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        munge = [f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
        self._run("munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket", *munge)
        self._wait((self.folder / "munge.socket").exists)
        self.start_controller()
        self.start_node()

    def start_node(self) -> None:
        self._run("slurmd", "-D", "-f", str(self.conf))
        self._wait(lambda: self.command("sinfo", "--noheader", "--format=%T") == "idle")

    def kill_node(self, with_jobs: bool) -> None:
        """SIGKILL to the node's daemon; ``with_jobs`` to all that runs under it as well, as when its machine dies."""
        daemon = self._daemons.pop("slurmd")
        daemon.kill()
        daemon.wait()
        for process in self._leftovers("SLURM_JOB_ID") if with_jobs else ():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def start_controller(self, *options: str) -> None:
        self._run("slurmctld", "-D", "-f", str(self.conf), *options)
        self._wait(lambda: "is UP" in self.command("scontrol", "ping"))

    def stop_controller(self) -> None:
        """Let it save its state and end; the node and its jobs continue."""
        self._end("slurmctld")

    def command(self, *argv: str) -> str:
        """Output of one of Slurm's commands, stdout and stderr."""
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, env={**os.environ, "SLURM_CONF": str(self.conf)}
        )
        return (done.stdout + done.stderr).strip()

    def queue(self, states: str = "all") -> list[tuple[str, str, str]]:
        """Id, state and comment of each job, the tasks of an array singly.

        Raises:
            RuntimeError: Slurm did not answer.
        """
        output = self.command("squeue", "--array", f"--states={states}", "--noheader", "--format=%i|%T|%k")
        jobs = [line.split("|", 2) for line in output.splitlines()]
        if any(len(job) != 3 for job in jobs):
            raise RuntimeError(output)
        return [(job, state, comment) for job, state, comment in jobs]

    def node_is(self, state: str) -> None:
        """Set the state of the only node, as an operator does, or Slurm itself when a node does not answer."""
        if self.command("sinfo", "--noheader", "--format=%T").rstrip("*").upper() != state:
            self.command("scontrol", "update", f"NodeName={self.node}", f"State={state}", "Reason=test")

    def log(self) -> str:
        return "".join(path.read_text(errors="replace")[-2000:] for path in self.folder.glob("*.log"))

    def clear(self, states: str = "pending,running,suspended") -> None:
        """End what a test left in the queue in one of ``states``."""
        deadline = time.monotonic() + START_S
        while left := [job for job, _, comment in self.queue(states) if comment not in self.kept]:
            self.command("scancel", *left)
            if time.monotonic() > deadline:
                raise RuntimeError(f"Slurm cannot be rid of {left}: {self.log()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End the jobs, the daemons and whatever still runs under them."""
        if "slurmctld" in self._daemons:
            self.kept.clear()
            with contextlib.suppress(RuntimeError):
                self.clear("pending,running,suspended,completing")
        for name in ("slurmctld", "slurmd", "munged"):
            self._end(name)
        for process in self._leftovers():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def _run(self, name: str, *arguments: str) -> None:
        with open(self.folder / f"{name}.log", "ab") as log:
            self._daemons[name] = subprocess.Popen(
                [program(name) or name, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "SLURM_CONF": str(self.conf)},
            )

    def _end(self, name: str) -> None:
        daemon = self._daemons.pop(name, None)
        if daemon is None:
            return
        daemon.terminate()
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def _wait(self, condition: Any) -> None:
        deadline = time.monotonic() + START_S
        while not condition():
            ended = [name for name, daemon in self._daemons.items() if daemon.poll() is not None]
            if ended or time.monotonic() > deadline:
                raise RuntimeError(f"Slurm did not start ({', '.join(ended) or 'too slow'}): {self.log()}")
            time.sleep(0.02)

    def _leftovers(self, variable: str = "SLURM_CONF") -> Iterator[psutil.Process]:
        """Processes of jobs, which have our configuration in their environment, and the slurmstepd of each.

        Args:
            variable: only processes that have it in their environment as well.
        """
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                variables = process.environ()
                ours = process.pid != os.getpid() and variables.get("SLURM_CONF") == str(self.conf)
                if ours and variable in variables:
                    parent = process.parent()
                    if parent is not None and parent.name().startswith("slurmstepd"):
                        yield parent
                    yield process


class LinkToSlurm:
    """AgentClient whose launches all go to Slurm, where GPUs limit the runs as slots do; the rest is unchanged."""

    def __init__(self, link: AgentClient) -> None:
        self._link = link

    async def request(self, verb: str, timeout: float = REPLY_TIMEOUT_S, **arguments: Any) -> dict[str, Any]:
        for launch in arguments.get("requests", [arguments] if verb == "launch" else []):
            launch.setdefault("slurm", {"gres": f"gpu:{GPUS // launch.get('slots', 1)}"})
        return await self._link.request(verb, timeout, **arguments)


def program(name: str) -> str | None:
    """Path of a program; daemons are in a folder that an ordinary user's PATH lacks."""
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))


def require_slurm() -> None:
    """Skip, with the reason, where Slurm cannot be started."""
    if missing := [name for name in PROGRAMS if not program(name)]:
        pytest.skip(f"{missing[0]} is not installed (Debian: apt-get install slurmctld slurmd slurm-client munge)")
    if os.geteuid() != 0:
        pytest.skip("needs root: Slurm's daemons")


@contextlib.contextmanager
def running_slurm() -> Iterator[Slurm]:
    """A Slurm that the commands of this process and its children use."""
    require_slurm()
    with open_folder() as folder, pytest.MonkeyPatch.context() as patch:
        slurm = Slurm(folder)
        patch.setenv("SLURM_CONF", str(slurm.conf))
        try:
            slurm.start()
            yield slurm
        finally:
            slurm.stop()
