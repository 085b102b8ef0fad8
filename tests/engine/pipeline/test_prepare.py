"""Preparation: built by one process, waited for by others, not built again; work in a thread that reports progress."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.contract.events import Progress
from engine.contract.settings import Settings
from engine.data.build import Report, build_all
from engine.data.dataset_files import load
from engine.pipeline import prepare as prepare_module
from engine.pipeline.prepare import prepare_dataset, progress_of, reference_cache
from tests.engine.tiny_experiment import tiny_settings, write_experiment

pytestmark = pytest.mark.xdist_group("engine runs")


@pytest.fixture
def experiment(tmp_path: Path, tiny_encoder: Path) -> Path:
    """The tiny experiment with a tiny encoder: what is prepared when does not depend on which one it is."""
    path = write_experiment(tmp_path / "experiment.toml")
    text = path.read_text().replace('model = "minilm"', f'model = "{tiny_encoder}"')
    path.write_text(text.replace("layers = [6]", "layers = [2]").replace("layers = [3, 6]", "layers = [1, 2]"))
    return path


@pytest.fixture
def settings(experiment: Path) -> Settings:
    return tiny_settings(experiment)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Filled by whoever runs first."""
    return tmp_path_factory.mktemp("workspace")


def prepared(settings: Settings, workspace: Path) -> tuple[Path, list[Progress]]:
    preparing = prepare_dataset(settings, workspace, reference_cache(settings, workspace, "cpu"))
    progress_seen: list[Progress] = []
    while True:
        try:
            progress_seen.append(next(preparing))
        except StopIteration as end:
            folder: Path = end.value
            return folder, progress_seen


def test_an_existing_dataset_is_not_built_and_wordnet_not_read_again(
    settings: Settings, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = prepared(settings, workspace)
    assert load(folder, "v2.2").train

    def never(*_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(prepare_module, "read_wordnet", never)
    assert prepared(settings, workspace) == (folder, [])


def test_concurrent_preparations_build_once(
    settings: Settings, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(settings, workspace)
    builds: list[int] = []
    begun, proceed = threading.Event(), threading.Event()

    def slow(*arguments: object) -> None:
        builds.append(1)
        begun.set()
        assert proceed.wait(30)
        real(*arguments)

    real: Callable[..., None] = build_all
    monkeypatch.setattr(prepare_module, "build_all", slow)
    other_workspace = tmp_path / "other"
    other_workspace.mkdir()
    (other_workspace / "cache").symlink_to(workspace / "cache")
    made: list[tuple[Path, list[Progress]]] = []
    threads = [threading.Thread(target=lambda: made.append(prepared(settings, other_workspace))) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert begun.wait(60)
    proceed.set()
    for thread in threads:
        thread.join()
    assert len(builds) == 1
    assert made[0][0] == made[1][0]


KILLED = """
import sys
from pathlib import Path
from engine.encoder import shape
from engine.pipeline.prepare import prepare_dataset, reference_cache
from tests.engine.tiny_experiment import tiny_settings
shape._SHARD_TOKENS = 2_000
settings, workspace = tiny_settings(Path(sys.argv[1])), Path(sys.argv[2])
for progress in prepare_dataset(settings, workspace, reference_cache(settings, workspace, "cpu")):
    print(progress.done, progress.total, progress.unit, flush=True)
"""


def test_a_build_that_is_killed_in_the_middle_continues_with_its_encoded_texts(
    settings: Settings, experiment: Path, tmp_path: Path, workspace: Path
) -> None:
    expected, _ = prepared(settings, workspace)
    other_workspace = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED, str(experiment), str(other_workspace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        progress_seen = (line.split() for line in process.stdout)
        done, total = next(
            (int(done), int(total)) for done, total, unit in progress_seen if unit == "texts" and int(done) > 200
        )
        process.kill()
    assert done < total
    folder, progress = prepared(settings, other_workspace)
    rest = next(step.total for step in progress if step.unit == "texts")
    assert rest <= total - done
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in expected.iterdir()
    }


def test_progress_is_yielded_while_the_work_is_running() -> None:
    seen = threading.Event()

    def work(report: Report) -> None:
        report(1, 2, "texts")
        assert seen.wait(5)
        report(2, 2, "texts")

    running = progress_of(work)
    assert next(running) == Progress(1, 2, "texts")
    seen.set()
    assert list(running) == [Progress(2, 2, "texts")]


def test_an_exception_of_the_work_is_raised_to_the_caller() -> None:
    def work(report: Report) -> None:
        report(1, 2, "texts")
        raise KeyError("lost")

    running = progress_of(work)
    assert next(running) == Progress(1, 2, "texts")
    with pytest.raises(KeyError, match="lost"):
        next(running)
