"""``qllm-engine notify``: sends one message to notification services by apprise; what to send where comes from stdin.

URLs of services hold secrets: they are in no argument and in nothing that is printed.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import resource
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.contract.bad_input import BadInput

if TYPE_CHECKING:
    from types import ModuleType

DONE, NOT_SENT = 0, 1
MAX_INPUT = 1 << 20
MAX_MEMORY = 512 << 20  # bytes
KINDS = ("info", "success", "warning", "failure")
_STATUS = re.compile(r"error=(\d{3})\b")
SENT = ""


def add_notify(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command ``notify`` to the parser."""
    notify = commands.add_parser(
        "notify",
        help="send a message to notification services",
        description="Reads one JSON object from stdin: title, body, kind (info, success, warning or failure), urls as apprise "
        "takes them, seconds (time limit). "
        "Prints one JSON list: for each URL, in order, why nothing was sent; empty: it was.",
    )
    notify.set_defaults(command=_notify)


def _notify(_: argparse.Namespace) -> int:
    """Send the message and print the outcomes; exit code 1 unless every URL got it."""
    limit_memory()
    message = _read_message()
    try:
        import apprise
    except ImportError:
        raise BadInput("apprise is not installed here: pip install 'qllm-console[notify]'") from None
    outcomes = send_all(apprise, message)
    print(json.dumps(outcomes), flush=True)
    return DONE if all(outcome == SENT for outcome in outcomes) else NOT_SENT


class Message(NamedTuple):
    """What to send, of which apprise's ``kind``, to which ``urls``, within how many ``seconds``."""

    title: str
    body: str
    kind: str
    urls: list[str]
    seconds: float


def _read_message() -> Message:
    """The message on stdin; an error quotes nothing of it."""
    try:
        content = json.loads(sys.stdin.buffer.read(MAX_INPUT))
        urls = [url for url in content["urls"] if isinstance(url, str)]
        kind = content["kind"] if content["kind"] in KINDS else "info"
        return Message(str(content["title"]), str(content["body"]), kind, urls, float(content["seconds"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadInput("expected an object with title, body, kind, urls and seconds on stdin") from None


def limit_memory() -> None:
    """Limit the memory of this process: a service's answer is read whole, and its size must not cost the runs beside it."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY if most < 0 else min(MAX_MEMORY, most), most))


def send_all(apprise: ModuleType, message: Message) -> list[str]:
    """Send to all URLs at once, once each; why each of them was not sent, "" if it was, when the time is over at latest.

    A service that does not answer delays no other; its thread is left behind, and ends with this process.
    """
    warnings = _Warnings()
    logging.getLogger("apprise").addFilter(warnings.keep)
    # a redirected POST becomes a GET without its message, which the other address answers all the same
    asset = apprise.AppriseAsset()
    asset.http_redirects = False
    # before the time counts: the first one loads the code of all services
    services = [apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True) for url in message.urls]
    outcomes = [f"no answer within {message.seconds:g} s"] * len(services)

    def send(index: int) -> None:
        outcomes[index] = _send(services[index], message, warnings)

    threads = [threading.Thread(target=send, args=(index,), daemon=True) for index in range(len(services))]
    deadline = time.monotonic() + message.seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return list(outcomes)


def _send(service: Any, message: Message, warnings: _Warnings) -> str:
    """Send to one service of apprise, None for a URL that it does not know; why it was not sent, "" if it was."""
    if service is None:
        return "apprise does not know such a URL, or it lacks a part"
    try:
        # as text: names and reasons are no markup
        if service.notify(message.body, title=message.title, notify_type=message.kind, body_format="text"):
            return SENT
    except Exception as error:  # noqa: BLE001 - of any service's code; its text may quote the URL, its type does not
        return f"{type(error).__name__} in apprise"
    text = warnings.of_this_thread()
    if status := _STATUS.search(text):
        return f"the service answered {status.group(1)}"
    return "no connection to the service, or no answer" if "onnection error" in text else "the service did not take it"


class _Warnings:
    """Keeps what apprise warns of, by thread: the only place where it says why something was not sent."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}

    def keep(self, record: logging.LogRecord) -> bool:
        """Keep a warning, and have nothing printed: it may name parts of a URL."""
        self._texts[record.thread or 0] = record.getMessage()
        return False

    def of_this_thread(self) -> str:
        """The last warning of the calling thread."""
        return self._texts.get(threading.get_ident(), "")
