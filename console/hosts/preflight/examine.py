"""Examines a host over an open link: gathers the findings, and carries out the repairs."""

from __future__ import annotations

import asyncio
import hashlib
import shlex
import sys
import time
from collections.abc import AsyncIterator
from pathlib import PurePosixPath

import asyncssh
import msgspec

from console.hosts.agent_link import AgentLink, AgentRefused
from console.hosts.connection import LinkDown, Reached
from console.hosts.host_config import HostConfig
from console.hosts.launching import ENGINE
from console.hosts.preflight.findings import Environment, Findings, Premises
from console.hosts.wheel import wheel
from console.sanitize import sanitize_line
from console.snapshot import HostFacts
from engine.contract.config_files import find_config

COMMAND_TIMEOUT_S = 60.0
LOOK_EVERY_S = 0.5


def environment_name() -> str:
    """Names an environment by what is installed into it: another version of the project gets another one."""
    _, content = wheel()
    return hashlib.sha256(content + find_config("constraints.txt").read_bytes()).hexdigest()[:16]


def engine_python(host: HostConfig, reached: Reached) -> str:
    """The Python that runs the engine on the host."""
    if host.launcher == "embedded":
        return sys.executable
    return str(PurePosixPath(reached.workspace) / "env" / environment_name() / "bin" / "python")


async def examine(host: HostConfig, reached: Reached, link: AgentLink) -> Findings:
    """Ask the host all that preflight judges.

    Raises:
        LinkDown: the link failed.
    """
    try:
        facts = msgspec.convert(await link.request("facts"), HostFacts)
        before, start = time.time(), time.monotonic()
        premises = msgspec.convert(await link.request("premises"), Premises)
        round_trip = time.monotonic() - start
    except (AgentRefused, msgspec.ValidationError) as error:
        raise LinkDown(f"the host's answers cannot be read: {sanitize_line(str(error))}") from error
    return Findings(
        login=f"{sanitize_line(premises.user)} at {reached.address}",
        fingerprint=reached.fingerprint,
        facts=facts,
        premises=premises,
        environment=await environment(host, reached, link),
        clock_offset=premises.time - (before + round_trip / 2),
        round_trip=round_trip,
    )


async def environment(host: HostConfig, reached: Reached, link: AgentLink) -> Environment:
    """The engine's environment; of the embedded host it is the console's own."""
    python = engine_python(host, reached)
    if host.launcher == "embedded":
        return Environment("ready", python=python, complaint=await engine_complaint(host, reached))
    said = msgspec.convert(await link.request("environment", name=environment_name()), Environment)
    said = msgspec.structs.replace(said, step=sanitize_line(said.step), error=sanitize_line(said.error))
    if said.state == "ready":
        said = msgspec.structs.replace(said, python=python, complaint=await engine_complaint(host, reached))
    return said


async def make_environment(
    host: HostConfig, reached: Reached, link: AgentLink, extra: str = "engine"
) -> AsyncIterator[Environment]:
    """Upload the wheel and its constraints, have the environment made, and yield how far it is until it has ended.

    Raises:
        LinkDown: the link failed; the making goes on, and asking again finds it.
    """
    name, content = wheel()
    folder = PurePosixPath(reached.workspace) / "env" / "wheels" / environment_name()
    async with reached.connection.start_sftp_client() as sftp:
        await sftp.makedirs(str(folder), exist_ok=True)
        for path, body in (
            (folder / name, content),
            (folder / "constraints.txt", find_config("constraints.txt").read_bytes()),
        ):
            async with sftp.open(f"{path}.part", "wb") as file:
                await file.write(body)
            await sftp.posix_rename(f"{path}.part", str(path))
    await link.request(
        "make_environment",
        name=environment_name(),
        wheel=str(folder / name),
        constraints=str(folder / "constraints.txt"),
        extra=extra,
    )
    while True:
        now = await environment(host, reached, link)
        yield now
        if now.state != "making":
            return
        await asyncio.sleep(LOOK_EVERY_S)


async def obtain_wordnet(host: HostConfig, reached: Reached) -> str:
    """Have the engine fetch WordNet on the host; returns its complaint, "" if there is none."""
    return await _run(reached, [engine_python(host, reached), "-m", ENGINE, "data", "obtain"], timeout=600.0)


async def engine_complaint(host: HostConfig, reached: Reached) -> str:
    """What the engine on the host lacks for a run, in its own words; "" if nothing.

    Raises:
        LinkDown: the link failed.
    """
    return await _run(reached, [engine_python(host, reached), "-m", ENGINE, "check"], timeout=COMMAND_TIMEOUT_S)


async def _run(reached: Reached, command: list[str], *, timeout: float) -> str:  # noqa: ASYNC109
    """The last line a failing command says on stderr; "" if it does not fail."""
    try:
        async with asyncio.timeout(timeout):
            done = await reached.connection.run(shlex.join(command), encoding=None)
    except (OSError, asyncssh.Error, TimeoutError) as error:
        raise LinkDown(sanitize_line(str(error)) or f"{command[0]} took too long") from error
    if done.exit_status is None:
        raise LinkDown("the link broke during the check")
    if done.exit_status == 0:
        return ""
    said = done.stderr.decode("utf-8", "replace") if isinstance(done.stderr, bytes) else str(done.stderr)
    lines = said.strip().splitlines()
    last = sanitize_line(lines[-1]) if lines else f"ended with {done.exit_status}"
    return last.removeprefix("qllm-engine: error: ")
