"""Opens the launch form, adds what it chose to the experiment, and launches it as by any key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from textual import on

from console.format import counted, duration
from console.runs.launch_plan import LaunchPlan, plan_launch
from console.ui.commands import CommandApp, Notice, Severity
from console.ui.messages import ExperimentChanged, LaunchRequested, NewRunsRequested
from console.ui.session_protocol import SessionProtocol
from engine.contract.experiment import Experiment
from engine.contract.experiment_text import derived_path
from engine.contract.settings import RunId, Settings, resolve

if TYPE_CHECKING:
    from console.results.next_steps.launch_choice import LaunchChoice
    from console.runs.snapshot import Snapshot

_FILE_NOTICE_SECONDS = 20.0  # who has just edited a file may look at it, not at the console
_CHECK_FILE_SECONDS = 1.0
FORM_ID = "launch-form"


class LaunchCommands(CommandApp, inherit_bindings=False):
    """App mixin with the launch form, which also has the experiment's file read again when it changes."""

    async def show_experiment(self, experiment: Experiment, run: RunId) -> None:
        """Show the runs of an experiment to which some were added, with ``run`` selected."""
        raise NotImplementedError

    async def use_experiment(self, experiment: Experiment) -> None:
        """Show ``experiment`` in place of the one before, whose file was changed."""
        raise NotImplementedError

    async def watch_experiment(self) -> None:
        """Have the session read the experiment's file again whenever it has changed; until cancelled."""
        while True:  # one worker for all checks, since starting one costs more than a check
            await asyncio.sleep(_CHECK_FILE_SECONDS)
            if self.session is not None:
                await self._check_experiment(self.session)

    async def _check_experiment(self, session: SessionProtocol) -> None:
        change = await session.check_experiment()
        if change is None or session is not self.session:
            return
        severity: Severity = "information" if change.applied else "error"
        self.show_notice(change.text, severity, _FILE_NOTICE_SECONDS)
        if change.applied:
            await self.use_experiment(session.experiment)
            for screen in self.screen_stack:
                if screen.id == FORM_ID:
                    screen.post_message(ExperimentChanged(session.experiment))

    @on(NewRunsRequested)
    def _open_form(self, message: NewRunsRequested) -> None:
        session = self.session_for("launch")
        if session is None:
            return
        from console.ui.launch.form import LaunchForm

        profile = session.snapshot.profile
        ticked = [message.condition] if message.condition else []

        def confirm(choice: LaunchChoice, on_yes: Callable[[], object]) -> None:
            plan = session.plan_launch(choice.run_ids)
            if plan.launch:
                self.confirm(_question(session, choice, plan), "launch", on_yes)
            else:
                self.show_notice(plan.question)

        form = LaunchForm(
            session.experiment, profile, ticked, lambda choice: _outlook(session, choice), confirm, id=FORM_ID
        )
        self.push_screen(form, self._launch_choice)

    def _launch_choice(self, choice: LaunchChoice | None) -> None:
        session = None if choice is None else self.session_for("launch")
        if choice is None or session is None:
            return
        confirmed = session.plan_launch(choice.run_ids).aside_text

        async def launch() -> Notice | None:
            if choice.addition is not None:
                await session.add(choice.addition)
                await self.show_experiment(session.experiment, choice.run_ids[0])
            if changed := _changed(session, choice):
                text = f"{counted(changed, 'run')} would have other settings now: the experiment's file was changed."
                return f"Nothing was launched: {text}", "warning"
            plan = session.plan_launch(choice.run_ids)
            if plan.aside_text != confirmed:
                self.post_message(LaunchRequested(choice.run_ids, confirm=True))
                return None
            return self.launched_notice(await session.launch(plan))

        self.run_command("launch", f"launching {counted(len(choice.runs), 'run')}", launch())


def _changed(session: SessionProtocol, choice: LaunchChoice) -> int:
    """How many of the chosen runs would no longer be launched with the settings that were confirmed."""
    experiment, profile = session.experiment, session.snapshot.profile
    return sum(
        one.run.condition not in experiment.conditions
        or resolve(experiment, profile, one.run).fingerprint() != one.settings_hash
        for one in choice.runs
    )


def _question(session: SessionProtocol, choice: LaunchChoice, plan: LaunchPlan) -> str:
    """What is added and launched, where, and what it is expected to take."""
    lines = []
    if choice.addition is not None:
        lines = [f"Adds to {derived_path(session.experiment_file).name}, for good:", *choice.lines, ""]
    lines.append(f"{plan.question.removesuffix('.')}, on {session.snapshot.host.title}.")
    _, *expected = _outlook(session, choice)
    return "\n".join((*lines, *expected))


def _outlook(session: SessionProtocol, choice: LaunchChoice) -> tuple[str, ...]:
    """What a launch would do by the states known now, and what it is expected to take, if that is known; a line each."""
    snapshot = session.snapshot  # this is called in a thread: it reads frozen values only
    known = {run: resolve(session.experiment, snapshot.profile, run) for run in snapshot.runs}
    hashes = {one.run: one.settings_hash for one in choice.runs}
    states = {run: view.state for run, view in snapshot.runs.items()}
    same = frozenset(run for run, own in hashes.items() if (state := states.get(run)) and state.settings == own)
    plan = plan_launch(snapshot.runs, hashes, same_settings=same)
    planned = {run: resolve(choice.experiment, snapshot.profile, run) for run in plan.launch}
    expected = _expected_text(snapshot, known, planned)
    return (plan.question, f"Expected: {expected}.") if expected else (plan.question,)


def _expected_text(snapshot: Snapshot, known: Mapping[RunId, Settings], planned: Mapping[RunId, Settings]) -> str:
    """``about 1:20:00 until these have ended, about 2.10 EUR``; "" where that is not known.

    Args:
        known: settings of the runs that ``snapshot`` has; what these took is the measure.
        planned: settings of the runs to be launched.
    """
    from console.runs.estimates import MeasuredRuns, estimate

    measured, host_time = MeasuredRuns(known, snapshot.runs), snapshot.host_history.host_time(time.monotonic())
    expected = measured.expected_of_all(known) | measured.expected_of_all(planned)
    before = estimate(snapshot, expected, host_time)
    after = estimate(snapshot, expected, host_time, tuple(planned))
    if not planned or any(run not in after.finish_in for run in planned):
        return ""
    text = f"about {duration(max(after.finish_in[run] for run in planned))} until these have ended"
    if before.cost is not None and after.cost is not None:
        text += f", about {max(0.0, after.cost - before.cost):.2f} {after.currency}"
    return text
