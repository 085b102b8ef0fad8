"""A notification service of the test's own on the loopback: takes what apprise posts to ``json://``."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "s3cr3t-t0k3n"  # noqa: S105 - to be looked for where it must not be


class NotifyServer:
    """Attributes:
    got: the messages in the order of their arrival, each with its ``path``.
    released: ends the answers to ``/hangs``, which drip on forever: no time limit between two bytes ends them.
    """

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.released = threading.Event()
        self.port = 0

    def url(self, name: str = "takes") -> str:
        """URL that ``takes`` messages, ``fails`` with 500, ``hangs``, ``moves`` them elsewhere or ``floods`` with its answer.

        It has a secret in its path.
        """
        return f"json://127.0.0.1:{self.port}/{name}/{TOKEN}"

    def titles(self, name: str = "takes") -> list[str]:
        """Titles of the messages that arrived at that URL."""
        return [one["title"] for one in list(self.got) if one["path"].startswith(f"/{name}/")]


@contextmanager
def notify_server() -> Iterator[NotifyServer]:
    """A running server."""
    service = NotifyServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["content-length"])))
            service.got.append({**content, "path": self.path})
            if self.path.startswith("/hangs/"):
                with suppress(OSError):
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                    while not service.released.wait(0.2):
                        self.wfile.write(b"X-More: to come\r\n")
                return
            if self.path.startswith("/moves/"):
                self.send_response(301)
                self.send_header("location", f"http://127.0.0.1:{service.port}/other/")
                self.end_headers()
                return
            if self.path.startswith("/floods/"):
                with suppress(OSError):
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
                    while not service.released.is_set():
                        self.wfile.write(bytes(1 << 20))
                return
            self.send_response(500 if self.path.startswith("/fails/") else 200)
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None: ...

    with Server(("127.0.0.1", 0), Handler) as server:
        service.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield service
        finally:
            service.released.set()
            server.shutdown()
            thread.join()
