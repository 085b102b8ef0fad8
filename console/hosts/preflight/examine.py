"""Host examination and repairs: collects the findings that preflight checks, creates the engine's environment."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import PurePosixPath
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from console.hosts.agent.environment import UV_WHEELS
from console.hosts.host_config import HostConfig
from console.hosts.preflight.checks import Environment, Findings, PreflightFacts, Requirements
from console.hosts.remote.agent_client import REPLY_TIMEOUT_S, AgentClient, AgentRefused
from console.hosts.remote.launch_request import EXPERIMENT_FILE, job_variables
from console.hosts.remote.uv import VERSION as UV_VERSION
from console.hosts.remote.uv import UvUnavailable, cache_folder, fetch_wheel
from console.hosts.remote.wheel import engine_requirements, wheel
from console.hosts.ssh.channels import HostConnection
from console.hosts.ssh.errors import LinkDown
from console.hosts.transfer.errors import SyncFailed
from console.hosts.transfer.folder_sync import push
from console.hosts.transfer.request import SyncRequest, records_folder
from console.runs.host_facts import HostFacts
from console.sanitize import sanitize_line
from engine.contract.import_path import isolated_python
from engine.contract.toml_file import find_config
from engine.contract.validation_words import error_in_words

ENGINE = "engine.cli"
CHECK_TIMEOUT_S = 60.0
OBTAIN_TIMEOUT_S = 600.0
UPLOAD_TIMEOUT_S = 300.0  # for a megabyte, over any link
POLL_S = 0.5

Reply = TypeVar("Reply")


def environment_name(host_torch: bool = True) -> str:
    """Name of the engine's environment on a host: a hash of what is installed into it, so that a new version of the
    project gets a new environment and never changes the one that runs may be using."""
    _, content = wheel()
    content += find_config("constraints.txt").read_bytes()
    return hashlib.sha256(content if host_torch else content + b"its own torch").hexdigest()[:16]


def engine_command(host: HostConfig, connection: HostConnection) -> tuple[str, ...]:
    """Command line of the engine on the host, without arguments, as runs and all checks start it.

    No module of the user's counts: neither those in the folder where it starts, nor those that ``PYTHONPATH`` names, nor
    those of ``~/.local``, except where the console itself is installed there and the engine is the console's own.
    """
    if host.launcher == "embedded":
        return (*isolated_python(), "-u", "-m", ENGINE)
    python = str(PurePosixPath(connection.workspace) / "env" / environment_name(host.host_torch) / "bin" / "python")
    return (python, "-I", "-u", "-m", ENGINE)


async def examine_host(host: HostConfig, connection: HostConnection, agent: AgentClient) -> Findings:
    """Collect everything that the preflight checklist is based on.

    Raises:
        LinkDown: the link failed.
    """
    facts = await _request(agent, HostFacts, "facts")
    before, start = time.time(), time.monotonic()
    preflight_facts = await _preflight_facts(agent, host)
    round_trip = time.monotonic() - start
    environment = await _environment_state(host, connection, agent)
    pushed = await _requirements(host, agent) if environment.state == "ready" and host.launcher != "embedded" else ()
    return Findings(
        login=f"{sanitize_line(preflight_facts.user)} at {connection.address}",
        fingerprint=connection.fingerprint,
        facts=facts,
        preflight_facts=preflight_facts,
        environment=await _with_device(host, connection, agent, facts, environment),
        # as in NTP: the host read its clock about half a round trip after the request was sent
        clock_offset=preflight_facts.time - (before + round_trip / 2),
        round_trip=round_trip,
        requirements=pushed,
    )


async def _with_device(
    host: HostConfig, connection: HostConnection, agent: AgentClient, facts: HostFacts, environment: Environment
) -> Environment:
    """``environment`` with the error of its PyTorch if that cannot use the GPU that the host has."""
    if not facts.gpus or host.device == "cpu" or environment.check_error != "":
        return environment
    return replace(environment, device_error=await engine_error(host, connection, agent, "--device", "cuda"))


async def _environment_state(host: HostConfig, connection: HostConnection, agent: AgentClient) -> Environment:
    """State of the engine's environment; the embedded host uses the console's own."""
    found = Environment("ready")
    if host.launcher != "embedded":
        reply = await _request(agent, Environment, "environment_state", name=environment_name(host.host_torch))
        texts = {name: sanitize_line(getattr(reply, name)) for name in ("step", "error", "version", "host_torch")}
        found = replace(reply, **texts)
    if found.state != "ready":
        return found
    error = await engine_error(host, connection, agent)
    return replace(found, python=engine_command(host, connection)[0], check_error=error)


async def _preflight_facts(agent: AgentClient, host: HostConfig) -> PreflightFacts:
    found = await _request(agent, PreflightFacts, "preflight_facts", environment=host.environment)
    return replace(found, python=sanitize_line(found.python))


async def _request(agent: AgentClient, kind: type[Reply], verb: str, **arguments: Any) -> Reply:
    try:
        return msgspec.convert(await agent.request(verb, **arguments), kind)
    except (AgentRefused, msgspec.ValidationError) as error:
        raise LinkDown(f"the host's reply cannot be read: {sanitize_line(error_in_words(error))}") from error


async def make_environment(
    host: HostConfig, connection: HostConnection, agent: AgentClient, requirements: Iterable[str] | None = None
) -> AsyncIterator[Environment]:
    """Create the engine's environment on the host; yields its state until it is ready or has failed.

    Args:
        requirements: pip's requirement lines; None is what the wheel declares for the engine.

    Raises:
        LinkDown: the link failed; the host continues, and a second call follows the same installation.
    """
    name, content = wheel()
    uv = ""
    try:
        if await _needs_uv(host, agent):
            yield Environment("making", step=f"sending uv {UV_VERSION}, which installs a Python for the engine")
            uv = await _send_uv(connection, agent, host)
    except (UvUnavailable, SyncFailed) as error:
        yield Environment("failed", error=f"{error}; a newer Python can be named as `python` in hosts.toml")
        return
    try:
        await agent.request(
            "make_environment",
            UPLOAD_TIMEOUT_S,
            name=environment_name(host.host_torch),
            wheel=name,
            content=base64.b64encode(content).decode(),
            constraints=find_config("constraints.txt").read_text(encoding="utf-8"),
            requirements="\n".join(engine_requirements() if requirements is None else requirements),
            uv=uv,
            host_torch=host.host_torch,
        )
    except AgentRefused as refusal:
        yield Environment("failed", error=str(refusal))
        return
    while True:
        now = await _environment_state(host, connection, agent)
        yield now
        if now.state != "making":
            return
        await asyncio.sleep(POLL_S)


async def _needs_uv(host: HostConfig, agent: AgentClient) -> bool:
    """Whether the engine's environment is still to be made, and cannot be made from the host's Python."""
    state = (await _request(agent, Environment, "environment_state", name=environment_name(host.host_torch))).state
    return state in ("none", "failed") and not (await _preflight_facts(agent, host)).makes_environments


async def _send_uv(connection: HostConnection, agent: AgentClient, host: HostConfig) -> str:
    """Send uv's wheel for the host's machine to ``UV_WHEELS``; returns its file name.

    Raises:
        UvUnavailable, SyncFailed: it cannot be had, or not be sent.
        LinkDown: the link failed; a second call continues from what arrived.
    """
    cache = cache_folder()
    found = await fetch_wheel((await _preflight_facts(agent, host)).machine, cache)
    records = records_folder(cache, connection.fingerprint.replace("/", "_"), found.parent, UV_WHEELS)
    verdict = await push(connection, SyncRequest(found.parent, UV_WHEELS, records))
    if not verdict.full:
        raise SyncFailed(f"uv cannot be sent: {verdict.sentence()}")
    return found.name


class _PushedFolders(msgspec.Struct, frozen=True):
    folders: tuple[Requirements, ...]


async def _requirements(
    host: HostConfig, agent: AgentClient, verb: str = "requirements_state"
) -> tuple[Requirements, ...]:
    """State of the requirements of each pushed folder, with all texts safe to show."""
    reply = await _request(agent, _PushedFolders, verb, name=environment_name(host.host_torch))
    return tuple(
        replace(one, folder=sanitize_line(one.folder), step=sanitize_line(one.step), error=sanitize_line(one.error))
        for one in reply.folders
    )


async def install_requirements(host: HostConfig, agent: AgentClient) -> AsyncIterator[Requirements]:
    """Install what pushed folders require into the engine's environment; yields a folder's state at each change.

    Raises:
        LinkDown: the link failed; the host continues, and a second call follows the same installation.
    """
    before: dict[str, Requirements] = {}
    now = await _requirements(host, agent, "install_requirements")
    while True:
        for one in now:
            if before.get(one.folder) != one:
                yield one
        if not any(one.state == "making" for one in now):
            return
        before = {one.folder: one for one in now}
        await asyncio.sleep(POLL_S)
        now = await _requirements(host, agent)


async def obtain_wordnet(host: HostConfig, connection: HostConnection, agent: AgentClient) -> str:
    """Have the engine fetch WordNet on the host; returns its error, "" if it succeeds."""
    return await _run_engine(host, connection, agent, "data", "obtain", seconds=OBTAIN_TIMEOUT_S)


async def engine_error(host: HostConfig, connection: HostConnection, agent: AgentClient, *options: str) -> str:
    """What the engine on the host lacks for a run, as its ``check`` reports it; "" if nothing.

    Args:
        options: of ``check``, such as ``--experiment``; by default the experiment that is installed with it.

    Raises:
        LinkDown: the link failed.
    """
    if "--experiment" not in options:
        options = (*options, "--experiment", f"{{job}}/{EXPERIMENT_FILE}")
    return await _run_engine(host, connection, agent, "check", *options, seconds=CHECK_TIMEOUT_S)


async def _run_engine(
    host: HostConfig, connection: HostConnection, agent: AgentClient, *arguments: str, seconds: float
) -> str:
    """Run the engine as a job would: its Python, folder and environment. Returns its error, "" if it succeeds."""
    argv = [*engine_command(host, connection), *arguments]
    # the workspace may have a configs folder of the user's, which the engine would read its default from
    files = {EXPERIMENT_FILE: find_config("scaling.toml").read_text(encoding="utf-8")}
    request = {"argv": argv, "files": files, "seconds": seconds, **job_variables(host)}
    try:
        reply = await agent.request("run_as_job", seconds + REPLY_TIMEOUT_S, **request)
    except AgentRefused as refusal:
        return str(refusal)
    error = sanitize_line(str(reply.get("error", "")), 400).removeprefix("qllm-engine: error: ")
    return "" if reply.get("code") == 0 else error or f"ended with {reply.get('code')}"
