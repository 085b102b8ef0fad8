"""``qllm-console serve``: the console in a browser, read-only and on the loopback unless told otherwise."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import sys
from argparse import Namespace
from contextlib import redirect_stdout

from console import exit_codes
from console.commands.answers import ServedAnswer, print_json
from console.commands.context import Context
from console.commands.output import print_line, report
from engine.contract.bad_input import BadInput
from engine.contract.import_path import isolated_python

SERVED_DRIVER = "console.ui.served_driver:ServedDriver"
"""Value of ``TEXTUAL_DRIVER`` in a console that a page shows."""


def serve(context: Context) -> int:
    """Serve until interrupted. Whoever has the printed address sees the console, and with ``--read-write`` operates it.

    Raises:
        BadInput: the address is not allowed or cannot be used, or what serves it is not installed.
    """
    options = context.options
    try:
        from console.commands.web_server import run_server
    except ModuleNotFoundError as error:
        raise BadInput(
            f"serving needs {error.name}, which is not installed: pip install 'qllm-console[serve]'", field="serve"
        ) from error
    listening = _listen(options)
    token = secrets.token_urlsafe(24)
    host, port = listening.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/{token}/"
    if options.json:
        print_json("served", "serve", ServedAnswer(url, not options.read_write))
    else:
        print_line(url)
    report("read-write: the page launches and aborts runs" if options.read_write else "read-only; Ctrl+C ends it")
    title = f"qllm-console: {context.experiment.name}, {context.profile}"
    with redirect_stdout(sys.stderr):  # textual-serve prints there what a console wrote before it failed
        run_server(console_command(options), SERVED_DRIVER, listening, token, title)
    return exit_codes.DONE


def console_command(options: Namespace) -> list[str]:
    """Arguments of the console that each page runs, with the options of this command line."""
    named = {"--experiment": options.experiment, "--hosts": options.hosts}
    named |= {"--host": options.host, "--profile": options.profile, "--runs": options.runs}
    values = [f"{name}={value}" for name, value in named.items() if value is not None]
    return [*isolated_python(), "-m", "console.cli", *values, *(() if options.read_write else ("--read-only",))]


def _listen(options: Namespace) -> socket.socket:
    """Open the server's TCP socket on ``--address`` and ``--port``.

    Raises:
        BadInput: it is not on the loopback and that was not allowed, or cannot be used.
    """
    if options.read_write and options.read_only:
        raise BadInput("cannot be given together with --read-only", field="--read-write")
    try:
        address = ipaddress.ip_address(options.address)
    except ValueError:
        raise BadInput(f"{options.address!r} is not an IP address", field="--address") from None
    if not address.is_loopback and not options.allow_remote:
        raise BadInput(
            f"{address} can be reached from other machines, over a connection that is not encrypted; "
            "--allow-remote allows it, a tunnel (ssh -L) does without",
            field="--address",
        )
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        return socket.create_server((str(address), options.port), family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"cannot listen on {address} port {options.port}: {reason}", field="--port") from error
