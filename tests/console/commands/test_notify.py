"""Notifications as an operator has them: hosts.toml, launches, ``notify``, and the verdict of ``watch``, over a real service."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from console import exit_codes
from console.commands.output import progress_as_ndjson
from console.commands.verdict_message import VerdictMessage
from console.hosts.remote import notify as remote_notify
from console.hosts.remote.launch_request import operator_name
from console.results.analysis.records import Analysis
from console.runs.snapshot import Snapshot, SyncState
from console.session import Session
from engine.contract.bad_input import BadInput
from engine.contract.file_lock import locked
from tests.console.commands.json_checker import checked
from tests.console.commands.quick_engine import command, use_job, workspace
from tests.console.commands.scripted import A42, A123, shown
from tests.console.notify_server import TOKEN, NotifyServer, notify_server
from tests.console.tiny import arguments
from tests.console.waiting import until


@pytest.fixture(autouse=True)
def _progress_as_text() -> None:
    progress_as_ndjson(None)  # as after any command before it in this process


@pytest.fixture
def service() -> Iterator[NotifyServer]:
    with notify_server() as running:
        yield running


def hosts_file(folder: Path, *urls: str) -> Path:
    path = folder / "hosts.toml"
    path.write_text(f'[hosts.local]\ntitle = "my box"\nlauncher = "embedded"\nnotify = {json.dumps(urls)}\n')
    return path


def notify(folder: Path, *more: str, name: str = "notify") -> Callable[[], int]:
    return command(name, folder, "--hosts", str(folder / "hosts.toml"), *more)


def test_a_launch_keeps_the_urls_and_each_end_is_told_from_the_host_and_then_the_verdict_by_watch(
    tmp_path: Path, service: NotifyServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    hosts_file(tmp_path, service.url(), service.url("fails"))
    use_job(monkeypatch, "assert os.getcwd().endswith('A_seed42'), 'no room'")
    notify(tmp_path, "--condition", "A", name="run")()
    until(lambda: len(service.titles()) == 2)
    assert sorted(service.titles()) == ["A/123 failed: AssertionError: no room", "A/42 finished"]
    assert all(one["message"].startswith("tiny-tiny on my box") for one in service.got)
    urls = workspace(tmp_path) / "notify" / "urls.json"
    assert list(json.loads(urls.read_bytes())["operators"].values()) == [[service.url(), service.url("fails")]]
    # all that either side wrote, the console's terminal too
    holding = [path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert sorted(path.name for path in holding) == ["hosts.toml", "urls.json"]
    assert TOKEN not in "".join(capfd.readouterr())

    log = workspace(tmp_path) / "notify" / "log.jsonl"
    until(lambda: log.exists() and len(log.read_bytes().splitlines()) == 2)
    assert notify(tmp_path, "--json")() == exit_codes.DONE
    printed = checked(capfd.readouterr().out)["messages"]
    assert [[one["error"] for one in message["outcomes"]] for message in printed] == [
        ["", "the service answered 500"]
    ] * 2

    hosts_option = ("--hosts", str(tmp_path / "hosts.toml"))
    watching = subprocess.Popen(
        arguments("watch", tmp_path / "experiment.toml", tmp_path / "runs", *hosts_option),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: len(service.titles()) == 3)
    finally:
        watching.send_signal(signal.SIGINT)
        out = "".join(watching.communicate(timeout=60))
    assert (
        service.titles()[-1] == "tiny-tiny: All 2 launched runs ended, 2 not launched: incomplete" and TOKEN not in out
    )


def test_a_test_message_comes_from_the_host_and_each_outcome_is_printed_without_its_secret(
    tmp_path: Path, service: NotifyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts_file(tmp_path, service.url(), service.url("fails"))
    assert notify(tmp_path, "--test")() == exit_codes.FAILED
    out = capsys.readouterr().out
    assert [line.split() for line in out.splitlines()[-2:]] == [
        ["1", "json://...", "sent"],
        ["2", "json://...", "the", "service", "answered", "500"],
    ]
    assert notify(tmp_path, "--test", "--json")() == exit_codes.FAILED
    printed = checked(capsys.readouterr().out)
    assert printed["sent"] is False and [bool(one["error"]) for one in printed["outcomes"]] == [False, True]
    hosts_file(tmp_path, service.url())
    assert notify(tmp_path, "--test")() == exit_codes.DONE
    assert TOKEN not in out + json.dumps(printed) + capsys.readouterr().out
    assert service.titles() == ["qllm-console: test from my box"] * 3
    assert notify(tmp_path)() == exit_codes.DONE and capsys.readouterr().out == "nothing was sent yet\n"


def test_a_test_beside_the_lease_of_another_console_leaves_its_urls_in_use(
    tmp_path: Path, service: NotifyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts_file(tmp_path, service.url())
    assert notify(tmp_path, "--test")() == exit_codes.DONE
    urls = workspace(tmp_path) / "notify" / "urls.json"
    kept = urls.read_bytes()
    hosts_file(tmp_path, service.url(), service.url())
    with locked(workspace(tmp_path) / "lease.lock"):
        assert notify(tmp_path, "--test")() == exit_codes.DONE
    assert len(service.titles()) == 3 and urls.read_bytes() == kept
    assert "has the lease of this host" in capsys.readouterr().err
    assert notify(tmp_path, "--test")() == exit_codes.DONE
    assert json.loads(urls.read_bytes())["operators"] == {operator_name(): [service.url()] * 2}


def test_a_test_without_urls_or_read_only_is_refused_before_the_host_is_asked(tmp_path: Path) -> None:
    hosts_file(tmp_path)
    with pytest.raises(BadInput, match=r"hosts\.local\.notify: this host's entry in hosts\.toml names no URL"):
        notify(tmp_path, "--test")()
    hosts_file(tmp_path, "json://127.0.0.1")
    with pytest.raises(BadInput, match="--read-only: nothing is sent"):
        notify(tmp_path, "--test", "--read-only")()
    assert not workspace(tmp_path).exists()


def ended(states: dict[Any, str], keys: dict[Any, str]) -> Snapshot:
    """A snapshot of runs that have ended and are synced."""
    snapshot = shown(states)
    runs = {
        run: replace(view, state=replace(view.state, key=keys[run])) if view.state is not None else view
        for run, view in snapshot.runs.items()
    }
    synced = {run: SyncState("synced", key=keys.get(run, "")) for run in runs}
    return replace(snapshot, runs=runs, sync_states=synced)


async def test_the_verdict_is_sent_once_for_the_same_launches(
    tmp_path: Path, service: NotifyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    report = SimpleNamespace(analysis=Analysis("ship", "Ship B: it passes every ship blocker."))
    session = cast(Session, SimpleNamespace(report=lambda: report))
    states, keys = {A42: "finished", A123: "failed"}, {A42: "a" * 32, A123: "b" * 32}

    async def seen(*snapshots: Snapshot) -> None:
        message = VerdictMessage(session, (service.url(),), tmp_path)
        for snapshot in snapshots:
            message.update(snapshot)
            if message._sending is not None:
                await message._sending

    done = ended(states, keys)
    not_synced = replace(done, sync_states={**done.sync_states, A42: SyncState("pulling")})
    await seen(shown({A42: "running"}), not_synced)
    assert not service.got
    await seen(done, done)
    await seen(done)
    assert service.titles() == ["scaling: All 2 launched runs ended, 7 not launched: ship"]
    assert service.got[0]["message"] == "Ship B: it passes every ship blocker.\nthe box"
    await seen(ended(states, {**keys, A42: "c" * 32}))
    assert len(service.got) == 2 and capsys.readouterr().err == "the verdict was sent\n" * 2


async def test_without_apprise_the_verdict_costs_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import sys; sys.modules['apprise'] = None; from engine.cli import main; sys.exit(main(['notify']))"
    monkeypatch.setattr(remote_notify, "isolated_python", lambda: (sys.executable, "-c", code))
    session = cast(Session, SimpleNamespace(report=lambda: SimpleNamespace(analysis=Analysis("ship", "Ship."))))
    message = VerdictMessage(session, (f"json://{TOKEN}", f"json://{TOKEN}/2"), tmp_path)
    message.update(ended({A42: "finished"}, {A42: "a" * 32}))
    assert message._sending is not None
    await message._sending
    expected = "the verdict was not sent: apprise is not installed here: pip install 'qllm-console[notify]'\n"
    assert capsys.readouterr().err == expected


def test_a_hosts_environment_gets_apprise_in_the_version_that_was_tested() -> None:
    root = Path(__file__).parents[3]
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert all(any(one.startswith("apprise>=") for one in extras[name]) for name in ("engine", "notify"))
    assert "\napprise==" in (root / "constraints.txt").read_text()
