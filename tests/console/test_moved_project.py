"""The project in a folder of any name, moved after it was set up, for a user of whom the system knows nothing but a number."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from console.commands.runs_folder import check_runs_folder
from engine.contract.bad_input import BadInput
from engine.data.wordnet.database import default_folder, find_wordnet
from tests.console.conftest import FinishedExperiment
from tests.console.nameless_user import nameless
from tests.console.tiny import PROFILE, warm, write_experiment
from tests.tools.copied_project import PARTS, copy_project, make_relocated


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    before = copy_project(tmp_path / "before")
    assert make_relocated(before) == ""
    return before.rename(tmp_path / 'my projét\'s $5 "copy"')


@pytest.mark.fault(
    "the project moved to a folder with blanks and quotes, a user without an entry in passwd",
    "make mends it; a run of its own code finishes",
)
def test_a_moved_project_runs_for_a_user_without_a_name(moved: Path, finished: FinishedExperiment) -> None:
    said = make_relocated(moved)
    assert "was moved or copied from" in said and "before/.venv: its paths are mended" in said and said.count("\n") == 1
    assert make_relocated(moved) == ""
    experiment = write_experiment(moved / "configs", epochs=1)
    wordnet = default_folder(moved / ".venv")
    wordnet.parent.mkdir()
    wordnet.symlink_to(find_wordnet(os.environ))
    runs = moved / "runs"
    warm(finished.runs, runs)
    shared = ["--experiment", "configs/experiment.toml", "--profile", PROFILE]
    chosen = ["--condition", "A", "--seed", "42", "--json"]
    program = str(moved / ".venv/bin/qllm-console")

    def console(command: str, *options: str) -> subprocess.CompletedProcess[str]:
        start = nameless(program, command, *shared, *options)
        return subprocess.run(start, cwd=moved, capture_output=True, text=True, check=False, timeout=500)

    done = console("run", *chosen)
    assert done.returncode == 0, done.stderr
    assert next(run["state"] for run in json.loads(done.stdout)["runs"]) == "finished"
    log = next(runs.glob("tiny-tiny/A_seed42/log.txt")).read_text()
    assert "Traceback" not in log
    assert sorted(path.name for path in moved.iterdir() if path.name not in PARTS) == [".venv", "runs"]
    # the code that ran is that of this folder, and the folder of this experiment is not given to another one
    other = experiment.with_name("other.toml")
    other.write_text(experiment.read_text() + "\n# another one\n")
    shared[1] = "configs/other.toml"
    done = console("run", *chosen)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "configs/other.toml:" in done.stderr and "experiment.toml, which has the same name" in done.stderr
    with pytest.raises(BadInput):
        check_runs_folder(runs / "tiny-tiny", is_written=True)
