"""``qllm-console status --json``: what it says of the conditions."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from console import cli
from console.commands.context import Context
from console.commands.status import conditions_of, run_status, status_table
from console.hosts.pull.poll_reply import reported_state
from console.runs.run_view import RunView
from engine.contract.settings import Difference, RunId
from engine.contract.state import RunGpu, RunState
from tests.console.tiny import PROFILE, write_experiment
from tests.console.ui.fake_session import FakeSession


def test_each_condition_has_its_title_and_its_differences_from_the_base(tmp_path: Path) -> None:
    options = cli.parser().parse_args(["status", "--json"], Namespace(**cli.DEFAULTS))
    options.experiment, options.profile, options.runs = write_experiment(tmp_path), PROFILE, tmp_path / "runs"
    with options.experiment.open("a") as file:
        file.write("[conditions.B.training]\nbatch_size = 32\n")
    conditions = conditions_of(Context(options))
    assert {name: one.title for name, one in conditions.items()} == {
        "A": "baseline v3.1 (control)",
        "B": "data scaling",
    }
    assert conditions["A"].differences == ()
    assert conditions["B"].differences == (Difference("training.batch_size", 32, 128),)


def test_a_run_that_is_bound_to_a_gpu_names_it() -> None:
    session, a = FakeSession(), RunId("A", 42)
    session.show(RunView(a, RunState("running", "k", gpu=RunGpu("GPU-1", "0", "L40S"))))
    status = run_status(session.snapshot.runs[a], session.snapshot)
    assert status.gpu == RunGpu("GPU-1", "0", "L40S")
    assert "GPU-1" in status_table(session.snapshot)
    session.show(RunView(a, RunState("running", "k")))
    assert "gpu" not in status_table(session.snapshot)


def test_hostile_names_of_a_gpu_are_safe_to_show() -> None:
    state = reported_state(
        {"state": "running", "key": "a" * 32, "gpu": {"uuid": "G", "index": "0", "name": "X\x1b[2J"}}
    )
    assert state.gpu is not None and "\x1b" not in state.gpu.name
