"""Textual driver of a console in a web page. A module of its own because Textual imports it by name, in that console only."""

from __future__ import annotations

import asyncio

from textual import messages
from textual.drivers.web_driver import WebDriver


class ServedDriver(WebDriver):
    """Textual's driver, but the console ends with the server, however that ends: nobody could see or end it any more."""

    def start_application_mode(self) -> None:
        self._console_loop = asyncio.get_running_loop()
        super().start_application_mode()

    def run_input_thread(self) -> None:
        super().run_input_thread()
        if not self.exit_event.is_set():
            self._console_loop.call_soon_threadsafe(self._app.post_message, messages.ExitApp())
