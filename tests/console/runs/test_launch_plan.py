"""Plans: what a key would do, before it does it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from console.runs.launch_plan import plan_abort, plan_launch
from console.runs.run_view import RunView
from engine.contract.events import Checkpoint
from engine.contract.run_folder import ENDED, StateName
from engine.contract.settings import RunId
from engine.contract.state import RunState

RUNS = tuple(RunId(condition, seed) for condition in "ABC" for seed in (42, 123, 456))
STATES: tuple[StateName, ...] = ("queued", "running", "finished", "failed", "aborted", "lost")


def view(run: RunId, state: StateName | None, evaluated: bool = False) -> RunView:
    told = RunState(state, "0" * 32) if state else None
    return RunView(run, state=told, failed_gates=() if evaluated else None)


matrices = st.fixed_dictionaries({run: st.sampled_from((None, *STATES)) for run in RUNS}).map(
    lambda states: {run: view(run, state, state == "finished") for run, state in states.items()}
)


@given(matrices, st.booleans())
def test_a_launch_never_touches_an_active_run(views: dict[RunId, RunView], restart: bool) -> None:
    plan = plan_launch(views, RUNS, same_settings=frozenset(RUNS), restart=restart)
    assert not [run for run in plan.launch if views[run].active]
    assert sorted((*plan.launch, *(run for run, _ in plan.leave))) == sorted(RUNS)
    assert set(plan.results_aside) == {run for run in plan.launch if views[run].evaluated}


@given(matrices)
def test_an_abort_is_of_active_runs_only(views: dict[RunId, RunView]) -> None:
    plan = plan_abort(views, RUNS)
    assert set(plan.abort) == {run for run in RUNS if views[run].state_name in ("queued", "running")}
    assert set(plan.running) == {run for run in RUNS if views[run].state_name == "running"}


def test_finished_runs_are_kept_unless_asked_again_or_asked_otherwise() -> None:
    views = {RUNS[0]: view(RUNS[0], "finished", True)}
    assert plan_launch(views, RUNS[:1], same_settings=frozenset(RUNS)).launch == ()
    assert plan_launch(views, RUNS[:1]).launch == RUNS[:1], "other settings were asked for"
    again = plan_launch(views, RUNS[:1], same_settings=frozenset(RUNS), restart=True)
    assert again.results_aside == RUNS[:1] and "sets aside" in again.question


def test_a_finished_run_has_results_before_its_events_are_local() -> None:
    views = {RUNS[0]: view(RUNS[0], "finished", evaluated=False)}
    assert plan_launch(views, RUNS[:1]).results_aside == RUNS[:1]


def test_a_run_that_ended_early_resumes_from_its_checkpoint_unless_asked_otherwise() -> None:
    ended = replace(view(RUNS[0], "aborted"), checkpoint=Checkpoint(500, 2, "0" * 64))
    views = {RUNS[0]: ended, RUNS[1]: view(RUNS[1], "lost"), RUNS[2]: replace(ended, failed_gates=("top1",))}
    plan = plan_launch(views, RUNS[:3], same_settings=frozenset(RUNS))
    assert (plan.launch, plan.resumes, plan.results_aside) == (RUNS[:3], RUNS[:1], RUNS[2:3])
    assert "A/42 resumes from the last checkpoint" in plan.question
    other = plan_launch(views, RUNS[:1])
    again = plan_launch(views, RUNS[:3], same_settings=frozenset(RUNS), restart=True)
    assert other.resumes == again.resumes == () and other.checkpoints_aside == again.checkpoints_aside == RUNS[:1]
    assert other.question == "Launch A/42; sets aside the checkpoint of A/42, to be restored if wanted."
    assert again.aside_text == "the results and checkpoint of A/456 and the checkpoint of A/42"


def test_a_run_whose_events_are_not_known_yet_may_have_a_checkpoint() -> None:
    views = {
        RUNS[0]: view(RUNS[0], "failed"),
        RUNS[1]: view(RUNS[1], "queued"),
        RUNS[2]: view(RUNS[2], "finished"),
    }
    unread = frozenset(RUNS[:3])
    assert plan_launch(views, RUNS[:3], unread=unread).checkpoints_aside == RUNS[:1]
    assert plan_launch(views, RUNS[:3], unread=unread, same_settings=unread).resumes == RUNS[:1]


def test_a_plan_names_the_launches_that_it_was_made_from() -> None:
    views = {RUNS[0]: view(RUNS[0], "failed"), RUNS[1]: view(RUNS[1], "running")}
    assert plan_launch(views, RUNS[:3]).replaces == {RUNS[0]: "0" * 32, RUNS[2]: ""}


def test_a_lost_run_of_which_something_still_runs_is_aborted_and_not_launched() -> None:
    states = [
        RunState("lost", "0" * 32),
        RunState("lost", "1" * 32, processes=3),
        RunState("lost", "2" * 32, supervised=True),
    ]
    views = {run: RunView(run, state=state) for run, state in zip(RUNS, states, strict=False)}
    plan = plan_launch(views, RUNS[:3], same_settings=frozenset(RUNS), restart=True)
    assert plan.launch == RUNS[:1]
    assert [reason for _, reason in plan.leave] == [
        "lost, but its job still runs; abort it first",
        "lost, but its supervisor exists; abort it first",
    ]
    abort = plan_abort(views, RUNS[:3])
    assert (abort.abort, abort.running, abort.lost, abort.queued) == (RUNS[1:3], (), RUNS[1:3], ())
    assert abort.question == "End what still runs of A/123 and A/456, which are lost."


def test_questions_name_what_would_happen() -> None:
    nothing: dict[RunId, RunView] = {}
    assert plan_launch(nothing, RUNS).question == "Launch 9 runs (A, B, C)."
    assert plan_launch(nothing, RUNS[:2]).question == "Launch A/42 and A/123."
    assert plan_launch(nothing, RUNS[:3]).question == "Launch A/42, A/123 and A/456."
    views = {RUNS[0]: view(RUNS[0], "running"), RUNS[1]: view(RUNS[1], "queued")}
    assert plan_launch(views, RUNS[:2]).question == "Nothing to launch: 1 already running, 1 already queued."
    question = plan_abort(views, RUNS).question
    assert question.startswith("End A/42 in mid-run") and question.endswith("take A/123 out of the queue.")
    assert plan_abort(nothing, RUNS).question == "Nothing to abort: 9 not launched."


def test_where_nothing_is_to_be_done_the_question_says_how_the_chosen_runs_are_whatever_others_do() -> None:
    views = {RUNS[0]: view(RUNS[0], "running"), RUNS[1]: view(RUNS[1], "finished"), RUNS[2]: view(RUNS[2], "aborted")}
    assert plan_abort(views, RUNS[1:2]).question == "Nothing to abort: A/123 is finished."
    assert plan_abort(views, RUNS[3:4]).question == "Nothing to abort: B/42 is not launched."
    assert plan_abort(views, RUNS[1:4]).question == "Nothing to abort: 1 finished, 1 aborted, 1 not launched."
    assert plan_launch(views, RUNS[:1]).question == "Nothing to launch: A/42 is already running."


def test_every_state_is_either_active_or_ended() -> None:
    assert {state for state in STATES if not view(RUNS[0], state).active} == ENDED
