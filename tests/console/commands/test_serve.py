"""``qllm-console serve``: what it listens on, whom it lets in, what a page runs, and the console in a real browser."""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psutil
import pytest
from aiohttp import web

from console.cli import DEFAULTS, main, parse
from console.commands import web_server
from console.commands.serve import SERVED_DRIVER, console_command
from console.commands.web_server import ConsoleServer
from tests.console.browser import BROWSER, browser
from tests.console.commands.json_checker import checked
from tests.console.tiny import write_experiment

TOKEN = "unguessable"  # noqa: S105
PROGRAM = """
import os, sys
def packet(kind, content): os.write(1, kind + len(content).to_bytes(4, "big") + content)
os.write(1, b"__GANGLION__\\n")
packet(b"D", ("\\n".join(sys.argv[1:]) + f"\\ndriver={os.environ['TEXTUAL_DRIVER']}").encode())
while os.read(0, 1) not in (b"", b"M"): pass
"""
ARGUMENTS = ("--runs=a b", "$(touch shell-ran)", "'; true", '"')


@asynccontextmanager
async def served(*arguments: str, program: str = PROGRAM, ip: str = "127.0.0.1") -> AsyncIterator[str]:
    """The address of a server whose pages run ``program``."""
    listening = socket.create_server((ip, 0))
    server = ConsoleServer([sys.executable, "-c", program, *arguments], "a driver", listening, TOKEN, "a <title>")
    runner = web.AppRunner(server.app())
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        yield f"{ip}:{listening.getsockname()[1]}"
    finally:
        await runner.cleanup()


async def status(url: str, **headers: str) -> int:
    async with aiohttp.ClientSession() as client, client.get(url, headers=headers) as response:
        return response.status


async def test_only_the_whole_address_on_this_machine_is_answered() -> None:
    async with served() as address:
        page = f"http://{address}/{TOKEN}/"
        assert await status(page) == 200
        assert await status(f"{page}static/js/textual.js") == 200
        assert await status(page, Host=f"localhost:{address.rpartition(':')[2]}") == 200
        for wrong in (f"http://{address}/", f"http://{address}/{TOKEN}x/", f"http://{address}/static/js/textual.js"):
            assert await status(wrong) == 404
        for host in ("evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "evil.example/localhost"):
            assert await status(page, Host=host) == 403


async def test_another_address_of_the_loopback_refuses_other_host_names_too() -> None:
    async with served(ip="127.0.0.2") as address:
        assert await status(f"http://{address}/{TOKEN}/") == 200
        assert await status(f"http://{address}/{TOKEN}/", Host="evil.example") == 403


@pytest.mark.parametrize("request_line", [b"OPTIONS * HTTP/1.1", b"GET /\xff/ HTTP/1.1"])
async def test_a_request_without_a_path_is_refused(request_line: bytes) -> None:
    async with served() as address:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
        writer.write(request_line + b"\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert (await reader.readline()).split()[1] in (b"400", b"404")
        writer.close()


async def test_the_page_loads_nothing_from_elsewhere_and_is_in_no_frame() -> None:
    async with served() as address, aiohttp.ClientSession() as client, client.get(f"http://{address}/{TOKEN}/") as got:
        html, policy = await got.text(), got.headers["Content-Security-Policy"]
    assert "a &lt;title&gt;" in html and "https://" not in html and "<script>" not in html
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "script-src 'self';" in policy
    assert got.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("origin", [None, "http://evil.example", "null", "http://127.0.0.1:1", "https://localhost"])
async def test_another_page_cannot_open_the_socket(origin: str | None) -> None:
    async with served() as address, aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(f"ws://{address}/{TOKEN}/ws", origin=origin)
        assert refused.value.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(f"ws://{address}/ws", origin=f"http://{address}")
        assert refused.value.status == 404


async def test_a_page_runs_a_console_of_its_own_without_a_shell_and_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    others = set(psutil.Process().children())  # servers that further tests share
    async with served(*ARGUMENTS) as address, aiohttp.ClientSession() as client:
        async with client.ws_connect(f"ws://{address}/{TOKEN}/ws", origin=f"http://{address}") as page:
            shown = (await page.receive_bytes()).decode()
            (console,) = set(psutil.Process().children()) - others
        assert shown.splitlines() == [*ARGUMENTS, "driver=a driver"]
        await asyncio.to_thread(console.wait, 20)
    assert not (tmp_path / "shell-ran").exists()


@pytest.mark.parametrize("program", ["raise SystemExit('broken')", PROGRAM.partition("while")[0]])
async def test_a_console_that_fails_closes_its_page(program: str) -> None:
    async with served("x", program=program) as address, aiohttp.ClientSession() as client, asyncio.timeout(60):
        async with client.ws_connect(f"ws://{address}/{TOKEN}/ws", origin=f"http://{address}") as page:
            async for message in page:  # ends with the socket
                assert message.type is aiohttp.WSMsgType.BINARY
        assert page.close_code == aiohttp.WSCloseCode.OK


async def test_a_message_that_is_none_ends_its_page_alone() -> None:
    async with served("x") as address, aiohttp.ClientSession() as client:
        for nonsense in ("[]", "{}", '["stdin", 3]', '["resize", null]', "\x00"):
            async with client.ws_connect(f"ws://{address}/{TOKEN}/ws", origin=f"http://{address}") as page:
                await page.receive_bytes()
                await page.send_str(nonsense)
                assert (await page.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        assert await status(f"http://{address}/{TOKEN}/") == 200


async def test_no_more_pages_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "MAX_PAGES", 1)
    async with served("x") as address, aiohttp.ClientSession() as client:
        where, origin = f"ws://{address}/{TOKEN}/ws", f"http://{address}"
        async with client.ws_connect(where, origin=origin) as page:
            await page.receive_bytes()
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.ws_connect(where, origin=origin)
            assert refused.value.status == 503


def test_a_page_is_read_only_unless_told_otherwise() -> None:
    options = parse(["serve", "--profile", "demo", "--experiment", "a b.toml"])
    assert console_command(options)[-5:] == [
        "--experiment=a b.toml", "--host=local", "--profile=demo", "--runs=runs", "--read-only",
    ]  # fmt: skip
    assert "--read-only" not in console_command(parse(["serve", "--read-write"]))
    again = parse(console_command(options)[-5:])
    assert (again.read_only, again.command, again.profile) == (True, DEFAULTS["command"], "demo")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            "--address 0.0.0.0",
            "--address: 0.0.0.0 can be reached from other machines, over a connection that is not encry",
        ),
        ("--address ::", "--address: :: can be reached from other machines"),
        ("--address localhost", "--address: 'localhost' is not an IP address"),
        ("--address 192.0.2.1 --allow-remote", "--port: cannot listen on 192.0.2.1 port 0: "),
        ("--port 70000", "--port: 70000 is not a port, 0 to 65535"),
        ("--read-write --read-only", "--read-write: cannot be given together with --read-only"),
    ],
)
def test_what_it_refuses(capsys: pytest.CaptureFixture[str], arguments: str, expected: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["serve", *shlex.split(arguments)])
    out, err = capsys.readouterr()
    assert end.value.code == 2 and out == "" and err.startswith(f"qllm-console: error: {expected}")


@pytest.mark.skipif(BROWSER is None, reason="no chromium to open the page with")
async def test_a_browser_shows_the_runs_and_another_view_after_a_key(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.toml"
    hosts.write_text(
        '[hosts.away]\ntitle = "away"\nlauncher = "ssh"\naddress = "127.0.0.1"\nport = 9\n'
        f'workspace = "{tmp_path}/workspace"\n'
    )
    command = [
        sys.executable, "-m", "console.cli", "serve", "--json", "--hosts", str(hosts), "--host", "away",
        "--experiment", str(write_experiment(tmp_path)), "--runs", str(tmp_path / "runs"),
    ]  # fmt: skip
    environment = os.environ | {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    serving = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=environment)
    assert serving.stdout is not None
    try:
        async with asyncio.timeout(90):
            url = checked((await serving.stdout.readuntil(b"}\n")).decode())["url"]
            async with browser(tmp_path) as page:
                await page.open(url)
                shown = await page.until_shown("2 Runs", "A/42", "read-only")
                assert "away" in shown
                await page.press("1")
                shown = await page.until_shown("Preflight")
                assert "A/42" not in shown
                assert page.problems == []
                consoles = [
                    one for one in psutil.Process(serving.pid).children() if SERVED_DRIVER in one.environ().values()
                ]
                assert len(consoles) == 1
            serving.kill()
            await serving.wait()
        await asyncio.to_thread(psutil.wait_procs, consoles, 20)
        assert not any(one.is_running() for one in consoles)
    finally:
        if serving.returncode is None:
            serving.kill()
            await serving.wait()
