"""``run`` follows what it launched, says when a launch was refused, and never waits for what cannot come."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import pytest

from console.cli import DEFAULTS
from console.commands.context import Context
from console.commands.run import run
from console.hosts.host_config import HostConfig
from console.results.aggregate import aggregate
from console.results.experiment_report import ExperimentReport
from console.results.load import load
from console.results.next_steps.launch_choice import ChosenRun, LaunchChoice
from console.runs.launch_attempts import Outcome
from console.runs.launch_plan import LaunchPlan, plan_launch
from console.runs.run_view import RunView
from console.runs.snapshot import HostView, Snapshot, SyncState
from engine.contract.bad_input import BadInput
from engine.contract.experiment_reader import read_experiment
from engine.contract.run_folder import StateName
from engine.contract.settings import RunId, run_ids
from engine.contract.state import RunState
from engine.contract.toml_file import find_config
from tests.console.commands.json_checker import checked
from tests.console.results.reports import report_on

RUN = RunId("A", 42)
EXPERIMENT = read_experiment(find_config("scaling.toml"))
RESTART = Namespace(**DEFAULTS | {"command": "run"}, restart=True, yes=True, detach=False, json=True, dry_run=False)


def view(state: StateName, key: str) -> RunView:
    return RunView(RUN, state=RunState(state, key * 32, reason=f"launch {key}"))


class ScriptedSession:
    """A host that already finished the run; what a launch brings is played poll by poll.

    Args:
        polls: the views that come after a launch; ``stopped`` is set once they are over.
        refuse: why a launch is refused.
        syncs_at_once: ended runs are synced at once; else the local capsule stays that of the older launch.
    """

    def __init__(self, polls: Iterable[RunView] = (), refuse: str = "", *, syncs_at_once: bool = True) -> None:
        self.ready, self.stopped = asyncio.Event(), asyncio.Event()
        self.misconfigured = None
        self.last_question_at = 0.0
        self.views = {RUN: view("finished", "0")}
        self.at_home = "0"
        self._polls, self._refuse, self._syncs_at_once = list(polls), refuse, syncs_at_once
        self._launched = asyncio.Event()
        self.launched = False
        self._callbacks: list[Callable[[Snapshot], None]] = []

    @property
    def snapshot(self) -> Snapshot:
        host = HostView("box", "box", "ssh", "", link="lost", detail="its host key has changed", last_reply_at=1.0)
        return Snapshot(host, "scaling", "full", dict(self.views), {RUN: SyncState("synced", key=self.at_home * 32)})

    def subscribe(self, callback: Callable[[Snapshot], None]) -> None:
        self._callbacks.append(callback)

    async def run(self) -> None:
        self.ready.set()
        await self._launched.wait()
        for polled in self._polls:
            await asyncio.sleep(0)  # the launch was answered before the host was polled again
            self.views[RUN] = polled
            if polled.state is not None and polled.state.ended and self._syncs_at_once:
                self.at_home = polled.state.key[0]
            self.ready.set()
            self._tell_all()
            await asyncio.sleep(0)
        self.stopped.set()
        self._tell_all()
        await asyncio.Event().wait()

    def _tell_all(self) -> None:
        for callback in self._callbacks:
            callback(self.snapshot)

    def plan_launch(self, wanted: Iterable[RunId], *, restart: bool = False) -> LaunchPlan:
        return plan_launch(self.views, wanted, same_settings=frozenset(self.views), restart=restart)

    async def launch(self, plan: LaunchPlan) -> tuple[Outcome, ...]:
        self._launched.set()
        self.launched = True
        done = not self._refuse
        return tuple(Outcome(run, done, self._refuse or "queued", "1" * 32 if done else "") for run in plan.launch)

    def report(self) -> ExperimentReport:
        loaded = load(Path("nowhere"), run_ids(EXPERIMENT, "full"))
        return report_on(aggregate(EXPERIMENT, "full", loaded, {run: one.state for run, one in self.views.items()}))

    async def close(self) -> None:
        pass


def outcome(
    session: ScriptedSession, capsys: pytest.CaptureFixture[str], options: Namespace = RESTART
) -> tuple[int, Any, str]:
    """The exit code, the JSON on stdout, and stderr of a ``run --restart`` over ``session``."""

    class Scripted:
        def __init__(self) -> None:
            self.options = options
            self.host, self.host_name, self.profile = HostConfig("box", "ssh"), "box", options.profile

        command_line = Context.command_line

        def session(self) -> ScriptedSession:
            return session

        def launch_choice(self) -> LaunchChoice:
            return LaunchChoice(EXPERIMENT, (ChosenRun(RUN, "", False),))

    code = run(cast(Context, Scripted()))
    out, err = capsys.readouterr()
    return code, checked(out) if out else None, err


def test_a_fresh_run_is_over_when_the_new_launch_is_and_not_by_what_the_older_one_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    later = [view("queued", "1"), view("running", "1"), view("failed", "1")]
    code, printed, errors = outcome(ScriptedSession(later), capsys)
    assert code == 1 and printed["runs"][0]["reason"] == "launch 1"
    assert "A/42: running" in errors


def test_a_run_that_is_being_put_in_the_place_of_an_older_one_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    later = [RunView(RUN), view("queued", "1"), view("running", "1"), view("finished", "1")]
    code, _, errors = outcome(ScriptedSession(later), capsys)
    assert code == 0 and "A/42: running" in errors
    assert (
        errors.splitlines()[-1]
        == "The run ended: the verdict follows; view 4 and qllm-console results --profile full show it"
    )


def test_a_refused_launch_fails_whatever_an_older_one_left(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed, errors = outcome(ScriptedSession(refuse="the disk is full"), capsys)
    assert code == 1 and printed["runs"][0]["reason"] == "launch 0" and "A/42: the disk is full" in errors


@pytest.mark.parametrize(("refuse", "expected"), [("", 0), ("the disk is full", 1)])
def test_detached_it_tells_of_each_launch(capsys: pytest.CaptureFixture[str], refuse: str, expected: int) -> None:
    options = Namespace(**DEFAULTS | {"command": "run"}, restart=True, yes=True, detach=True, json=True, dry_run=False)
    code, printed, _ = outcome(ScriptedSession([view("queued", "1")], refuse), capsys, options)
    assert code == expected and [one["done"] for one in printed["outcomes"]] == [not refuse]


@pytest.mark.timeout(20)
def test_the_capsule_of_an_older_launch_is_not_taken_for_the_new_ones(capsys: pytest.CaptureFixture[str]) -> None:
    later = [view("queued", "1"), view("running", "1"), view("finished", "1")]
    assert outcome(ScriptedSession(later, syncs_at_once=False), capsys)[:2] == (4, None)
    assert outcome(ScriptedSession(later), capsys)[0] == 0


@pytest.mark.parametrize("polls", [(), (view("queued", "1"), view("running", "1"))])
@pytest.mark.timeout(20)
def test_a_link_that_waits_for_the_operator_ends_it(
    capsys: pytest.CaptureFixture[str], polls: tuple[RunView, ...]
) -> None:
    code, printed, errors = outcome(ScriptedSession(polls), capsys)
    assert (code, printed) == (4, None) and "its host key has changed" in errors


def lost(key: str, *, supervised: bool = False, processes: int = 0) -> RunView:
    return RunView(RUN, state=RunState("lost", key * 32, supervised=supervised, processes=processes))


def test_a_lost_run_whose_supervisor_exists_is_waited_for_and_reported(capsys: pytest.CaptureFixture[str]) -> None:
    later = [view("running", "1"), lost("1", supervised=True), view("running", "1"), view("finished", "1")]
    code, _, errors = outcome(ScriptedSession(later), capsys)
    assert code == 0 and "A/42: lost; waiting, since it may be taken back" in errors


@pytest.mark.parametrize("processes", [0, 3])
def test_a_lost_run_without_a_supervisor_is_final(capsys: pytest.CaptureFixture[str], processes: int) -> None:
    code, _, errors = outcome(ScriptedSession([view("running", "1"), lost("1", processes=processes)]), capsys)
    assert code == 1 and ("A/42: lost; its job still runs: abort it" in errors) is bool(processes)


def test_results_are_set_aside_only_with_yes(capsys: pytest.CaptureFixture[str]) -> None:
    session = ScriptedSession([view("queued", "1")])
    options = Namespace(
        **DEFAULTS | {"command": "run"}, restart=True, yes=False, detach=False, json=True, dry_run=False
    )
    with pytest.raises(BadInput) as refused:
        outcome(session, capsys, options)
    assert not session.launched
    assert str(refused.value) == (
        "run: would set aside the results and checkpoint of A/42; nothing was launched, --yes does it"
    )
