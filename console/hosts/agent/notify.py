"""Notifications on how runs ended, sent from the host itself to the services that its entry names: no console is needed.

Each end, and each loss, is told at most once: a mark in the job's folder is on the disk before anything is sent. Sending is
up to a process of its own, with the engine's environment and a time limit, so that no run, seal or slot waits for a service.
URLs of services hold secrets. They are in one file of the workspace that only its user can read, and nowhere else. Each operator
of a workspace has a list: a run is told to the services of who launched it last.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.hosts.agent import process
from console.hosts.agent.disk import FULL_ERRNOS
from console.hosts.agent.end_message import message_of
from console.hosts.agent.job_environment import job_environment
from console.hosts.agent.workspace import Workspace, read_json
from engine.contract.durable import sync_folder, write_durably
from engine.contract.file_lock import locked
from engine.contract.run_folder import SEALED, open_regular

if TYPE_CHECKING:
    from console.hosts.agent.launches import Launch

SEND_LIMIT_S = 20.0
START_LIMIT_S = 60.0  # to load apprise from a slow disk, beyond the time for sending
MAX_URLS, MAX_URL = 16, 4000
MAX_OPERATORS = 16
FULL = "not recorded yet: the host's disk is full"
MAX_LOG, KEPT_LOG = 128 << 10, 64 << 10  # bytes
MAX_LISTED = 100
MAX_REASON = 200  # characters
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30})://")
SENDERS: list[subprocess.Popen[bytes]] = []  # started by this process


def folder(workspace: Workspace) -> Path:
    """Folder of the URLs and the log."""
    return workspace.root / "notify"


def shown(url: str) -> str:
    """``url`` without anything that may be secret, which is all but its scheme: of many services the host is a token."""
    scheme = _SCHEME.match(url)
    return f"{scheme.group(1)}://..." if scheme else "..."


def keep_urls(workspace: Workspace, urls: object, operator: str = "") -> None:
    """Keep ``urls`` in place of those that ``operator`` had before; others keep theirs. Without any, the file is removed.

    Raises:
        OSError: the disk refuses.
        ValueError: they are no list of URLs; the error quotes nothing of them.
    """
    if not isinstance(urls, (list, tuple)) or len(urls) > MAX_URLS:
        raise ValueError(f"notify is no list of at most {MAX_URLS} URLs")
    if not all(isinstance(url, str) and len(url) <= MAX_URL for url in urls):
        raise ValueError(f"notify holds what is no URL of at most {MAX_URL} characters")
    path = _urls_file(workspace)
    if not urls and not path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(path.with_name("urls.lock")):
        others = {name: kept for name, kept in _all_urls(workspace).items() if name != operator}
        kept = dict([*others.items(), *([(operator, list(urls))] if urls else [])][-MAX_OPERATORS:])
        if not kept:
            with suppress(FileNotFoundError):
                path.unlink()
                sync_folder(path.parent)
            return
        content = json.dumps({"operators": kept}).encode()
        with suppress(OSError):
            if path.read_bytes() == content and path.lstat().st_mode & 0o7777 == 0o600:
                return
        write_durably(path, content, private=True)


def kept_urls(workspace: Workspace, operator: str = "") -> list[str]:
    """The URLs that are kept for ``operator``; none if there is no file that can be read."""
    return _all_urls(workspace).get(operator, [])


def is_wanted(workspace: Workspace) -> bool:
    """Whether anybody is to be told of anything."""
    return bool(_all_urls(workspace))


def _urls_file(workspace: Workspace) -> Path:
    return folder(workspace) / "urls.json"


def _all_urls(workspace: Workspace) -> dict[str, list[str]]:
    """URLs by operator, the last one to bring some at the end."""
    kept = (read_json(_urls_file(workspace)) or {}).get("operators")
    lists = kept.items() if isinstance(kept, dict) else ()
    found = {name: [url for url in urls if isinstance(url, str)] for name, urls in lists if isinstance(urls, list)}
    return {name: urls for name, urls in found.items() if urls}


def tell_end(launch: Launch) -> None:
    """Tell of the end of a sealed launch, unless that was told before, or a console requested it. Never raises."""
    with suppress(Exception):  # whatever it is, a run does not suffer from it
        state = launch.state()
        if state.get("state") in SEALED:
            _tell(launch, state, "end")


def tell_lost(launch: Launch, reason: str, what: str = "lost") -> None:
    """Tell that a launch is lost, or that its supervisor stands ``still``, unless that was told before. Never raises."""
    with suppress(Exception):
        _tell(launch, {"state": "lost", "reason": reason}, what)


def tell_full(launch: Launch, record: dict[str, Any]) -> None:
    """Tell of an end that cannot be recorded before there is room on the disk; once a supervisor. Never raises.

    Args:
        record: of the end, such as is to be in ``exit.json``.
    """
    with suppress(Exception):
        reason = "; ".join(part for part in (record["reason"], FULL) if part)
        _tell(launch, {**record, "reason": reason}, "full")


def _tell(launch: Launch, state: dict[str, Any], what: str) -> None:
    workspace, settings = launch.workspace, launch.spec.get("notify")
    if launch.run_folder is None or not isinstance(settings, dict):
        return
    operator = str(settings.get("operator", ""))
    if not kept_urls(workspace, operator):
        return
    message = message_of(launch, state)
    if message is None or not _mark(launch.folder / f"told-{what}"):
        return
    root, nothing = workspace.root, subprocess.DEVNULL
    sender = subprocess.Popen(
        [*process.PYTHON, str(process.stored_program(root)), "notify", str(root)],
        stdin=subprocess.PIPE,
        stdout=nothing,
        stderr=nothing,
        cwd=root,
        start_new_session=True,
    )
    SENDERS[:] = [*(one for one in SENDERS if one.poll() is None), sender]
    assert sender.stdin is not None
    with sender.stdin as pipe:  # less than a pipe holds: this does not wait
        about = {"folder": launch.run_folder.parent.name, "operator": operator}
        order = {"command": settings.get("command"), "message": message, **about}
        pipe.write(json.dumps(order).encode())


def _mark(path: Path) -> bool:
    """Make the mark ``path``; False if it was there."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return False
    except OSError as error:
        return error.errno in FULL_ERRNOS and path.name == "told-full"  # its caller tells once anyway
    sync_folder(path.parent)  # before anything is sent: a crash in between may cost the message, and never doubles it
    return True


def wait_for_senders(seconds: float) -> None:
    """Wait until what this process began to send is sent, at most so long."""
    deadline = time.monotonic() + seconds
    for sender in SENDERS:
        with suppress(subprocess.TimeoutExpired):
            sender.wait(max(0.0, deadline - time.monotonic()))


def main(root: str) -> None:
    """Send the message that comes on stdin to all URLs, and record in the log what came of it."""
    order, workspace = json.loads(sys.stdin.buffer.read()), Workspace(Path(root))
    urls, message = kept_urls(workspace, order["operator"]), order["message"]
    outcomes = outcomes_of(urls, send(order["command"], message, urls, root))
    _log(workspace, {"at": time.time(), "folder": order["folder"], "text": message["title"], "outcomes": outcomes})


def send(
    command: object, message: dict[str, str], urls: list[str], root: str, seconds: float = SEND_LIMIT_S
) -> list[str]:
    """Send a message by the engine's ``command``; why each URL did not get it, "" if it did. Never raises.

    Args:
        message: ``title``, ``body`` and ``kind``.
        root: folder to start it in.
    """
    if not isinstance(command, list) or not command:
        return ["the engine's command is not known"] * len(urls)
    content = json.dumps({**message, "urls": urls, "seconds": seconds}).encode()
    limit = seconds + START_LIMIT_S
    try:
        done = subprocess.run(
            [str(part) for part in command],
            input=content,
            capture_output=True,
            timeout=limit,
            check=False,
            cwd=root,
            env=job_environment({}),
        )
    except subprocess.TimeoutExpired:
        return [f"it took more than {limit:g} s"] * len(urls)
    except (OSError, ValueError) as error:
        return [f"the engine cannot be run: {getattr(error, 'strerror', None) or type(error).__name__}"] * len(urls)
    with suppress(ValueError, RecursionError):
        reasons = json.loads(done.stdout)
        if isinstance(reasons, list) and len(reasons) == len(urls) and all(isinstance(one, str) for one in reasons):
            return [one[:MAX_REASON] for one in reasons]
    return [_engine_error(done.stderr, done.returncode)] * len(urls)


def _engine_error(stderr: bytes, code: int) -> str:
    """The engine's own error in one line; of anything else it printed nothing, for that may quote a URL."""
    last = (stderr.decode("utf-8", "replace").strip().splitlines() or [""])[-1]
    prefix = "qllm-engine: error: "
    return last[len(prefix) :][:MAX_REASON] if last.startswith(prefix) else f"the engine ended with {code}"


def outcomes_of(urls: Sequence[str], reasons: Sequence[str]) -> list[dict[str, str]]:
    """Outcome of each URL: as much of it as can be shown, and why it was not sent."""
    return [{"url": shown(url), "error": reason} for url, reason in zip(urls, reasons)]  # noqa: B905 - Python 3.8


def keep(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """Keep the URLs of ``request`` for the runs of its ``operator`` that are told from now on."""
    keep_urls(workspace, request["urls"], str(request.get("operator", "")))
    return {}


def send_test(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """Send the message of ``request`` to each of its URLs, which are not kept; returns the ``outcomes``."""
    urls = request["urls"]
    message = {name: str(request[name]) for name in ("title", "body", "kind")}
    reasons = send(request["command"], message, urls, str(workspace.root))
    return {"outcomes": outcomes_of(urls, reasons)}


def log(workspace: Workspace, _request: dict[str, Any]) -> dict[str, Any]:
    """The last messages, newest last: ``at`` (Unix time), ``folder``, ``text`` and the ``outcomes``."""
    return {"messages": _read_log(workspace)[-MAX_LISTED:]}


def problem(workspace: Workspace) -> str:
    """Which services did not get the last message, and why; "" if all did."""
    for last in _read_log(workspace)[-1:]:
        failed = [f"{one['url']} ({one['error']})" for one in last["outcomes"] if one["error"]]
        return f"not sent to {', '.join(failed)}: {last['text']}" if failed else ""
    return ""


def _log(workspace: Workspace, message: dict[str, Any]) -> None:
    path = folder(workspace) / "log.jsonl"
    with locked(folder(workspace) / "log.lock"):
        content = b""
        with suppress(FileNotFoundError):
            content = path.read_bytes()
        if len(content) > MAX_LOG:
            content = content[-KEPT_LOG:].partition(b"\n")[2]
        write_durably(path, content + json.dumps(message).encode() + b"\n", private=True)


def _read_log(workspace: Workspace) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    try:
        with open_regular(folder(workspace) / "log.jsonl") as file:
            lines = file.read(2 * MAX_LOG).splitlines()
    except OSError:
        return []
    for line in lines:
        with suppress(ValueError, RecursionError, KeyError, TypeError):
            one = json.loads(line)
            outcomes = [
                {name: str(outcome[name])[:MAX_REASON] for name in ("url", "error")} for outcome in one["outcomes"]
            ]
            texts = {name: str(one[name])[:MAX_REASON] for name in ("folder", "text")}
            messages.append({"at": float(one["at"]), **texts, "outcomes": outcomes})
    return messages
