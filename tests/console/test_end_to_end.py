"""The whole product, headless: the real engine on the real embedded host, over real SSH."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from console.hosts.agent import job_processes
from console.results.analysis.plan import plan_of, read_plan
from engine.contract import manifest
from engine.contract.experiment_reader import read_experiment
from engine.contract.run_folder import size_and_sha256
from tests.console.conftest import FinishedExperiment
from tests.console.terminal import Terminal
from tests.console.tiny import LONG, arguments, console, status, warm, write_experiment
from tests.console.user_modules import write_user_modules
from tests.console.waiting import until


def run_state(runs: Path, run: str) -> dict[str, Any]:
    """What the host's own file says."""
    try:
        state: dict[str, Any] = json.loads(
            (runs / ".local-host" / "runs" / "tiny-tiny" / run / "state.json").read_bytes()
        )
    except FileNotFoundError:
        return {"state": "none"}
    return state


def scores_of(printed: dict[str, Any], condition: str, seed: int) -> dict[str, Any]:
    """What was printed of one run, without how long it took."""
    (run,) = (one for one in printed["runs"] if (one["condition"], one["seed"]) == (condition, seed))
    return {**run, "seconds": None}


def results_of(printed: dict[str, Any]) -> dict[str, Any]:
    """Without the command that printed them, and the time that it took to compute what is printed."""
    timeline = [row for row in printed["training"]["timeline"] if row["part"] != "analysis"]
    return {**printed, "command": "", "training": {**printed["training"], "timeline": timeline}}


def test_the_printed_results_have_every_number_of_every_run(finished: FinishedExperiment) -> None:
    runs = finished.printed["runs"]
    assert [(run["condition"], run["seed"], run["state"]) for run in runs] == [
        (condition, seed, "finished") for condition in "AB" for seed in (42, 123)
    ]
    for run in runs:
        for scores in (run, run["mean_pool"]):
            assert 0 <= scores["top1"] <= scores["top3"] <= 1 and 0 <= scores["coherence"] <= 1
            assert scores["margins"]["p5"] <= scores["margins"]["mean"] <= scores["margins"]["p95"]
            assert sum(tier["items"] for tier in scores["tiers"].values()) == 30
        assert [gate["gate"] for gate in run["gates"]] == ["retrieval_top1", "retrieval_top3", "coherence_accuracy"]
    for condition in finished.printed["conditions"]:
        tops = [run["top1"] for run in runs if run["condition"] == condition["condition"]]
        assert condition["top1"]["mean"] == pytest.approx(sum(tops) / 2)
        assert condition["top1"]["sd"] == pytest.approx(abs(tops[0] - tops[1]) / 2**0.5)
        failed = [gate for gate in condition["gates"] if not gate["passed"]]
        assert condition["verdict"] == ("fail" if failed else "pass")


def test_results_reads_the_same_again_without_a_host(finished: FinishedExperiment) -> None:
    again = console("results", finished.experiment, finished.runs, "--json")
    assert again.returncode == 0
    assert results_of(json.loads(again.stdout)) == results_of(finished.printed)


def test_results_as_text_names_each_gate(finished: FinishedExperiment) -> None:
    printed = console("results", finished.experiment, finished.runs, "--exit-code")
    assert printed.returncode in (5, 7), "twenty lemmas show no gate to be passed"
    text = printed.stdout
    assert all(text.count(f"{gate} ≥ ") == 1 for gate in ("top-1", "top-3", "coherence"))
    assert re.search(r"^A/123 +finished ", text, re.MULTILINE)
    assert len(re.findall(r"^[AB] .*(PASS|FAIL) \d", text, re.MULTILINE)) == 2


def test_the_plan_of_the_analysis_is_kept_before_the_first_results(finished: FinishedExperiment) -> None:
    file, problem = read_plan(finished.runs / "tiny-tiny")
    assert problem == "" and file is not None and file.runs_before == 0
    assert file.plan == plan_of(read_experiment(finished.experiment), "tiny")
    assert file.plan.comparisons == (("B", "A"),) and file.plan.seeds == (42, 123)


def test_local_capsules_match_their_manifests(finished: FinishedExperiment) -> None:
    for run in ("A_seed42", "A_seed123", "B_seed42", "B_seed123"):
        folder = finished.runs / "tiny-tiny" / run
        sealed = manifest.decode((folder / "manifest.json").read_bytes())
        assert {"spec.json", "events.jsonl", "log.txt", "items.parquet", "checkpoint.safetensors"} <= {
            entry.path for entry in sealed.files
        }
        assert all(size_and_sha256(folder / entry.path)[1] == entry.sha256 for entry in sealed.files)


def test_running_again_keeps_what_finished_with_the_same_settings(finished: FinishedExperiment) -> None:
    again = console("run", finished.experiment, finished.runs, "--json")
    assert again.returncode == 0 and "4 finished with these settings" in again.stderr
    assert results_of(json.loads(again.stdout)) == results_of(finished.printed)


def test_another_invocation_among_modules_of_the_users_gives_identical_metrics(
    finished: FinishedExperiment, tmp_path: Path
) -> None:
    """In its folder, the home folder, the workspace and PYTHONPATH lie files with the names of modules."""
    folder = write_user_modules(tmp_path / "folder")
    write_user_modules(tmp_path / "runs" / ".local-host")
    # Python's own start and the installed program's first line import some before anything of ours can prevent it
    named = write_user_modules(tmp_path / "named", ("json", "queue", "random", "hashlib", "engine", "torch"))
    environ = {"HOME": str(folder), "PYTHONPATH": str(named), "PYTHONSTARTUP": str(named / "queue.py")}
    program = str(Path(sys.executable).with_name("qllm-console"))
    # B: that A is the same in another workspace is shown by the engine's own tests
    one = ("--condition", "B", "--seed", "123", "--json")
    other = console("run", finished.experiment, tmp_path / "runs", *one, environ=environ, cwd=folder, program=program)
    assert other.returncode == 0, other.stderr
    assert scores_of(json.loads(other.stdout), "B", 123) == scores_of(finished.printed, "B", 123)
    ours, theirs = (root / "tiny-tiny" / "B_seed123" for root in (tmp_path / "runs", finished.runs))
    for name in ("items.parquet", "attention.parquet", "checkpoint.safetensors"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()


def test_a_failed_ship_blocker_under_strict_is_exit_5_and_its_results_are_kept(
    finished: FinishedExperiment, tmp_path: Path
) -> None:
    experiment = write_experiment(tmp_path, strict=True)
    warm(finished.runs, tmp_path / "runs")
    experiment.write_text(experiment.read_text().replace("retrieval_top1 = 0.30", "retrieval_top1 = 1.0"))
    done = console("run", experiment, tmp_path / "runs", "--json", "--condition", "A", "--seed", "42")
    printed = json.loads(done.stdout)
    assert done.returncode == 5, done.stderr
    assert printed["runs"][0]["state"] == "failed" and printed["runs"][0]["top1"] is not None


def test_abort_leaves_no_process_and_the_next_queued_run_starts(finished: FinishedExperiment, tmp_path: Path) -> None:
    experiment, runs = write_experiment(tmp_path, epochs=LONG), tmp_path / "runs"
    warm(finished.runs, runs)
    assert console("run", experiment, runs, "--detach").returncode == 0
    until(lambda: run_state(runs, "A_seed42").get("job") and run_state(runs, "A_seed123").get("job"))
    assert run_state(runs, "B_seed42")["state"] == "queued"
    key = run_state(runs, "A_seed42")["key"]
    assert job_processes.job_processes(key, None, None)
    done = console("abort", experiment, runs, "--condition", "A", "--seed", "42")
    assert done.returncode == 0 and re.fullmatch(r"A/42: aborted by \S+\n", done.stdout), done
    assert not job_processes.job_processes(key, None, None)
    until(lambda: run_state(runs, "B_seed42").get("job"), 10)
    assert console("abort", experiment, runs, "--all").returncode == 0
    states = {run: row["state"] for run, row in status(experiment, runs).items()}
    assert set(states.values()) == {"aborted"}, states


def test_an_aborted_run_is_resumed_from_its_checkpoint(finished: FinishedExperiment, tmp_path: Path) -> None:
    experiment, runs = write_experiment(tmp_path, epochs=20), tmp_path / "runs"
    warm(finished.runs, runs)
    one = ("--condition", "A", "--seed", "42")
    assert console("run", experiment, runs, "--detach", *one).returncode == 0
    events = runs / ".local-host" / "runs" / "tiny-tiny" / "A_seed42" / "events.jsonl"
    until(lambda: events.exists() and events.read_bytes().count(b'"type":"checkpoint"') > 3)
    assert console("abort", experiment, runs, *one).returncode == 0
    before = events.read_bytes()
    done = console("run", experiment, runs, *one)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "resumes from the last checkpoint" in done.stderr
    said = [json.loads(line) for line in events.read_bytes().splitlines()]
    assert events.read_bytes().startswith(before[: before.rfind(b"\n") + 1]), "what it said before stands"
    assert [event["seq"] for event in said] == list(range(len(said)))
    assert sum(event["body"].get("name") == "warm_start" for event in said) == 1
    assert {event["body"]["epoch"] for event in said if event["body"]["type"] == "measurement"} == set(range(0, 21, 2))


@pytest.mark.fault("console killed in mid-experiment, in a real terminal", "the runs finish; nothing is launched twice")
def test_a_killed_console_loses_nothing_and_shows_the_runs_as_they_are(
    finished: FinishedExperiment, tmp_path: Path
) -> None:
    """The real console in a real terminal: one key launches all, SIGKILL, and a second one finds and finishes them."""
    experiment, runs = write_experiment(tmp_path, epochs=15), tmp_path / "runs"
    warm(finished.runs, runs)
    command = arguments("run", experiment, runs)
    command.remove("run")
    with Terminal(command, os.environ) as terminal:  # killed at its end
        terminal.wait_for("to launch all", 60)
        terminal.press("a", "queued", 60)
        until(lambda: run_state(runs, "B_seed123")["state"] == "queued" and run_state(runs, "A_seed42").get("job"))
    keys = {run: run_state(runs, run)["key"] for run in ("A_seed42", "A_seed123", "B_seed42", "B_seed123")}
    assert {row["state"] for row in status(experiment, runs).values()} <= {"queued", "running", "finished"}
    done = console("run", experiment, runs, "--json")
    assert done.returncode == 0, done.stderr
    assert {run["state"] for run in json.loads(done.stdout)["runs"]} == {"finished"}
    assert {run: run_state(runs, run)["key"] for run in keys} == keys, "nothing was launched a second time"


@pytest.fixture(autouse=True)
def _nothing_is_left_running(tmp_path: Path) -> Any:
    """A test that fails must not leave its runs to the next ones."""
    yield
    for one in psutil.process_iter(["cmdline"]):
        command = " ".join(one.info["cmdline"] or ())
        if str(tmp_path) in command and one.pid != os.getpid():
            one.kill()


def test_no_run_is_left_half_made_when_the_host_lacks_wordnet(tmp_path: Path) -> None:
    experiment, runs = write_experiment(tmp_path), tmp_path / "runs"
    done = console("run", experiment, runs, environ={"WNHOME": str(tmp_path / "nowhere")})
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("qllm-console: error:")]
    assert len(errors) == 1 and re.search("nowhere", errors[0]), done.stderr
    assert not list((runs / ".local-host").glob("runs/*/*")) and not list((runs / ".local-host" / "jobs").iterdir())
