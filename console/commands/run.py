"""``qllm-console run``: launch runs, follow and sync them until they have ended, print the results."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from console import exit_codes
from console.commands.answers import ChosenCondition, ChosenRun, LaunchChoiceAnswer, OutcomesAnswer, print_json
from console.commands.connect import command, connected, follow_launches, launch_key, next_poll
from console.commands.context import Context
from console.commands.limits import WaitLimit
from console.commands.output import REPORT_EVERY_S, is_progress_ndjson, print_line, report, table
from console.commands.results import print_report
from console.commands.status import run_status
from console.commands.when_done import run_when_done
from console.format import counted
from console.hosts.ssh.errors import LinkDown
from console.hosts.when_done import check_command, reasons_text, still_undone
from console.results.next_steps.launch_choice import LaunchChoice
from console.runs.failures import failure_of
from console.runs.launch_attempts import Outcome
from console.runs.launch_plan import LaunchPlan
from console.runs.run_view import RunView, fraction_done
from console.runs.snapshot import Snapshot, SyncState
from console.runs.transitions import all_ended_text
from console.session import Session
from engine.contract.bad_input import BadInput
from engine.contract.experiment_text import derived_path
from engine.contract.run_folder import SEALED
from engine.contract.settings import RunId

ENGINE_BAD_INPUT = 2
ENGINE_SHIP_BLOCKER = 5
LAUNCH_ATTEMPTS = 20  # each over a link that has come back


@command
async def run(context: Context) -> int:
    """Launch what the options choose and wait until it has ended and is synced.

    Raises:
        BadInput: without ``--yes``, results or checkpoints would be set aside; nothing was launched.

    Returns:
        0 when every chosen run finished; else the exit code of the worst that happened. With ``--detach``, 0 when every
        run that was to be launched is queued. With ``--dry-run``, 0.
    """
    choice = context.launch_choice()
    when_done = check_command(context.host.when_done, "when_done")
    if context.options.dry_run:
        _print_choice(choice, as_json=context.options.json)
        return exit_codes.DONE
    chosen = choice.run_ids
    if choice.addition is not None:
        context.add(choice.addition)
        report("\n".join(f"{line}; kept in {derived_path(context.experiment_file).name}" for line in choice.lines))
    session = context.session()
    limit = WaitLimit(session, chosen)
    async with connected(session):
        reporter = _RunReporter(chosen)
        reporter.update(session.snapshot)
        plan = session.plan_launch(chosen, restart=context.options.restart)
        if plan.aside_text and not context.options.yes:
            raise BadInput(f"would set aside {plan.aside_text}; nothing was launched, --yes does it", field="run")
        outcomes = await _launch(session, plan)
        launched = exit_codes.DONE if all(outcome.done for outcome in outcomes) else exit_codes.FAILED
        if context.options.detach:
            if context.options.json:
                print_json("outcomes", "run", OutcomesAnswer(outcomes))
            return launched
        while not all_over(session.snapshot, chosen, limit.given_up):
            await limit.wait()
            reporter.update(session.snapshot)
        limit.report_given_up(session.snapshot)
        for outcome in outcomes:
            if outcome.done and launch_key(session, outcome.run) != outcome.key:
                report(f"{outcome.run.label}: another launch has replaced the one of this command")
                launched = exit_codes.FAILED
        snapshot = session.snapshot
        code = await _when_done(session, when_done, chosen) if when_done else exit_codes.DONE
    if not any(view.active for view in snapshot.runs.values()):
        again = context.command_line("results")
        report(f"{all_ended_text(snapshot)}: the verdict follows; view 4 and {again} show it")
    print_report(session.report(), context.options)
    return _exit_code(snapshot, chosen) or launched or code


async def _when_done(session: Session, argv: Sequence[str], runs: Iterable[RunId]) -> int:
    """Run the host's ``when_done`` command if all is done, else say why it is not run."""
    if reasons := await still_undone(session, runs):
        report(f"when_done is not run: {reasons_text(reasons)}", "error")
        return exit_codes.FAILED
    return await run_when_done(argv)


def _print_choice(choice: LaunchChoice, *, as_json: bool) -> None:
    """Print what would be launched, and what would be added to the experiment for it."""
    if as_json:
        answer = LaunchChoiceAnswer(
            tuple(ChosenRun(one.run.condition, one.run.seed, one.settings_hash, one.is_new) for one in choice.runs),
            tuple(
                ChosenCondition(one.name, one.parent or None, one.differences, one.is_new) for one in choice.conditions
            ),
            choice.new_seeds,
            choice.addition.toml if choice.addition else "",
        )
        print_json("launch-choice", "run", answer)
        return
    for line in choice.lines:
        report(line)
    rows = [(one.run.label, one.settings_hash[:12], "new" if one.is_new else "") for one in choice.runs]
    print_line(table(("run", "settings", ""), rows))
    report(f"{counted(len(rows), 'run')}; nothing was launched, and no host was asked")


async def _launch(session: Session, plan: LaunchPlan) -> tuple[Outcome, ...]:
    """Launch the plan's runs; when the link breaks, wait for it and repeat the same launches, which starts nothing twice.

    Returns once the session follows the new launches and no longer those that they replaced. A run of which the host has
    another launch meanwhile is followed as it is, if it need not be launched any more.

    Raises:
        LinkDown: again and again, or the link needs the operator.
    """
    report(plan.question)
    for attempts_left in reversed(range(LAUNCH_ATTEMPTS)):
        try:
            outcomes = await session.launch(plan)
            break
        except LinkDown as error:
            if not attempts_left:
                raise
            report(f"not launched yet: {error}")
            await next_poll(session)
    launched = {outcome.run: outcome.key for outcome in outcomes if outcome.done}
    await follow_launches(session, launched)
    outdated = [outcome.run for outcome in outcomes if outcome.outdated]
    if outdated:
        await next_poll(session)
    followed = {run for run, _ in session.plan_launch(outdated).leave}
    for outcome in outcomes:
        if not outcome.done:
            report(f"{outcome.run.label}: {outcome.note}")
    return tuple(outcome for outcome in outcomes if outcome.run not in followed)


def all_over(snapshot: Snapshot, chosen: Iterable[RunId], given_up: frozenset[RunId] = frozenset()) -> bool:
    """Whether every run has ended for good, and is synced, found damaged or given up."""
    for run in chosen:
        view, sync = snapshot.runs[run], snapshot.sync_states[run]
        if view.active or (view.may_be_taken_back and run not in given_up):
            return False
        over = sync.status == "damaged" or run in given_up or _synced(view, sync)
        if view.state_name in SEALED and not over:
            return False
    return True


def _synced(view: RunView, sync: SyncState) -> bool:
    """Whether the local capsule is of the launch that the host reported last, not of an older one."""
    return view.state is not None and sync.status == "synced" and sync.key == view.state.key


def _exit_code(snapshot: Snapshot, chosen: Iterable[RunId]) -> int:
    codes = {_exit_code_of(snapshot.runs[run], snapshot.sync_states[run]) for run in chosen}
    for code in (exit_codes.BAD_INPUT, exit_codes.FAILED, exit_codes.SHIP_BLOCKER):
        if code in codes:
            return code
    return exit_codes.DONE


def _exit_code_of(view: RunView, sync: SyncState) -> int:
    if view.state_name == "finished":
        return exit_codes.DONE if _synced(view, sync) else exit_codes.FAILED
    code = view.state.exit_code if view.state else None
    if view.state_name == "failed" and code == ENGINE_BAD_INPUT:
        return exit_codes.BAD_INPUT
    if view.state_name == "failed" and code == ENGINE_SHIP_BLOCKER:
        return exit_codes.SHIP_BLOCKER
    return exit_codes.FAILED


class _RunReporter:
    """Reports a line when a run changes its state or its stage; for programs also how far it is, every two seconds."""

    def __init__(self, runs: Iterable[RunId]) -> None:
        self._lines: dict[RunId, str] = dict.fromkeys(runs, "")
        self._reported: dict[RunId, tuple[float | None, float]] = {}

    def update(self, snapshot: Snapshot) -> None:
        for run, before in self._lines.items():
            view = snapshot.runs[run]
            line = view.state_name if view.state_name != "running" else f"running: {view.stage or 'starting'}"
            if view.state and view.state.ended and view.state.reason:
                line += f" ({view.state.reason})"
            if view.may_be_taken_back:
                line += "; waiting, since it may be taken back"
            elif view.lost_processes:
                line += "; its job still runs: abort it"
            if view.state is not None and (line != before or self._has_proceeded(view)):
                self._lines[run] = line
                self._reported[run] = fraction_done(view), time.monotonic()
                report(f"{run.label}: {line}", "run", run=run_status(view, snapshot))
                if (failure := failure_of(view)) is not None:
                    report(f"{run.label}: next: {failure.next_step}; {failure.resume}")

    def _has_proceeded(self, view: RunView) -> bool:
        """Whether a program is to be told how far a running run is."""
        if not is_progress_ndjson() or view.run not in self._reported:
            return False
        done, at = self._reported[view.run]
        return fraction_done(view) != done and time.monotonic() - at >= REPORT_EVERY_S
