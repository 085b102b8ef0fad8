"""A headless Chromium driven over its DevTools protocol: opens a page, types keys, reads what its terminal shows."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_KEEP_TERMINAL = """
Object.defineProperty(Object.prototype, "fitAddon", {configurable: true, set(value) {
    Object.defineProperty(this, "fitAddon", {value, writable: true});
    window.shownTerminal = this.terminal;  // xterm.js, which the page's script keeps to itself
}});
"""
_TEXT = """(() => {
    const terminal = window.shownTerminal;
    if (!terminal) return "";
    const lines = [];
    for (let row = 0; row < terminal.rows; row++)
        lines.push(terminal.buffer.active.getLine(row)?.translateToString(true) ?? "");
    return lines.join("\\n");
})()"""


class Page:
    """One page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._session: str | None = None
        self.problems: list[str] = []

    async def open(self, url: str) -> None:
        """Open ``url`` in a new page; errors of its scripts and refusals of its policy are kept in ``problems``."""
        target = await self._call("Target.createTarget", url="about:blank")
        attached = await self._call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            await self._call(f"{domain}.enable")
        await self._call("Page.addScriptToEvaluateOnNewDocument", source=_KEEP_TERMINAL)
        await self._call("Page.navigate", url=url)

    async def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression; promises are awaited."""
        found = await self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return found["result"].get("value")

    async def text(self) -> str:
        """What the terminal shows."""
        return str(await self.evaluate(_TEXT) or "")

    async def until_shown(self, *texts: str) -> str:
        """Wait until all of ``texts`` are shown; returns all that is shown then."""
        shown = await self.text()
        while not all(text in shown for text in texts):
            await asyncio.sleep(0.05)
            shown = await self.text()
        return shown

    async def press(self, key: str) -> None:
        """Type a character into the terminal."""
        await self.evaluate("document.querySelector('.xterm-helper-textarea').focus()")
        await self._call("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
        await self._call("Input.dispatchKeyEvent", type="keyUp", key=key)

    async def _call(self, method: str, **parameters: Any) -> Any:
        number = next(self._ids)
        session = {"sessionId": self._session} if self._session else {}
        await self._socket.send_json({"id": number, "method": method, "params": parameters, **session})
        while True:
            message = await self._socket.receive_json()
            if message.get("id") == number:
                if "error" in message:
                    raise AssertionError(f"{method}: {message['error']}")
                return message["result"]
            if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.problems.append(message["params"]["entry"]["text"])
            if message.get("method") == "Runtime.exceptionThrown":
                self.problems.append(str(message["params"]["exceptionDetails"]))


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Page]:
    """A browser with a profile of its own in ``folder``."""
    process = await asyncio.create_subprocess_exec(
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
        "--window-size=1200,800", f"--user-data-dir={folder / 'profile'}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        while True:
            line = (await process.stderr.readline()).decode()
            assert line, "chromium ended"
            if line.startswith("DevTools listening on "):
                break
        drained = asyncio.create_task(process.stderr.read())
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(line.removeprefix("DevTools listening on ").strip(), max_msg_size=0) as socket,
        ):
            yield Page(socket)
        drained.cancel()
    finally:
        process.kill()
        await process.wait()
