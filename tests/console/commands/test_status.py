"""``qllm-console status``: what it says of the conditions, and of costs."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from pathlib import Path

import pytest
from msgspec.structs import replace

from console import cli
from console.commands.context import Context
from console.commands.status import conditions_of, run_status, status, status_table
from console.hosts.pull.poll_reply import reported_state
from console.runs.run_view import RunView
from engine.contract.settings import Difference, RunId
from engine.contract.state import RunGpu, RunState
from tests.console.commands.json_checker import checked
from tests.console.commands.quick_engine import command, run_folders, use_job
from tests.console.commands.scripted import scripted_context, shown
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


def test_the_text_says_what_it_is_about_and_shows_times_as_the_console_does(capsys: pytest.CaptureFixture[str]) -> None:
    a, b, c = (RunId(name, 42) for name in "ABC")
    first, last = (1, 1000.0), (51, 1250.0)
    ended = RunState("finished", "k", started_at=990.0, ended_at=1500.0)
    running = RunState("running", "k", started_at=990.0)
    trains = RunView(b, running, stage="train", total_steps=101, first_step=first, last_step=last)
    done = RunView(a, ended, stage="seal", total_steps=101, first_step=first, last_step=(101, 1490.0))
    shot = shown({})
    known = replace(shot, runs=shot.runs | {a: done, b: trains})
    waiting = replace(known, runs=known.runs | {c: RunView(c, RunState("queued", "k", ticket=1))})
    texts = []
    for one in (known, waiting):
        assert status(scripted_context(["status"], [one])) == 0
        texts.append(capsys.readouterr().out)
        assert texts[-1].startswith("scaling, profile full, on the box\n") and "left_s" not in texts[-1]
        (row,) = [line.split() for line in texts[-1].splitlines() if line.startswith("B ") and "running" in line]
        assert row[2:6] == ["running", "train", "50%", "4:10"]
    assert "time: about 4 min left\n" in texts[0] and "time: at least 4 min left\n" in texts[1]


def test_hostile_names_of_a_gpu_are_safe_to_show() -> None:
    state = reported_state(
        {"state": "running", "key": "a" * 32, "gpu": {"uuid": "G", "index": "0", "name": "X\x1b[2J"}}
    )
    assert state.gpu is not None and "\x1b" not in state.gpu.name


@pytest.mark.server
def test_costs_are_told_with_those_since_the_last_run_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_job(monkeypatch, "")
    assert command("run", tmp_path, "--seed", "42")() == 0
    for state in run_folders(tmp_path).glob("?_seed42/state.json"):
        kept = json.loads(state.read_bytes())
        now = time.time()
        state.write_text(json.dumps({**kept, "started_at": now - 7200, "ended_at": now - 3600}))
    capsys.readouterr()
    options = cli.parser().parse_args(["status"], Namespace(**cli.DEFAULTS))
    options.experiment, options.profile, options.runs = write_experiment(tmp_path), PROFILE, tmp_path / "runs"
    context = Context(options)
    context.host = replace(context.host, price_per_hour=1.5, currency="EUR")
    assert status(context) == 0
    assert "cost: 1.50 EUR, 1.50 more since the last run ended" in capsys.readouterr().out
    options.json = True
    assert status(context) == 0
    cost = checked(capsys.readouterr().out)["cost"]
    assert (cost["currency"], round(cost["spent"], 2), round(cost["idle"], 2)) == ("EUR", 1.5, 1.5)
