"""``watch --until synced`` and ``when_done``: the operator's command runs once all is done, and never before."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
import threading
from argparse import Namespace
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace

from console import cli
from console.commands.context import Context
from console.commands.run import run
from console.commands.watch import watch
from console.commands.when_done import run_when_done
from console.hosts import when_done
from console.hosts.when_done import undone
from console.runs.snapshot import Link, SyncState
from engine.contract.bad_input import BadInput
from tests.console.commands.quick_engine import FOLDER, command, run_folders, use_job
from tests.console.commands.scripted import A42, A123, scripted_context, shown
from tests.console.tiny import PROFILE, write_experiment
from tests.console.waiting import until

RUNS = ("A_seed42", "A_seed123", "B_seed42", "B_seed123")
SYNCED = SyncState("synced", key="k")


@pytest.mark.parametrize(
    ("state", "link", "sync", "expected"),
    [
        ("finished", "up", SYNCED, ""),
        ("failed", "up", SYNCED, ""),
        ("aborted", "up", SYNCED, ""),
        ("finished", "lost", SYNCED, "the host is not reached (lost)"),
        ("finished", "connecting", SYNCED, "the host is not reached (connecting)"),
        ("queued", "up", SYNCED, "A/42 is queued"),
        ("running", "up", SYNCED, "A/42 is running"),
        ("lost", "up", SYNCED, "A/42 is lost"),
        (None, "up", SYNCED, "A/42 was not launched"),
        ("finished", "up", SyncState("synced", key="older"), "A/42 is synced"),
        ("finished", "up", SyncState("pulling"), "A/42 is pulling"),
        ("finished", "up", SyncState("damaged", note="log.txt: gone"), "A/42 is damaged (log.txt: gone)"),
        (
            "finished",
            "up",
            SyncState(note="ended, not sealed: no room"),
            "ended, not sealed (ended, not sealed: no room)",
        ),
    ],
)
@pytest.mark.fault("a byte is missing when all runs have ended: each way in which one can be", "when_done does not run")
def test_a_run_is_done_when_its_last_launch_has_ended_and_is_local(
    state: str | None, link: str, sync: SyncState, expected: str
) -> None:
    snapshot = shown({} if state is None else {A42: state}, cast(Link, link))
    found = undone(replace(snapshot, sync_states=snapshot.sync_states | {A42: sync}), (A42,))
    assert found == () if not expected else expected in found[0]


def touching(marker: Path) -> list[str]:
    return [sys.executable, "-c", "import pathlib, sys; pathlib.Path(sys.argv[1]).touch()", str(marker)]


def watching(folder: Path, *more: str) -> Context:
    typed = ["watch", "--until", "synced", "--progress", "text", "--timeout", "300", *more]
    options = cli.parser().parse_args(typed, Namespace(**cli.DEFAULTS))
    options.experiment, options.profile, options.runs = write_experiment(folder), PROFILE, folder / "runs"
    return Context(options)


@pytest.mark.server
@pytest.mark.fault("the last byte of the runs comes late", "when_done runs after it, once")
def test_the_command_waits_for_the_last_byte_and_runs_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A job goes on until a file lets it end; then a local byte is wrong; then another experiment's run is not local."""
    monkeypatch.setattr(when_done, "CHECK_EVERY_S", 0.1)
    use_job(monkeypatch, "import time\nopen('began', 'w').close()\nwhile not os.path.exists('end'): time.sleep(0.02)")
    assert command("run", tmp_path, "--detach")() == 0
    marker = tmp_path / "stopped"
    context = watching(tmp_path, "--", *touching(marker))
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(watch(context)))
    thread.start()
    told = ""

    def says(text: str) -> bool:
        nonlocal told
        told += "".join(capfd.readouterr())
        return text in told

    try:
        until(lambda: says("is running"))
        other = run_folders(tmp_path).parent / "another" / "B_seed7"
        other.mkdir(parents=True)
        for began in [run_folders(tmp_path) / name / "began" for name in RUNS]:
            until(began.exists)
            began.with_name("end").touch()
        until(lambda: says("not done yet: another/B_seed7: is lost"))
        local = tmp_path / "runs" / FOLDER / "A_seed42" / "began"
        local.write_text("x")
        shutil.rmtree(other)
        until(lambda: says(": began: it has 1 bytes instead of 0"))
        assert not marker.exists() and thread.is_alive()
        local.write_text("")
        thread.join(120)
    finally:
        for folder in run_folders(tmp_path).glob("?_seed*"):
            (folder / "end").touch()
    assert codes == [0] and marker.exists()
    assert says("every byte is local and verified") and len(re.findall("ended with 0", told)) == 1


@pytest.mark.server
@pytest.mark.fault("other runs are left on the host when all is done", "when_done does not run, and they are named")
def test_run_runs_the_command_of_the_host_only_if_nothing_else_is_left_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_job(monkeypatch, "")
    marker = tmp_path / "stopped"
    options = cli.parser().parse_args(["run", "--seed", "42"], Namespace(**cli.DEFAULTS))
    options.experiment, options.profile, options.runs = write_experiment(tmp_path), PROFILE, tmp_path / "runs"
    context = Context(options)
    context.host = replace(context.host, when_done=tuple(touching(marker)))
    other = run_folders(tmp_path).parent / "another" / "B_seed7"
    other.mkdir(parents=True)
    assert run(context) == 1 and not marker.exists()
    assert "when_done is not run: another/B_seed7: is lost" in capsys.readouterr().err
    shutil.rmtree(other)
    assert run(context) == 0 and marker.exists()


def test_a_command_that_hangs_when_the_time_is_over_is_named_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    began, end, ended = (tmp_path / name for name in ("began", "end", "ended"))
    code = (
        "import pathlib, sys, time; began, end, ended = map(pathlib.Path, sys.argv[1:]); began.touch()\n"
        "while not end.exists(): time.sleep(0.02)\nended.touch()"
    )

    async def interrupted() -> None:
        running = asyncio.create_task(run_when_done([sys.executable, "-c", code, str(began), str(end), str(ended)]))
        await asyncio.to_thread(until, began.exists)
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()

    asyncio.run(interrupted())
    assert "has not ended (process " in capsys.readouterr().err
    end.touch()
    until(ended.exists)


@pytest.mark.parametrize(("argument"), ["two words", "$HOME", "*", 'a "quoted" b', "a;b", "--option=x y", "a\nb"])
def test_an_argument_reaches_the_command_as_it_is(tmp_path: Path, argument: str) -> None:
    found = tmp_path / "found"
    code = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    assert asyncio.run(run_when_done([sys.executable, "-c", code, str(found), argument])) == 0
    assert found.read_text() == argument


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        (["watch", "--", "true"], "COMMAND: needs --until synced, after which it is run"),
        (
            ["watch", "--until", "synced", "--", "no-such-program", "-x"],
            "COMMAND: no program 'no-such-program' can be run",
        ),
    ],
)
def test_a_command_that_cannot_be_run_is_refused_before_the_night(typed: list[str], error: str) -> None:
    with pytest.raises(BadInput) as refused:
        watch(scripted_context(typed, [shown({A42: "running", A123: "queued"})]))
    assert error in str(refused.value)


def test_options_of_the_command_are_its_own() -> None:
    options = cli.parse(["watch", "--until", "synced", "--", "curl", "-X", "POST", "--json", "{}"])
    assert options.argv == ["curl", "-X", "POST", "--json", "{}"] and not options.json
