"""Web server of ``qllm-console serve``: textual-serve behind checks that keep other pages of the browser out.

A page of another site, open in the same browser, can send requests to the loopback, also by a host name of its own that
resolves to it. So every path begins with an unguessable token, ``Host`` is the loopback or the address that was chosen, and
the socket that carries keys is only opened for the page that this server delivered (``Origin``). Each page runs a console
of its own, started without a shell.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import secrets
import shlex
import socket
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from contextlib import suppress
from html import escape
from pathlib import Path
from string import Template

import textual_serve
from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.server import Server, to_int

MAX_PAGES = 8  # each runs a console with a link of its own
END_S = 5.0  # for a console to end by itself
PAGE = Path(__file__).with_name("web_page.html")
STATIC = Path(textual_serve.__file__).parent / "static"
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::\d{1,5})?")
_HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src 'self' data:; "
    "connect-src 'self' ws://{host}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def run_server(command: list[str], driver: str, listening: socket.socket, token: str, title: str) -> None:
    """Serve pages on the socket ``listening`` until interrupted (SIGINT or SIGTERM).

    Args:
        command: the console that each page runs.
        driver: its ``TEXTUAL_DRIVER``.
        token: with which every path begins.
    """
    logging.getLogger("aiohttp.access").disabled = True  # the token is in every path
    server = ConsoleServer(command, driver, listening, token, title)
    web.run_app(server.app(), sock=listening, print=None, shutdown_timeout=END_S, access_log=None)


class ConsoleService(AppService):
    """The console of one page. Started from its arguments, without a shell."""

    argv: tuple[str, ...] = ()
    driver: str = ""

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        environment = self._build_environment(width, height) | {"TEXTUAL_DRIVER": self.driver}
        environment.pop("TEXTUAL_LOG", None)
        self._process = process = await asyncio.create_subprocess_exec(
            *self.argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment, start_new_session=True
        )
        self._stdin = process.stdin
        return process

    async def run(self) -> None:
        """Pass on what the console shows until it ends, then close its page, also where the console has failed."""
        await super().run()
        await self.remote_close()

    async def end(self) -> None:
        """End the console, by force if it does not end in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(END_S):
                await self.stop()
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


class ConsoleServer(Server):
    """Serves the page, its static files and its socket, all below a path that begins with ``token``."""

    def __init__(self, command: list[str], driver: str, listening: socket.socket, token: str, title: str) -> None:
        super().__init__(shlex.join(command), title=title)
        self._argv = tuple(command)
        self._driver = driver
        self._token = token
        address = ipaddress.ip_address(listening.getsockname()[0])
        self._own_hosts = (*LOOPBACK, str(address)) if address.is_loopback else None
        self._pages = 0

    def app(self) -> web.Application:
        """The application with its routes and checks."""
        app = web.Application(middlewares=[self._check])
        app.router.add_get(f"/{self._token}/", self.page)
        app.router.add_get(f"/{self._token}/ws", self.handle_websocket)
        app.router.add_static(f"/{self._token}/static", STATIC)
        return app

    @web.middleware
    async def _check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse what does not come from the page that this server delivered."""
        if not self._is_own_host(request.headers.get("Host", "")):
            raise web.HTTPForbidden(text="not this server's address\n")
        first = request.path.removeprefix("/").partition("/")[0]  # of "*", a path without a slash, all of it
        if not secrets.compare_digest(first.encode(errors="replace"), self._token.encode()):
            raise web.HTTPNotFound(text="the address is not complete: use the one that was printed\n")
        response = await handler(request)
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    def _is_own_host(self, host: str) -> bool:
        """Whether ``host`` is a name of the loopback with any port, since a tunnel may have another one; if others may
        connect, any name that is well formed."""
        named = _HOST.fullmatch(host)
        return named is not None and (self._own_hosts is None or named.group(1).lower() in self._own_hosts)

    async def page(self, request: web.Request) -> web.Response:
        """The page with the terminal in it."""
        text = Template(PAGE.read_text(encoding="utf-8")).substitute(
            title=escape(self.title),
            socket=escape(f"ws://{request.host}/{self._token}/ws"),
            font_size=min(40, max(6, to_int(request.query.get("fontsize", "14"), 14))),
        )
        policy = {"Content-Security-Policy": _POLICY.format(host=request.host)}
        return web.Response(text=text, content_type="text/html", headers=policy)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Run a console for a page, until either ends."""
        if request.headers.get("Origin") not in (f"http://{request.host}", f"https://{request.host}"):
            raise web.HTTPForbidden(text="not from this server's page\n")
        if self._pages >= MAX_PAGES:
            raise web.HTTPServiceUnavailable(text=f"{MAX_PAGES} pages are open already\n")
        self._pages += 1
        try:
            return await self._run_console(request)
        finally:
            self._pages -= 1

    async def _run_console(self, request: web.Request) -> web.WebSocketResponse:
        page = web.WebSocketResponse(heartbeat=15)
        await page.prepare(request)

        async def close() -> None:
            await page.close()

        console = ConsoleService(
            self.command,
            write_bytes=page.send_bytes,
            write_str=page.send_str,
            close=close,
            download_manager=self.download_manager,
        )
        console.argv, console.driver = self._argv, self._driver
        width, height = (
            to_int(request.query.get(name, ""), default) for name, default in (("width", 80), ("height", 24))
        )
        try:
            await console.start(min(1000, max(1, width)), min(1000, max(1, height)))
            await self._process_messages(page, console)
        except (AssertionError, LookupError, TypeError, ValueError, AttributeError):
            pass  # a message that no page of ours sends
        finally:
            await console.end()
            await page.close()
        return page
