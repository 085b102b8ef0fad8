"""The follower: however the bytes are cut, the runs come out the same; what is broken is counted and passed over."""

from __future__ import annotations

import asyncio
import base64
import errno
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hosts.pull import follower as follower_module
from console.hosts.pull.follower import RunFollower
from console.hosts.pull.local_copy import GrowingFile, RunsFolder, run_to_end
from console.hosts.ssh.errors import LinkDown
from console.runs.event_index import MAX_EVENT_LINE
from engine.contract import events
from engine.contract.settings import RunId
from tests.conftest import Fault
from tests.console.fed_log import texts
from tests.console.hosts.agent import odd_files
from tests.console.hosts.agent.odd_files import NOT_FILES
from tests.measurements import measurement

RUN = RunId("A", 42)
KEY = "0" * 32
BODIES: list[events.Body] = [
    events.Stage("train"),
    *(events.Step(step, 20, 1, 1.0 / step, 1e-3, {"tier1_easy": 8}) for step in range(1, 21)),
    measurement(),
    events.End(),
]


def event(body: events.Body, *, seq: int = 0, t: float = 0.0) -> bytes:
    """A line of a stream, whatever it says."""
    return events.encode(events.Event(seq, t, body))


STREAM = b"".join(
    events.encode(events.Event(number, 100.0 + number, body)) + b"\n" for number, body in enumerate(BODIES)
)


def reply(*chunks: tuple[str, int, bytes], state: str = "running", key: str = KEY) -> dict[str, Any]:
    """A poll's reply after which nothing is left on the host."""
    encoded = [[str(RUN), key, file, offset, base64.b64encode(content).decode()] for file, offset, content in chunks]
    sizes = [[str(RUN), key, file, offset + len(content)] for file, offset, content in chunks]
    return {
        "states": {str(RUN): {"state": state, "key": key}},
        "digest": "d",
        "chunks": encoded,
        "sizes": sizes,
        "sealed": {},
    }


async def opened(path: Path) -> RunFollower:
    """A follower that writes the runs folder ``path``."""
    folder = RunsFolder(path)
    folder.try_lock()
    follower = RunFollower(folder, (RUN,))
    await follower.load(lambda: None)
    return follower


def followed(*replies: dict[str, Any]) -> RunFollower:
    async def follow(path: Path) -> RunFollower:
        follower = await opened(path)
        for one in replies:
            await follower.absorb(one)
        follower.logs[RUN].catch_up()
        return follower

    with tempfile.TemporaryDirectory() as path:
        return asyncio.run(follow(Path(path)))


WHOLE = followed(reply(("events", 0, STREAM))).views[RUN]


def test_a_whole_stream_becomes_a_view() -> None:
    assert len(WHOLE.losses) == 20 and WHOLE.total_steps == 20 and WHOLE.evaluated
    assert WHOLE.rejected == 0


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_cut_of_the_stream_gives_the_same_view(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [(start, STREAM[start:end]) for start, end in pairwise(edges)]
    assert followed(*(reply(("events", start, piece)) for start, piece in pieces)).views[RUN] == WHOLE


def test_repeated_replies_change_nothing() -> None:
    assert followed(*[reply(("events", 0, STREAM))] * 3).views[RUN] == WHOLE


@pytest.mark.fault(
    "broken events: deep JSON, NaN, 1e400, wrong types, numbers beyond all measure",
    "rejected, counted, the stream goes on",
)
@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"null",
        b"[" * 100_000,
        b'{"seq": "x", "t": 0, "body": {"type": "end"}}',
        b'{"seq": 0, "t": NaN, "body": {"type": "end"}}',
        b'{"seq": 0, "t": 0, "body": {"type": "unheard of"}}',
        b'{"seq": 0, "t": 0, "body": {"type": "progress", "done": 1e400, "total": 1, "unit": ""}}',
        event(events.Progress(2**53 + 1, 1, "texts")),
        event(events.Progress(-1, 1, "texts")),
        event(events.Step(1, 1, 1, 1e39, 1e-3, {})),
        event(events.Step(1, 1, 1, 1.0, 1e-3, {"tier1_easy": -8})),
        event(measurement(top1=1.5)),
        event(measurement(margin=1e300)),
        event(measurement(10**18)),
        event(measurement(7)).replace(b"7", b"7" * 400),
        event(measurement(7)).replace(b"7", b"7" * 5000),
        event(events.Evaluation(0.5, 0.7, -0.8, 0.4, 0.6, 0.75)),
        event(events.End(), seq=2**60),
        event(events.End(), t=1e300),
        b"\xff\xfe",
    ],
)
def test_a_line_that_is_no_event_is_counted_and_the_next_ones_are_read(line: bytes) -> None:
    view = followed(reply(("events", 0, line + b"\n" + STREAM))).views[RUN]
    assert view.rejected == 1 and view.losses == WHOLE.losses


@pytest.mark.fault("an event line of 50 MB", "rejected, counted, the stream goes on")
async def test_a_line_without_end_costs_no_memory_and_is_passed_over(tmp_path: Path, fault: Fault) -> None:
    follower = await opened(tmp_path)
    size = fault.size(4 * MAX_EVENT_LINE, 50_000_000)
    at, piece = 0, b"x" * (1 << 18)
    while at <= size:
        await follower.absorb(reply(("events", at, piece)))
        at += len(piece)
    await follower.absorb(reply(("events", at, b"\n" + STREAM)))
    view = follower.views[RUN]
    assert view.rejected == 1 and view.losses == WHOLE.losses


def test_another_launch_starts_from_a_clean_view() -> None:
    other = "1" * 32
    follower = followed(reply(("events", 0, STREAM), ("log", 0, b"old\n")), reply(state="queued", key=other))
    assert not follower.views[RUN].losses and not follower.logs[RUN].total
    files = follower.request(0.0)["files"]
    assert [(key, file, size) for _, key, file, size, _ in files] == [(other, "events", 0), (other, "log", 0)]


def test_a_run_that_starts_over_in_its_place_is_followed_from_its_new_beginning() -> None:
    again = b"".join(STREAM.splitlines(keepends=True)[:4])
    view = followed(reply(("events", 0, STREAM)), reply(("events", 0, again))).views[RUN]
    assert list(view.losses.points()[0]) == [1, 2, 3] and not view.evaluated


def test_hostile_text_of_the_host_is_made_safe() -> None:
    hostile = reply()
    hostile["states"][str(RUN)]["reason"] = "no\x1b[31m \u202edisk"
    follower = followed(hostile)
    assert follower.views[RUN].state.reason == "no disk"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"states": 3},
        {**reply(), "chunks": [["A_seed42"]]},
        {**reply(), "sealed": []},
    ],
)
def test_a_reply_of_another_shape_takes_the_link_down(broken: dict[str, Any]) -> None:
    with pytest.raises(LinkDown, match="cannot be understood"):
        followed(broken)


async def test_the_last_line_of_an_ended_run_is_shown_without_a_newline_once_its_whole_log_is_local(
    tmp_path: Path,
) -> None:
    follower = await opened(tmp_path)
    more = reply(("log", 0, b"one\nKil"), ("events", 0, b""), state="failed")
    more["sizes"][0][3] += 3
    await follower.absorb(more)
    assert texts(follower.logs[RUN]) == ["one"], "more of it is on the host"
    assert await follower.absorb(reply(("log", 7, b"led"), state="failed"))
    assert texts(follower.logs[RUN]) == ["one", "Killed"]
    assert not await follower.absorb(reply(state="failed"))


async def test_work_on_files_is_waited_for_however_often_the_caller_is_cancelled() -> None:
    may_end, ended = asyncio.Event(), []

    async def work() -> None:
        await may_end.wait()
        ended.append(True)

    caller = asyncio.create_task(run_to_end(work()))
    for _ in range(3):
        await asyncio.sleep(0)
        caller.cancel()
    assert not caller.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended


async def test_the_copy_of_a_new_launch_stays_when_those_of_the_synced_one_are_removed(tmp_path: Path) -> None:
    follower, newer = await opened(tmp_path), "1" * 32
    await follower.absorb(reply(("log", 0, b"old\n")))
    await follower.absorb(reply(("log", 0, b"new\n"), key=newer))
    await follower.remove_copies(RUN, KEY)  # the run was launched again while its capsule was pulled
    assert (tmp_path / ".live" / str(RUN) / newer / "log.txt").read_bytes() == b"new\n"
    await follower.remove_copies(RUN, newer)
    assert not (tmp_path / ".live").exists() and (tmp_path / ".previous" / f"{RUN}-{KEY}").is_dir()


async def test_after_a_full_disk_the_copies_are_compared_with_the_hosts_files_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the disk is full nothing is requested of the files, and one may have been replaced by a longer one."""
    monkeypatch.setattr(follower_module, "RETRY_S", 0.0)
    follower = await opened(tmp_path)
    await follower.absorb(reply(("events", 0, STREAM), ("log", 0, b"line\n")))
    assert [prefix for *_, prefix in follower.request(0.0)["files"]] == ["", ""]
    with monkeypatch.context() as patched:

        def refuse(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))

        patched.setattr(GrowingFile, "append", refuse)
        await follower.absorb(reply(("log", 5, b"more\n")))
    assert "is full" in follower.disk_error
    assert all(prefix for *_, prefix in follower.request(0.0)["files"])


async def test_a_failing_disk_is_named_though_the_error_names_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    follower = await opened(tmp_path)
    monkeypatch.setattr(GrowingFile, "append", fail)
    await follower.absorb(reply(("log", 0, b"line\n")))
    assert follower.disk_error == f"{tmp_path}: Input/output error"


OTHER = RunId("B", 42)


async def follower_of_two(path: Path) -> RunFollower:
    """A follower of two runs that writes the runs folder ``path``."""
    folder = RunsFolder(path)
    folder.try_lock()
    follower = RunFollower(folder, (RUN, OTHER))
    await follower.load(lambda: None)
    return follower


def with_other(answer: dict[str, Any], content: bytes = b"line\n", offset: int = 0) -> dict[str, Any]:
    """``answer`` with a log of the other run."""
    chunk = [str(OTHER), KEY, "log", offset, base64.b64encode(content).decode()]
    return {
        **answer,
        "states": {**answer["states"], str(OTHER): {"state": "running", "key": KEY}},
        "chunks": [*answer["chunks"], chunk],
        "sizes": [*answer["sizes"], [str(OTHER), KEY, "log", offset + len(content)], [str(OTHER), KEY, "events", 0]],
    }


@pytest.mark.fault(
    "a state in a reply that is none: null, an unknown key, another type",
    "its run alone is lost, with the reason; the other runs are followed on",
)
@pytest.mark.parametrize(
    "state",
    [
        {},
        None,
        7,
        {"state": "?", "key": KEY},
        {"state": "running", "key": None},
        {"state": "running", "key": ""},
        {"state": "running", "key": "../" * 10 + "x"},
        {"state": "running", "key": KEY, "heartbeat": "x"},
        {"state": "running", "key": KEY, "supervisor": 7},
    ],
)
async def test_a_state_that_is_none_costs_its_own_run_alone(tmp_path: Path, state: Any) -> None:
    follower = await follower_of_two(tmp_path)
    broken = with_other(reply())
    broken["states"][str(RUN)] = state
    await follower.absorb(broken)
    lost = follower.views[RUN].state
    assert lost is not None and (lost.state, lost.key) == ("lost", "")
    assert "cannot be understood" in lost.reason
    assert texts(follower.logs[OTHER]) == ["line"]
    assert follower.caught_up


async def test_a_run_whose_state_the_host_cannot_read_keeps_what_is_local_and_goes_on_later(tmp_path: Path) -> None:
    follower = await opened(tmp_path)
    await follower.absorb(reply(("events", 0, STREAM), ("log", 0, b"line\n")))
    unreadable = {"state": "lost", "key": "", "reason": "state.json is empty"}
    await follower.absorb({**reply(), "states": {str(RUN): unreadable}})
    view = follower.views[RUN]
    assert (view.state_name, len(view.losses), texts(follower.logs[RUN])) == ("lost", 20, ["line"])
    assert not follower.request(0.0)["files"], "whose bytes these are is not known"
    await follower.absorb(reply(("log", 5, b"more\n")))
    assert (follower.views[RUN].state_name, len(follower.views[RUN].losses)) == ("running", 20)
    assert texts(follower.logs[RUN]) == ["line", "more"]


async def test_a_reply_without_states_leaves_them_as_they_are(tmp_path: Path) -> None:
    follower = await opened(tmp_path)
    await follower.absorb({**reply(), "unnamed": 3, "disk_free": 17})
    bytes_alone = {
        name: value for name, value in reply(("log", 0, b"line\n")).items() if name not in ("states", "sealed")
    }
    await follower.absorb({**bytes_alone, "disk_free": None})
    assert follower.views[RUN].state_name == "running" and texts(follower.logs[RUN]) == ["line"]
    assert (follower.unnamed, follower.disk_free) == (3, None)


async def test_a_file_that_the_host_cannot_read_is_not_waited_for(tmp_path: Path) -> None:
    follower = await opened(tmp_path)
    await follower.absorb(reply(("events", 0, STREAM[:100]), ("log", 0, b"line\n")))
    unreadable = {**reply(), "sizes": [[str(RUN), KEY, "events", -1]]}
    await follower.absorb(unreadable)
    assert follower.caught_up and follower.has_all_events(RUN, KEY)
    assert (tmp_path / ".live" / str(RUN) / KEY / "events.jsonl").read_bytes() == STREAM[:100]
    longer = reply(("events", 100, STREAM[100:200]))
    longer["sizes"][0][3] = len(STREAM)
    await follower.absorb(longer)
    assert not follower.caught_up, "it can be read again"


@pytest.mark.fault(
    "a local file of a run: a folder, a FIFO, a symlink",
    "that run alone is not followed, and the file is named; nothing hangs",
)
@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", ["events.jsonl", "log.txt", "state.json"])
@pytest.mark.parametrize("odd", NOT_FILES)
async def test_an_odd_local_file_costs_its_own_run_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: str, name: str
) -> None:
    monkeypatch.setattr(follower_module, "RETRY_S", 0.0)
    path = tmp_path / ".live" / str(RUN) / KEY / name
    path.parent.mkdir(parents=True)
    NOT_FILES[odd](path)
    follower = await follower_of_two(tmp_path)
    await follower.absorb(with_other(reply(("events", 0, b""), ("log", 0, b"line\n"))))
    assert texts(follower.logs[OTHER]) == ["line"] and not follower.disk_error
    if name == "state.json" and odd != "a folder":
        assert not follower.file_errors, "it was replaced"
    else:
        assert set(follower.file_errors) == {RUN} and str(path) in follower.file_errors[RUN]
    assert follower.caught_up, "a command does not wait for what cannot be had"
    odd_files.replace(path, lambda path: None)
    await follower.absorb(reply(("log", 0, b"line\n")))
    await follower.absorb(reply(("log", 5, b"more\n")))
    assert texts(follower.logs[RUN]) == ["line", "more"] and not follower.file_errors


@pytest.mark.timeout(30)
@pytest.mark.parametrize("odd", NOT_FILES)
async def test_a_local_file_that_becomes_odd_is_named_and_its_run_pauses(tmp_path: Path, odd: str) -> None:
    follower = await follower_of_two(tmp_path)
    await follower.absorb(with_other(reply(("log", 0, b"line\n"))))
    odd_files.replace(tmp_path / ".live" / str(RUN) / KEY / "log.txt", NOT_FILES[odd])
    await follower.absorb(with_other(reply(("log", 5, b"more\n")), b"more\n", 5))
    assert texts(follower.logs[OTHER]) == ["line", "more"]
    assert set(follower.file_errors) == {RUN} and "log.txt" in follower.file_errors[RUN]
    assert {run for run, *_ in follower.request(0.0)["files"]} == {str(OTHER)}
