"""What is known of a host that is not heard from is marked as of when it is, in words, until the host replies again."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest

from console.hosts import host_link
from console.hosts.host_config import HostConfig
from console.hosts.ssh import embedded_host
from console.hosts.ssh.access import Access, Timeouts
from console.hosts.ssh.errors import LinkDown
from console.runs import staleness
from console.session import Session
from console.ui.app import ConsoleApp
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId
from engine.contract.toml_file import find_config
from tests.console.hosts.shared_server import kill_servers
from tests.console.local_folder import write_run
from tests.console.ui.driving import LARGE, SIZES, console, notices, record_notices, screen, until, until_shown
from tests.console.ui.scenes import training
from tests.console.ui.test_views import busy_session

QUICK = Timeouts(handshake=1.0, keepalive=0.4, misses=3, backoff=(0.05, 0.1))


@SIZES
async def test_states_eta_and_facts_are_marked_until_the_host_replies(size: tuple[int, int]) -> None:
    session = busy_session()
    session.show(link="lost", detail="connection reset", last_reply_at=time.monotonic() - 300)
    async with console(session, size) as pilot:
        await until_shown(pilot, "lost 5 min", "▶ running  5 min ago", "◦ queued  5 min ago", "5 min ago: ")
        await until(pilot, lambda: "ETA 1:4" in screen(pilot) and "5 min ago" in screen(pilot).split("ETA 1:4")[1])
        await pilot.press("1")
        await until_shown(pilot, ">1 Host<", "! Stale      as of 5 min ago: the host is not heard from")
        session.show(link="up", last_reply_at=time.monotonic() + 3600)  # no test waits for its next reply
        await until_shown(pilot, "● up")
        await until(pilot, lambda: "Stale" not in screen(pilot), "the mark is gone from the facts")
        await pilot.press("2")
        await until_shown(pilot, ">2 Runs<", "▶ running  training", "◦ queued")
        assert "min ago" not in screen(pilot)


@SIZES
async def test_the_details_of_a_running_run_say_as_of_when_its_eta_is(size: tuple[int, int]) -> None:
    session = busy_session()
    running = list(session.snapshot.runs)[3]
    session.show(link="lost", last_reply_at=time.monotonic() - 300)
    async with console(session, size) as pilot:
        await until_shown(pilot, "lost 5 min")
        pilot.app.main.selected = running  # type: ignore[attr-defined]
        await until_shown(pilot, f"{running.label}  ▶ running, as of 5 min ago")
        await pilot.press("3")
        await until_shown(pilot, ">3 Live<", "ETA 1:4")
        await until(
            pilot, lambda: " as of 5 min ago" in screen(pilot).split("ETA 1:4")[1][:30], "as of when the ETA is"
        )


async def test_an_unreachable_host_shows_everything_synced_and_keys_say_why_they_do_nothing(tmp_path: Path) -> None:
    file = find_config("scaling.toml")
    experiment, runs = read_experiment(file), tmp_path / "runs"
    write_run(runs / "scaling-demo", experiment, "demo", RunId("A", 42), training(20), log=b"the last line\n")
    write_run(runs / "scaling-demo", experiment, "demo", RunId("A", 123), training(9), state="running", sealed=False)
    nowhere = HostConfig("RAMP", "ssh", workspace="/w", address="127.0.0.1", user="nobody", port=1)
    access = Access(timeouts=QUICK)
    app = ConsoleApp(
        lambda _: Session(nowhere, experiment, file, "demo", runs, access=access), experiment, "demo", "RAMP", False
    )
    record_notices(app)
    async with app.run_test(size=LARGE, notifications=True) as pilot:
        await until_shown(pilot, "not reached, retrying", "✓ finished  local copy", "▶ running  local copy")
        await until_shown(pilot, "A/42  ✓ finished, local copy, host not reached")
        await pilot.press("l")
        await until(pilot, lambda: notices(pilot))
        assert notices(pilot)[0].startswith("Cannot launch: the host is not reached (")
        assert notices(pilot)[0].endswith("R in view 1 connects now.")
        await pilot.press("3")
        await until_shown(pilot, ">3 Live<", "the last line")


@pytest.mark.server
async def test_a_host_that_is_killed_is_marked_and_told_and_so_is_its_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real session on the real embedded host, whose server is killed and does not start for a while."""
    file = find_config("scaling.toml")
    experiment, runs = read_experiment(file), tmp_path / "runs"
    write_run(runs / "scaling-demo", experiment, "demo", RunId("A", 42), training(20))
    monkeypatch.setattr(host_link, "POLL_WAIT_S", 0.1)
    monkeypatch.setattr(staleness, "STALE_AFTER_S", 0.6)
    start_server = embedded_host.embedded_server

    @asynccontextmanager
    async def down(*_: object) -> AsyncIterator[tuple[int, str, asyncssh.SSHKey]]:
        raise LinkDown("the host is down")
        yield

    here, access = HostConfig("here", "embedded"), Access(timeouts=Timeouts(backoff=(0.05, 0.1)))
    app = ConsoleApp(
        lambda _: Session(here, experiment, file, "demo", runs, access=access),
        experiment,
        "demo",
        "here",
        False,
    )
    record_notices(app)
    async with app.run_test(size=LARGE, notifications=True) as pilot:
        await until(
            pilot, lambda: app.main.snapshot and app.main.snapshot.host.history_known, "the host's report is shown"
        )
        monkeypatch.setattr(embedded_host, "embedded_server", down)
        kill_servers()
        await until_shown(pilot, "○ lost", "A/42  ✓ finished, as of ")
        await until(pilot, lambda: any("here: the link is lost" in text for text in notices(pilot)))
        await pilot.press("l")
        await until(pilot, lambda: any(text.startswith("Cannot launch: the link") for text in notices(pilot)))
        monkeypatch.setattr(embedded_host, "embedded_server", start_server)
        await pilot.press("1")
        await until_shown(pilot, ">1 Host<")
        await pilot.press("R", "2")
        await until_shown(pilot, ">2 Runs<", "● up")
        await until(pilot, lambda: ", as of " not in screen(pilot), "the mark is gone")
        await until(pilot, lambda: "here: the link is back." in notices(pilot))
