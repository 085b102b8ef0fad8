"""Speaks with the agent on a host: requests and replies over one channel, many under way at once."""

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

MAX_REPLY = 64 * 1024 * 1024
REPLY_TIMEOUT_S = 30.0


class AgentRefused(Exception):
    """The agent would not, or could not, do what was asked; the text says why."""


class AgentClient:
    """One agent process behind one channel."""

    def __init__(self, process: AgentProcess) -> None:
        self._process = process
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._arriving = 0.0
        self._down: str | None = None

    async def request(self, verb: str, timeout: float = REPLY_TIMEOUT_S, **arguments: Any) -> dict[str, Any]:  # noqa: ASYNC109
        """Ask for ``verb``; waits up to ``timeout`` seconds, and on while a reply is on its way, however slow the link.

        Raises:
            LinkDown: the channel or the agent is gone, or the host stays silent.
            AgentRefused: the agent says no.
        """
        if self._down is not None:
            raise LinkDown(self._down)
        number = next(self._numbers)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            content = json.dumps({"id": number, "verb": verb, **arguments}).encode() + b"\n"
            self._process.stdin.write(content)
            reply = await self._reply(future, timeout)
        except TimeoutError as error:
            raise LinkDown(f"no answer to {verb} within {timeout:.0f} s") from error
        except (OSError, asyncssh.Error) as error:
            raise LinkDown(sanitize_line(str(error))) from error
        finally:
            self._waiting.pop(number, None)
        if "ok" not in reply:
            raise AgentRefused(sanitize_line(str(reply.get("refused") or reply.get("error") or "no reason given")))
        answer = reply["ok"]
        if not isinstance(answer, dict):
            raise LinkDown("the agent's answer cannot be understood")
        return answer

    async def _reply(self, future: asyncio.Future[dict[str, Any]], timeout: float) -> dict[str, Any]:  # noqa: ASYNC109
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while not future.done() and (left := deadline - loop.time()) > 0:
            await asyncio.wait([future], timeout=left)
            deadline = max(deadline, self._arriving + timeout)
        if not future.done():
            raise TimeoutError
        return future.result()

    async def listen(self) -> None:
        """Hand replies to those who wait, until the channel ends; then tell all of them.

        Reads in chunks: reading line by line costs twenty times as much.
        """
        partial = b""
        try:
            while chunk := await self._process.stdout.read(65536):
                *lines, partial = (partial + chunk).split(b"\n")
                for line in lines:
                    self._deliver(line)
                if partial:
                    self._arriving = asyncio.get_running_loop().time()
                if len(partial) > MAX_REPLY:
                    raise LinkDown(f"a reply of more than {MAX_REPLY >> 20} MiB")
            self._fail(self._process.last_error() or "the link is down")
        except (OSError, asyncssh.Error, LinkDown) as error:
            self._fail(sanitize_line(str(error)) or "the link is down")

    def _deliver(self, line: bytes) -> None:
        try:
            reply = json.loads(line)
            future = self._waiting.get(reply["id"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise LinkDown("the agent's reply cannot be understood") from None
        if future is not None and not future.done():
            future.set_result(reply)

    def _fail(self, why: str) -> None:
        self._down = why
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(LinkDown(why))


@asynccontextmanager
async def open_agent(connection: HostConnection) -> AsyncIterator[AgentClient]:
    """An agent that answers requests, for the length of the block.

    Raises:
        LinkDown: the link failed, or the host runs another file than the one shipped.
    """
    async with start_agent(connection, "serve") as process:
        client = AgentClient(process)
        listening = asyncio.create_task(client.listen())
        try:
            process.check_hello(await client.request("hello"))
            yield client
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
