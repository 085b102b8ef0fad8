"""Driver of a console that a web page shows: Textual's, and the console ends when the server does, however that ends."""

from __future__ import annotations

import asyncio

from textual import messages
from textual.drivers.web_driver import WebDriver


class ServedDriver(WebDriver):
    """Reads keys from the server's pipe; its end is the end of the console, which nobody could see or end any more."""

    def start_application_mode(self) -> None:
        self._console_loop = asyncio.get_running_loop()
        super().start_application_mode()

    def run_input_thread(self) -> None:
        super().run_input_thread()
        if not self.exit_event.is_set():
            self._console_loop.call_soon_threadsafe(self._app.post_message, messages.ExitApp())
