"""An experiment over the user's own files is launched like any other: they are sent to the host by their hash."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from console.hosts.host_config import HostConfig
from console.hosts.ssh.access import Access
from console.hosts.ssh.connection import open_connection
from console.hosts.transfer.uploads import send_inputs
from engine.contract.bad_input import BadInput
from engine.contract.experiment_reader import read_experiment
from engine.contract.input_files import remote_name
from tests.engine.data.formats import sample_lines as samples
from tests.engine.user_experiment import write_user_experiment

pytestmark = pytest.mark.server


def run(experiment: Path, runs: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = (
        "--experiment",
        str(experiment),
        "--runs",
        str(runs),
        "--profile",
        "tiny",
        "--condition",
        "A",
        "--seed",
        "42",
    )
    return subprocess.run(
        [sys.executable, "-m", "console.cli", "run", "--json", "--no-strict", *command, *more],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


def test_a_run_over_own_files_finishes_on_a_host_that_had_none_of_them(tmp_path: Path) -> None:
    experiment, runs = write_user_experiment(tmp_path / "mine"), tmp_path / "runs"
    development = [samples.retrieval(lemma="fork", first=40)]  # a lemma and texts that the evaluation does not have
    samples.write(experiment.with_name("development.jsonl"), development)
    experiment.write_text(experiment.read_text() + '[development.mine]\nretrieval = "development.jsonl"\n')
    done = run(experiment, runs)
    assert done.returncode == 0, done.stderr
    spec = json.loads((runs / "scaling-tiny" / "A_seed42" / "spec.json").read_bytes())
    files = read_experiment(experiment).files
    assert "development.jsonl" in files
    assert {one["sha256"] for one in spec["settings"]["inputs"]} == {file.sha256 for file in files.values()}
    held = runs / ".local-host" / "inputs"
    for file in files.values():
        assert (held / remote_name(file.sha256)).read_bytes() == file.path.read_bytes()


def test_a_file_that_fails_the_gate_is_refused_before_anything_is_queued(tmp_path: Path) -> None:
    experiment, runs = write_user_experiment(tmp_path / "mine"), tmp_path / "runs"
    (tmp_path / "mine" / "retrieval.jsonl").write_text('{"eval_id": "broken"\n')
    done = run(experiment, runs)
    assert done.returncode == 2
    assert "retrieval.jsonl" in done.stderr and len(done.stderr.strip().splitlines()) == 2, done.stderr
    assert not (runs / "scaling-tiny" / "A_seed42").exists()


def test_a_missing_file_is_named_with_its_place_in_the_experiment(tmp_path: Path) -> None:
    experiment = write_user_experiment(tmp_path / "mine")
    (tmp_path / "mine" / "coherence.jsonl").unlink()
    done = run(experiment, tmp_path / "runs")
    assert done.returncode == 2
    assert "experiment.toml" in done.stderr and "evaluation.coherence" in done.stderr
    assert not (tmp_path / "runs").exists()


async def test_a_file_that_changed_since_it_was_read_is_not_sent(tmp_path: Path) -> None:
    experiment = write_user_experiment(tmp_path / "mine")
    files = read_experiment(experiment).files
    (tmp_path / "mine" / "grouped.jsonl").write_text("{}\n")
    async with open_connection(HostConfig("here", "embedded"), tmp_path / "workspace", Access()) as connection:
        with pytest.raises(BadInput, match=r"grouped\.jsonl.*has changed since it was read"):
            await send_inputs(connection, "here", tmp_path / "home", experiment.read_text(), files)
        assert not (tmp_path / "workspace" / "inputs").exists()
