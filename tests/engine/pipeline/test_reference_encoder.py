"""Data and evaluation do not depend on what a condition's head reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contract.bad_input import BadInput
from engine.contract.experiment_reader import read_experiment
from engine.contract.run_folder import RunFolder
from engine.contract.settings import RunId, encoders_of, resolve
from engine.encoder import encoder as encoder_module
from engine.encoder.encoder import Encoder
from engine.pipeline.evaluate import evaluate_run
from engine.pipeline.prepare import prepare, reference_cache
from tests.engine.pipeline.finished_run import FinishedRun
from tests.engine.tiny_encoder import write_tiny_encoder
from tests.engine.tiny_experiment import write_experiment

pytestmark = pytest.mark.xdist_group("engine runs")

CONDITIONS = """
[conditions.D]
title = "layers 3 and 6"
edition = "v2.2"
curriculum = "uniform"
encoder.layers = [3, 6]
[conditions.E]
title = "an encoder of another family, width and depth, that reads fewer tokens, its last layer trained"
edition = "v2.2"
curriculum = "uniform"
encoder.model = "{encoder}"
encoder.layers = [1, 2, 3]
encoder.trained_layers = 1
training.steps = 4
model.embedding_size = 16
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    encoder = tmp_path_factory.mktemp("encoder")
    write_tiny_encoder(encoder, width=24, layers=3, family="roberta", positions=64)
    path = write_experiment(tmp_path_factory.mktemp("experiment") / "experiment.toml")
    path.write_text(path.read_text() + CONDITIONS.format(encoder=encoder))
    return path


def test_heads_of_other_layers_and_encoders_have_the_same_data_and_evaluation(
    path: Path, finished: FinishedRun, workspace: Path, tmp_path: Path
) -> None:
    experiment = read_experiment(path)
    builds = sorted(folder.name for folder in (workspace / "data").iterdir())
    runs = [
        FinishedRun(resolve(experiment, "tiny", RunId(name, 42)), tmp_path / name, workspace) for name in ("D", "E")
    ]
    prints = {(run.metrics.data_fingerprint, run.metrics.eval_fingerprint) for run in (finished, *runs)}
    assert len(prints) == 1
    assert sorted(folder.name for folder in (workspace / "data").iterdir()) == builds
    # killers and tiers are the reference encoder's; the baseline beside a head reads what the head reads
    assert {run.metrics.killer_set for run in runs} == {finished.metrics.killer_set}
    assert len({run.metrics.mean_pool.retrieval_top1 for run in (finished, *runs)}) > 1
    # trained encoder layers are in the checkpoint
    output = RunFolder(tmp_path / "evaluated")
    list(evaluate_run(runs[1].folder, output, workspace, "cpu"))
    assert output.items.read_bytes() == runs[1].folder.items.read_bytes()


def test_each_text_is_encoded_once_for_all_conditions_of_an_encoder(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = read_experiment(path)
    encoded: dict[str, list[str]] = {}
    real = Encoder.encode

    def counted(self: Encoder, texts: list[str], layers: tuple[int, ...]) -> object:
        encoded.setdefault(self.settings.model, []).extend(texts)
        return real(self, texts, layers)

    monkeypatch.setattr(encoder_module.Encoder, "encode", counted)
    for name in ("A", "D", "E"):
        settings = resolve(experiment, "tiny", RunId(name, 42))
        for _ in prepare(settings, tmp_path, "cpu", encoders=encoders_of(experiment, "tiny")):
            pass
    assert encoded.keys() == {"minilm", experiment.conditions["E"].encoder["model"]}
    for texts in encoded.values():
        assert len(texts) == len(set(texts)) > 100


def test_a_reference_encoder_that_cannot_be_used_is_named_by_its_own_setting(path: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "experiment.toml"
    wrong.write_text(path.read_text().replace("layers = [6]", "layers = [7]", 1))
    settings = resolve(read_experiment(wrong), "tiny", RunId("A", 42))
    with pytest.raises(BadInput, match=r"^data\.reference_encoder\.layers: the encoder has layers 0 to 6, not 7"):
        reference_cache(settings, tmp_path, "cpu")
