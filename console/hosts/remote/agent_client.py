"""Client of the agent on a host: concurrent requests and replies over one channel, as JSON lines."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncssh

from console.hosts.remote.agent_package import AgentProcess, start_agent
from console.hosts.ssh.channels import HostConnection
from console.hosts.ssh.errors import LinkDown
from console.sanitize import sanitize_line

MAX_REPLY_BYTES = 64 << 20
REPLY_TIMEOUT_S = 30.0


class AgentRefused(Exception):
    """The agent refused a request, or failed to carry it out; the text gives the reason."""


class AgentClient:
    """Sends requests to one agent process, and matches the replies by their numbers."""

    def __init__(self, process: AgentProcess) -> None:
        self._process = process
        self._numbers = itertools.count()
        self._pending: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._last_data_at = 0.0
        self._down_reason: str | None = None

    async def request(self, verb: str, timeout: float = REPLY_TIMEOUT_S, **arguments: Any) -> dict[str, Any]:  # noqa: ASYNC109
        """Send a request and return the reply's content.

        Args:
            timeout: seconds without any data of a reply; a reply that is still arriving over a slow link is waited for.

        Raises:
            LinkDown: the channel or the agent has ended, or the host does not answer.
            AgentRefused: the agent refused, or failed.
        """
        if self._down_reason is not None:
            raise LinkDown(self._down_reason)
        number = next(self._numbers)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._pending[number] = future
        try:
            content = json.dumps({"id": number, "verb": verb, **arguments}).encode() + b"\n"
            self._process.stdin.write(content)
            if not await self._is_done(future, timeout):
                raise LinkDown(f"no reply to {verb} within {timeout:.0f} s")
            reply = future.result()
        except (OSError, asyncssh.Error) as error:
            raise LinkDown(sanitize_line(str(error))) from error
        finally:
            self._pending.pop(number, None)
        if "ok" not in reply:
            raise AgentRefused(sanitize_line(str(reply.get("refused") or reply.get("error") or "no reason given")))
        answer = reply["ok"]
        if not isinstance(answer, dict):
            raise LinkDown("the agent's reply cannot be read")
        return answer

    async def _is_done(self, future: asyncio.Future[dict[str, Any]], timeout: float) -> bool:  # noqa: ASYNC109
        """Wait for ``future``; False if no data has arrived for ``timeout`` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while not future.done() and (left := deadline - loop.time()) > 0:
            await asyncio.wait([future], timeout=left)
            deadline = max(deadline, self._last_data_at + timeout)
        return future.done()

    async def read_replies(self) -> None:
        """Deliver replies until the channel ends; then fail all pending requests.

        Reads in chunks, since asyncssh's line reader costs twenty times as much.
        """
        partial = b""
        try:
            while chunk := await self._process.stdout.read(65536):
                *lines, partial = (partial + chunk).split(b"\n")
                for line in lines:
                    self._deliver(line)
                if partial:
                    self._last_data_at = asyncio.get_running_loop().time()
                if len(partial) > MAX_REPLY_BYTES:
                    raise LinkDown(f"a reply of more than {MAX_REPLY_BYTES >> 20} MiB")
            self.fail(self._process.last_error() or "the link is down")
        except (OSError, asyncssh.Error, LinkDown) as error:
            self.fail(sanitize_line(str(error)) or "the link is down")

    def _deliver(self, line: bytes) -> None:
        try:
            reply = json.loads(line)
            future = self._pending.get(reply["id"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise LinkDown("the agent's reply cannot be read") from None
        if future is not None and not future.done():
            future.set_result(reply)

    def fail(self, reason: str) -> None:
        """Fail all pending requests, and those to come."""
        self._down_reason = reason
        for future in self._pending.values():
            if not future.done():
                future.set_exception(LinkDown(reason))


@asynccontextmanager
async def open_agent(connection: HostConnection) -> AsyncIterator[AgentClient]:
    """Start an agent on the host, and yield its client for the length of the block.

    Raises:
        LinkDown: the link failed, or the host runs another file than the one shipped.
    """
    async with start_agent(connection, "serve") as process:
        client = AgentClient(process)
        reading = asyncio.create_task(client.read_replies())
        try:
            process.check_hello(await client.request("hello"))
            yield client
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            client.fail("the link to the host was closed")  # else whoever waits for a reply waits for the whole timeout
