"""From the results to what follows: choosing the next step and launching it, and recording a decision."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from textual import on

from console.ui.commands import CommandApp, Notice
from console.ui.messages import DecisionRequested, LaunchRequested, NextStepRequested
from engine.contract.bad_input import BadInput
from engine.contract.experiment import Experiment
from engine.contract.experiment_reader import read_experiment

if TYPE_CHECKING:
    from console.results.experiment_report import ExperimentReport
    from console.results.next_steps.decisions import Decision
    from console.results.next_steps.derive import Addition
    from console.results.next_steps.records import NextStep
    from engine.contract.settings import RunId


class ResultCommands(CommandApp, inherit_bindings=False):
    """App mixin that opens the dialogs of the results and does what they ask for."""

    async def show_experiment(self, experiment: Experiment, run: RunId) -> None:
        """Show the runs of an experiment to which some were added, with ``run`` selected."""
        raise NotImplementedError

    @on(NextStepRequested)
    def _choose_step(self, message: NextStepRequested) -> None:
        from console.ui.results.next_step import NextStepsDialog

        steps = message.report.next_steps
        if steps:
            self.push_screen(NextStepsDialog(steps), partial(self._open_change, message.report))
        else:
            self.show_notice("No step yet: they follow from a complete condition.")

    def _open_change(self, report: ExperimentReport, step: NextStep | None) -> None:
        session = None if step is None else self.session_for("add")
        if step is None or session is None:
            return
        from console.ui.results.next_step import ChangeDialog

        file, profile, results = (
            session.experiment_file,
            session.snapshot.profile,
            report.analysis.results_fingerprint,
        )
        try:
            experiment = read_experiment(file)  # another console may have added to it
        except BadInput as error:
            self.show_notice(str(error), "error")
        else:
            self.push_screen(ChangeDialog(step, experiment, file, profile, results), self._add)

    def _add(self, addition: Addition | None) -> None:
        session = None if addition is None else self.session_for("add")
        if addition is None or session is None:
            return

        async def add() -> Notice:
            runs = await session.add(addition)
            await self.show_experiment(session.experiment, runs[0])
            self.post_message(LaunchRequested(runs, confirm=True))
            return f"Added {addition.title} to {session.experiment.name}.", "information"

        self.run_command("add", f"adding {addition.title}", add())

    @on(DecisionRequested)
    def _ask_for_decision(self, message: DecisionRequested) -> None:
        from console.ui.results.decision import DecisionDialog

        session = self.open_session()
        if session is not None:
            report = message.report
            self.push_screen(DecisionDialog(session.experiment, report.results, report.analysis), self._record)

    def _record(self, decision: Decision | None) -> None:
        session = None if decision is None else self.open_session()
        if decision is None or session is None:
            return

        async def record() -> Notice:
            await asyncio.to_thread(session.record_decision, decision)
            self.show_decisions()
            return f"Recorded: {decision.text}.", "information"

        self.run_command("decide", "recording the decision", record())

    def show_decisions(self) -> None:
        """Show the decisions again, after one was recorded."""
        raise NotImplementedError
