"""Examines a host over an open link: gathers the findings, and carries out the repairs."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import sys
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import PurePosixPath

import msgspec

from console.hosts.host_config import HostConfig
from console.hosts.preflight.checks import Environment, Findings, PreflightFacts
from console.hosts.remote.agent_client import AgentClient, AgentRefused
from console.hosts.remote.launch_request import ENGINE
from console.hosts.remote.wheel import engine_requirements, wheel
from console.hosts.ssh.channels import HostConnection
from console.hosts.ssh.errors import LinkDown
from console.hosts.ssh.remote_python import command_error
from console.runs.snapshot import HostFacts
from console.sanitize import sanitize_line
from engine.contract.toml_file import find_config

CHECK_TIMEOUT_S = 60.0
OBTAIN_TIMEOUT_S = 600.0
UPLOAD_TIMEOUT_S = 300.0  # a megabyte, over any link
LOOK_EVERY_S = 0.5


def environment_name() -> str:
    """Names an environment by what is installed into it: another version of the project gets another one."""
    _, content = wheel()
    return hashlib.sha256(content + find_config("constraints.txt").read_bytes()).hexdigest()[:16]


def engine_python(host: HostConfig, connection: HostConnection) -> str:
    """The Python that runs the engine on the host."""
    if host.launcher == "embedded":
        return sys.executable
    return str(PurePosixPath(connection.workspace) / "env" / environment_name() / "bin" / "python")


async def examine(host: HostConfig, connection: HostConnection, link: AgentClient) -> Findings:
    """Ask the host all that preflight judges.

    Raises:
        LinkDown: the link failed.
    """
    try:
        facts = msgspec.convert(await link.request("facts"), HostFacts)
        before, start = time.time(), time.monotonic()
        preflight_facts = msgspec.convert(await link.request("premises"), PreflightFacts)
        round_trip = time.monotonic() - start
    except (AgentRefused, msgspec.ValidationError) as error:
        raise LinkDown(f"the host's answers cannot be read: {sanitize_line(str(error))}") from error
    return Findings(
        login=f"{sanitize_line(preflight_facts.user)} at {connection.address}",
        fingerprint=connection.fingerprint,
        facts=facts,
        preflight_facts=preflight_facts,
        environment=await environment(host, connection, link),
        clock_offset=preflight_facts.time - (before + round_trip / 2),
        round_trip=round_trip,
    )


async def environment(host: HostConfig, connection: HostConnection, link: AgentClient) -> Environment:
    """The engine's environment; of the embedded host it is the console's own."""
    python = engine_python(host, connection)
    if host.launcher == "embedded":
        return Environment("ready", python=python, complaint=await engine_complaint(host, connection))
    said = msgspec.convert(await link.request("environment", name=environment_name()), Environment)
    said = msgspec.structs.replace(said, step=sanitize_line(said.step), error=sanitize_line(said.error))
    if said.state == "ready":
        said = msgspec.structs.replace(said, python=python, complaint=await engine_complaint(host, connection))
    return said


async def make_environment(
    host: HostConfig, connection: HostConnection, link: AgentClient, requirements: Iterable[str] | None = None
) -> AsyncIterator[Environment]:
    """Have the engine's environment made on the host; yields its state until it is ready or has failed.

    Args:
        requirements: pip's requirement lines; None is what the wheel declares for the engine.

    Raises:
        LinkDown: the link failed; the making goes on, and asking again finds it.
    """
    name, content = wheel()
    try:
        await link.request(
            "make_environment",
            UPLOAD_TIMEOUT_S,
            name=environment_name(),
            wheel=name,
            content=base64.b64encode(content).decode(),
            constraints=find_config("constraints.txt").read_text(encoding="utf-8"),
            requirements="\n".join(engine_requirements() if requirements is None else requirements),
        )
    except AgentRefused as refusal:
        yield Environment("failed", error=str(refusal))
        return
    while True:
        now = await environment(host, connection, link)
        yield now
        if now.state != "making":
            return
        await asyncio.sleep(LOOK_EVERY_S)


async def obtain_wordnet(host: HostConfig, connection: HostConnection) -> str:
    """Have the engine fetch WordNet on the host; returns its complaint, "" if there is none."""
    return await _engine(host, connection, "data", "obtain", seconds=OBTAIN_TIMEOUT_S)


async def engine_complaint(host: HostConfig, connection: HostConnection, *about: str) -> str:
    """What the engine on the host lacks for a run, in its own words; "" if nothing.

    Args:
        about: options of its ``check``, such as the experiment; none is the experiment it brings.

    Raises:
        LinkDown: the link failed.
    """
    return await _engine(host, connection, "check", *about, seconds=CHECK_TIMEOUT_S)


async def _engine(host: HostConfig, connection: HostConnection, *words: str, seconds: float) -> str:
    complaint = await command_error(connection, (engine_python(host, connection), "-m", ENGINE, *words), seconds)
    return complaint.removeprefix("qllm-engine: error: ")
