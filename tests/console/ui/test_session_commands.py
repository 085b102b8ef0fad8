"""Switching host, profile and experiment without leaving: the old session ends, its runs continue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import Struct
from textual.pilot import Pilot

from console.hosts.ssh.prompts import Prompter
from console.runs.run_view import RunView
from console.ui.app import ConsoleApp
from console.ui.launch.switch_dialog import ChoiceList, SwitchDialog
from console.ui.messages import LaunchRequested
from engine.contract.bad_input import BadInput
from engine.contract.experiment import Experiment, profile_of
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId
from engine.contract.state import RunState
from tests.console.ui.driving import SIZES, SMALL, notices, record_notices, until, until_shown
from tests.console.ui.fake_session import SCALING_FILE, FakeSession

CAPACITY = SCALING_FILE.with_name("capacity.toml")


class FakeOpened(Struct):
    experiment: Experiment
    profile: str
    host_title: str
    fake: FakeSession

    def session(self, prompter: Prompter | None = None, /) -> FakeSession:
        assert prompter is not None
        return self.fake


class FakeSwitcher:
    """Two hosts and two experiments; every session that it opened."""

    def __init__(self) -> None:
        self.present = ("local", "demo", SCALING_FILE)
        self.error: Exception | None = None
        self.opened: list[FakeSession] = []

    def hosts(self) -> tuple[tuple[str, str], ...]:
        return (("local", "this machine, embedded"), ("ramp", "RAMP, ssh"))

    def files(self) -> tuple[Path, ...]:
        return (SCALING_FILE, CAPACITY, Path("/nowhere/broken.toml"))

    def profiles(self, file: Path, /) -> tuple[tuple[str, str], ...]:
        return tuple((name, one.title) for name, one in read_experiment(file).profiles.items())

    def open(self, host: str, profile: str, file: Path, /) -> FakeOpened:
        if self.error is not None:
            raise self.error
        experiment = read_experiment(file)
        profile_of(experiment, profile)
        self.opened.append(FakeSession(experiment, profile, file))
        return FakeOpened(experiment, profile, f"host {host}", self.opened[-1])

    def note_opened(self, host: str, profile: str, file: Path, /) -> None:
        self.present = (host, profile, file)


@asynccontextmanager
async def console_with(
    session: FakeSession, switcher: FakeSwitcher | None, size: tuple[int, int]
) -> AsyncIterator[Pilot[None]]:
    app = ConsoleApp(lambda _: session, session.experiment, "demo", "this machine", False, switcher=switcher)
    record_notices(app)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.session is not None and app.main.snapshot is session.snapshot)
        yield pilot


async def open_dialog(pilot: Pilot[None]) -> None:
    await pilot.press("H")
    await until_shown(pilot, "▸ local", "▸ demo", "▸ scaling.toml")
    await until(pilot, lambda: focused(pilot) == "switch-hosts")


def focused(pilot: Pilot[None]) -> str | None:
    widget = pilot.app.screen.focused
    return widget.id if isinstance(widget, ChoiceList) else None


@SIZES
async def test_another_host_profile_and_experiment_take_the_place_of_the_old_ones(size: tuple[int, int]) -> None:
    old, switcher = FakeSession(), FakeSwitcher()
    old.show(RunView(RunId("A", 42), RunState("running", "k1")))
    async with console_with(old, switcher, size) as pilot:
        await open_dialog(pilot)
        await pilot.press("down")
        await until_shown(pilot, "▸ ramp")
        await pilot.press("tab")
        await until(pilot, lambda: focused(pilot) == "switch-profiles")
        await pilot.press("home")
        await until_shown(pilot, "▸ full")
        await pilot.press("enter")
        await until_shown(pilot, "host ramp" if size != SMALL else "scaling, full", "scaling, full")
        await until(pilot, lambda: "Switched to host ramp, scaling, full." in notices(pilot))
        app = pilot.app
        assert isinstance(app, ConsoleApp)
        (new,) = switcher.opened
        assert old.closed and not new.closed and new.follows == 1 and app.session is new
        assert app.cli_options == ("--experiment", str(SCALING_FILE))  # of commands that are copied
        assert app.main.snapshot is not None and app.main.snapshot.profile == "full"
        await until(pilot, lambda: new.preflights == 1, "the new host is checked")
        app.post_message(LaunchRequested((RunId("A", 42),)))  # to the new one
        await until(pilot, lambda: new.launched)
        await pilot.press("3", "1", "4", "5", "2", "right")
        await until(pilot, lambda: app.main.selected == RunId("A", 123))
        assert not any("ended" in text for text in notices(pilot))  # the old session's runs go on
    assert not old.launched and new.closed


async def test_another_experiment_has_its_own_profiles_and_a_broken_one_opens_nothing() -> None:
    old, switcher = FakeSession(), FakeSwitcher()
    async with console_with(old, switcher, SMALL) as pilot:
        await open_dialog(pilot)
        await pilot.press("shift+tab", "shift+tab", "shift+tab")
        await until(pilot, lambda: focused(pilot) == "switch-files")
        await pilot.press("end")
        await until_shown(pilot, "▸ broken.toml", "/nowhere/broken.toml: no such file")
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, SwitchDialog)
        await pilot.press("up")
        await until_shown(pilot, "▸ capacity.toml", "▸ demo")
        await pilot.press("enter")
        await until_shown(pilot, f"{read_experiment(CAPACITY).name}, demo")
        await pilot.press("H")
        await until_shown(pilot, "▸ capacity.toml")
        await pilot.press("escape")
        await until(pilot, lambda: len(pilot.app.screen_stack) == 1)
    assert old.closed and len(switcher.opened) == 1


@pytest.mark.parametrize("error", [BadInput("no host 'ramp'"), OSError("disk"), RuntimeError("odd")])
async def test_what_cannot_be_opened_leaves_the_old_session_in_force(error: Exception) -> None:
    old, switcher = FakeSession(), FakeSwitcher()
    switcher.error = error
    async with console_with(old, switcher, SMALL) as pilot:
        await open_dialog(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: any(text.startswith("Not switched: ") for text in notices(pilot)))
        assert not old.closed
        await pilot.press("l")
        await until(pilot, lambda: old.launched)


async def test_while_a_command_waits_for_the_host_nothing_is_switched() -> None:
    old, switcher = FakeSession(), FakeSwitcher()
    old.gate = asyncio.Event()
    async with console_with(old, switcher, SMALL) as pilot:
        await pilot.press("l")
        await until(pilot, lambda: old.launched)
        await pilot.press("H")
        await until(pilot, lambda: any("Still launching 1 run" in text for text in notices(pilot)))
        old.gate.set()
    assert not switcher.opened


async def test_without_anything_to_switch_to_a_notice_says_so() -> None:
    async with console_with(FakeSession(), None, SMALL) as pilot:
        await pilot.press("H")
        await until(pilot, lambda: any("local copies alone" in text for text in notices(pilot)))
