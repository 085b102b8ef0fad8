"""Notifications as requested of the host, and messages of the console's own from this machine."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence

import msgspec

from console.hosts.agent.notify import outcomes_of, send
from console.hosts.host_config import HostConfig
from console.hosts.remote.agent_client import AgentClient, AgentRefused
from console.hosts.remote.launch_request import notify_settings, operator_name
from console.hosts.ssh.errors import LinkDown
from console.runs.sent_messages import SendOutcome, SentMessage, decode_messages, decode_outcomes
from console.sanitize import sanitize_line
from engine.contract.bad_input import BadInput
from engine.contract.import_path import isolated_python
from engine.contract.validation_words import error_in_words

TEST_S = 120.0  # for the reply to a test, more than the agent lets it take


async def request_test(agent: AgentClient, host: HostConfig, engine: tuple[str, ...]) -> tuple[SendOutcome, ...]:
    """Have the host send a test message to each URL of its entry.

    Raises:
        LinkDown: also if the reply cannot be understood.
        BadInput: the host refused.
    """
    message = {
        "title": f"qllm-console: test from {host.title}",
        "body": "Notifications of runs on this host arrive here.",
        "kind": "info",
    }
    engine_command = notify_settings(host, engine)["command"]
    try:
        reply = await agent.request("notify_test", TEST_S, urls=host.notify, command=engine_command, **message)
        return decode_outcomes(reply)
    except AgentRefused as refusal:
        raise BadInput(str(refusal)) from refusal
    except msgspec.ValidationError as error:
        raise _not_understood(error) from error


async def keep_urls(agent: AgentClient, host: HostConfig) -> None:
    """Have the host keep the URLs of its entry in place of this operator's before; raises LinkDown, or BadInput if refused."""
    try:
        await agent.request("notify_keep", urls=host.notify, operator=operator_name())
    except AgentRefused as refusal:
        raise BadInput(str(refusal)) from refusal


async def sent_messages(agent: AgentClient) -> tuple[SentMessage, ...]:
    """The last messages that the host sent, the newest last; raises LinkDown."""
    try:
        return decode_messages(await agent.request("notify_log"))
    except AgentRefused as refusal:
        raise LinkDown(str(refusal)) from refusal
    except msgspec.ValidationError as error:
        raise _not_understood(error) from error


async def send_from_here(urls: Sequence[str], title: str, body: str) -> tuple[SendOutcome, ...]:
    """Send a message from this machine, by the apprise that is installed beside the console."""
    command = [*isolated_python(), "-m", "engine.cli", "notify"]
    message = {"title": sanitize_line(title), "body": body, "kind": "info"}
    reasons = await asyncio.to_thread(send, command, message, list(urls), tempfile.gettempdir())
    return decode_outcomes({"outcomes": outcomes_of(urls, reasons)})


def _not_understood(error: msgspec.ValidationError) -> LinkDown:
    return LinkDown(f"the agent's reply cannot be understood: {sanitize_line(error_in_words(error))}")
