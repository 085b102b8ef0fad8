"""Frames: however the stream is cut, the same comes out; what is no frame is noticed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hosts.agent.frames import (
    DATA,
    END,
    FILE,
    MESSAGE,
    BadFrame,
    FrameDecoder,
    decode_message,
    encode_frame,
    encode_message,
)
from console.hosts.agent.safe_dir import SafeDir
from console.hosts.agent.send import OutgoingFile, send_files
from tests.console.hosts.folder_pair import write

Seen = list[tuple[int, bytes]]


def seen(pieces: list[bytes]) -> Seen:
    """What comes out, with a file's data joined."""
    frames, found = FrameDecoder(), Seen()
    for piece in pieces:
        for kind, payload in frames.feed(piece):
            if kind == DATA and found and found[-1][0] == DATA:
                found[-1] = (DATA, found[-1][1] + bytes(payload))
            else:
                found.append((kind, bytes(payload)))
    return found


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    files = {"a": b"", "b": b"x" * 1000, "c": os.urandom(300_000), "d": b"end"}
    with SafeDir(write(tmp_path_factory.mktemp("stream"), files)) as root:
        return (
            encode_message({"op": "x"})
            + b"".join(send_files(root, [OutgoingFile(name, None) for name in files]))
            + encode_message({})
        )


@given(st.data())
def test_any_cut_of_a_stream_gives_the_same_frames(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert seen(pieces) == seen([stream])


def test_one_byte_at_a_time_gives_the_same_frames(stream: bytes) -> None:
    start = stream[:3000]
    assert seen([start[at : at + 1] for at in range(len(start))]) == seen([start])


@pytest.mark.parametrize(
    "content",
    [
        b"\x09\0\0\0\1x",
        b"\x01\xff\xff\xff\xff",
        b"\x02\0\0\0\5xxxxx",
        b"\x04\0\0\0\2xx",
        b"\x03\xff\0\0\0",
        b"GET / HTTP/1.1",
    ],
)
def test_bytes_that_are_no_frame_are_refused(content: bytes) -> None:
    with pytest.raises(BadFrame):
        list(FrameDecoder().feed(content))


@pytest.mark.parametrize("payload", [b"", b"not zlib", encode_frame(MESSAGE, b"")])
def test_a_message_that_cannot_be_read_is_refused(payload: bytes) -> None:
    with pytest.raises(BadFrame):
        decode_message(payload)


def test_an_encoded_message_decodes_to_itself() -> None:
    ((kind, payload),) = FrameDecoder().feed(encode_message({"a": [1, "é", None]}))
    assert kind == MESSAGE and decode_message(payload) == {"a": [1, "é", None]}


def test_a_file_that_shrinks_while_it_is_sent_ends_as_changed(tmp_path: Path) -> None:
    path = tmp_path / "shrinks"
    path.write_bytes(os.urandom(3_000_000))
    with SafeDir(tmp_path) as root:
        pieces = send_files(root, [OutgoingFile("shrinks", 3_000_000)])
        first = [next(pieces), next(pieces)]
        os.truncate(path, 500_000)
        found = seen([*first, *pieces])
    assert [kind for kind, _ in found] == [FILE, DATA, END] and found[-1][1] != b"\0"


def test_a_file_rewritten_with_as_many_bytes_while_it_is_sent_ends_as_changed(tmp_path: Path) -> None:
    path = tmp_path / "rewritten"
    path.write_bytes(bytes(3_000_000))
    with SafeDir(tmp_path) as root:
        pieces = send_files(root, [OutgoingFile("rewritten", 3_000_000)])
        first = [next(pieces), next(pieces)]
        path.write_bytes(b"\1" * 3_000_000)
        assert seen([*first, *pieces])[-1] != (END, b"\0")
