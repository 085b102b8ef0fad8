"""The host's end of a transfer: what it sends and acknowledges, and receipts, of which the newest are kept."""

from __future__ import annotations

import hashlib
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.hosts.agent import process
from console.hosts.agent.frames import (
    COMPLETE,
    DATA,
    MESSAGE,
    FrameDecoder,
    decode_message,
    encode_frame,
    encode_message,
    file_end,
    file_head,
)
from console.hosts.agent.transfer import RECEIPTS, Transfer, keep_receipt


def test_a_receipt_that_another_console_deletes_first_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink

    def after_another_console(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok=True)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", after_another_console)
    kept = [keep_receipt(tmp_path, b"{}") for _ in range(RECEIPTS + 2)]
    assert sorted((tmp_path / "receipts").iterdir()) == kept[2:]


class Served:
    """A transfer of the workspace ``root`` in a thread, and the console's end of its channel."""

    def __init__(self, root: Path) -> None:
        self._frames = FrameDecoder()
        requests, self._requests = os.pipe()
        self._replies, replies = os.pipe()
        self.sent = 0
        transfer = Transfer(root, requests, replies)
        self._thread = threading.Thread(target=transfer.serve, daemon=True)
        self._thread.start()

    def request(self, **message: object) -> None:
        os.write(self._requests, encode_message(message))

    def write(self, content: bytes) -> None:
        os.write(self._requests, content)

    def replies(self, count: int, sent: int = 0) -> list[dict[str, object]]:
        """``count`` messages, once ``sent`` bytes are there too, and what else arrives in the time that follows at once."""
        found: list[dict[str, object]] = []
        while self._arrives(0.3 if len(found) >= count and self.sent >= sent else 60.0):
            chunk = os.read(self._replies, 1 << 20)
            self.sent += len(chunk)
            found += [decode_message(frame.payload) for frame in self._frames.feed(chunk) if frame.kind == MESSAGE]
        return found

    def _arrives(self, seconds: float) -> bool:
        return bool(select.select([self._replies], [], [], seconds)[0])

    def close(self) -> None:
        os.close(self._requests)
        self._thread.join()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(sys, "argv", [__file__])  # it greets with the hash of the file that it runs from
    served = Served(tmp_path)
    served.replies(1)
    served.sent = 0
    yield served
    served.close()


def test_no_more_of_a_reply_is_sent_than_the_console_permits(served: Served, tmp_path: Path) -> None:
    content = os.urandom(300_000)
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "file").write_bytes(content)
    served.request(op="send", root="project", files=[["file", len(content)]], window=1000)
    assert not served.replies(0, sent=1000) and served.sent == 1000
    served.request(op="grant", bytes=500)
    served.request(op="grant", bytes=1)
    assert not served.replies(0, sent=1501) and served.sent == 1501
    served.request(op="grant", bytes=1 << 20)
    assert served.replies(1) == [{}] and served.sent > len(content)


def test_a_grant_for_a_reply_that_needed_no_more_is_no_request(served: Served) -> None:
    index = {"op": "index", "root": "none", "window": 1 << 20}
    served.request(**index)
    first = served.replies(1)
    served.request(op="grant", bytes=5)
    served.request(**index)
    assert [reply["exists"] for reply in (*first, *served.replies(1))] == [False, False]


def test_what_arrives_of_a_batch_is_acknowledged(served: Served, tmp_path: Path) -> None:
    content = b"x" * 1000
    entry = ["file", len(content), hashlib.sha256(content).hexdigest(), False]
    frames = file_head(0, 0) + encode_frame(DATA, content) + file_end(COMPLETE)
    served.request(op="receive", root="project", files=[entry])
    served.write(frames[:700])
    assert served.replies(1)[-1] == {"received": 700}
    served.write(frames[700:])
    assert served.replies(1)[-1] == {"received": len(frames)}
    served.request(op="end")
    assert served.replies(1)[-1] == {"failures": {}, "bytes": 1000, "removed": 0}
    assert (tmp_path / "project" / "file").read_bytes() == content


def test_a_process_that_was_given_up_is_killed_though_it_stands_still(served: Served) -> None:
    child = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL)  # noqa: S607
    child.send_signal(signal.SIGSTOP)
    served.request(op="kill", process=process.identity(child.pid), window=1 << 20)
    assert served.replies(1) == [{}]
    assert child.wait() == -signal.SIGKILL
