"""An exported folder: loaded by Sentence Transformers without the engine, it gives the engine's vectors."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from engine.contract.experiment import EncoderSettings, ModelSettings, SenseText
from engine.contract.run_folder import RunFolder
from engine.data.bundles.encoder_text import gloss_encoder_input
from engine.data.records import Pos
from engine.encoder.encoder_input import EncoderInput
from engine.encoder.token_cache import TokenCache
from engine.export.model_folder import gloss_format, hub_reference, module_sources, read_run, write_model_folder
from engine.model import architecture
from engine.model.embedding import embed_rows
from tests.engine.export.trained_run import TrainedRun

CONTEXTS = (
    "He sat on the bank of the river",
    "the bank lent us money at two percent, which nobody had thought possible in that year",
    "a bank",
    "Naïve café bankers’ — bank!",
    " ".join(["they bank on it and on everything else"] * 12),  # longer than is read
)
GLOSSES: tuple[tuple[str, Pos, str], ...] = (
    ("bank", "n", "sloping land beside a body of water"),
    ("bank on", "v", "have faith or confidence in"),
    ("so-called", "a", "doubtful or suspect"),
)
RESIDUAL = ModelSettings(
    architecture="residual",
    sense_text="lemma (pos): gloss",
    hidden_size=8,
    context_weights=(1.0, 0.5, 2.0, 1.0),
    gloss_weights=(1.0, 1.0, 0.5, 0.0),
)
SENSE = ModelSettings(embedding_size=24)


def exported(run: TrainedRun, destination: Path) -> Path:
    write_model_folder(read_run(run.folder), run.folder, destination, include_encoder=False)
    return destination


def load(folder: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Any:
    """``SentenceTransformer(folder, trust_remote_code=True)`` where there is no engine."""
    from sentence_transformers import SentenceTransformer

    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(cache))
    monkeypatch.syspath_prepend(str(cache))
    for name in [name for name in sys.modules if name.split(".")[0] == "transformers_modules"]:
        monkeypatch.delitem(sys.modules, name)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "engine", None)
        return SentenceTransformer(str(folder), trust_remote_code=True, device="cpu")


def inputs_of(sense_text: SenseText) -> tuple[list[EncoderInput], list[str | dict[str, Any]]]:
    """What the engine reads, and the same as inputs of an exported folder."""
    read = [EncoderInput(text) for text in CONTEXTS]
    given: list[str | dict[str, Any]] = [*CONTEXTS]
    for text in CONTEXTS[:-1]:
        start = text.index("bank")
        read.append(EncoderInput(text, start, start + 4))
        given.append({"text": text, "start": start, "end": start + 4})
    for lemma, pos, gloss in GLOSSES:
        read.append(gloss_encoder_input(lemma, pos, gloss, sense_text))
        given.append({"lemma": lemma, "pos": pos, "gloss": gloss})
    return read, given


@pytest.mark.parametrize(
    ("model", "layers", "trained", "rank"),
    [
        (SENSE, (2,), 0, 0),
        (SENSE, (0, 2), 0, 0),
        (RESIDUAL, (1, 2), 0, 0),
        (SENSE, (2,), 1, 0),
        (RESIDUAL, (1, 2), 2, 3),
    ],
)
def test_an_exported_folder_gives_the_vectors_of_the_engine(
    tmp_path: Path,
    tiny_encoder: Path,
    model: ModelSettings,
    layers: tuple[int, ...],
    trained: int,
    rank: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder = EncoderSettings(str(tiny_encoder), layers, max_tokens=48, trained_layers=trained, lora_rank=rank)
    run = TrainedRun(tmp_path / "run", encoder, model)
    assert_same_vectors(run, tmp_path, monkeypatch)


def test_so_does_one_of_the_packaged_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = TrainedRun(tmp_path / "run", EncoderSettings("minilm", (3, 6)), RESIDUAL)
    assert_same_vectors(run, tmp_path, monkeypatch)


def assert_same_vectors(run: TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, given = inputs_of(run.settings.model.sense_text)
    states = TokenCache(tmp_path / "cache", run.encoder).states(read)
    expected = embed_rows(run.head, states, states.rows(read))[0].numpy()
    exporting = load(exported(run, tmp_path / "exported"), monkeypatch, tmp_path / "modules")
    torch.set_num_threads(2)  # as elsewhere; it must change nothing
    try:
        vectors = exporting.encode(given, batch_size=4)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert vectors.shape == expected.shape
    assert np.abs(vectors - expected).max() <= 1e-6
    assert exporting.get_embedding_dimension() == expected.shape[1]
    assert exporting.max_seq_length == run.settings.encoder.max_tokens
    # the target word and the role of a gloss are used by the head that reads them
    if run.settings.model.architecture == "residual":
        assert np.abs(vectors[0] - vectors[len(CONTEXTS)]).max() > 1e-3
        as_context = exporting.encode(read[-1].text)
        assert np.abs(as_context - vectors[-1]).max() > 1e-3


def test_what_was_loaded_can_be_saved_and_loaded_again(
    tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = TrainedRun(tmp_path / "run", EncoderSettings(str(tiny_encoder), (1, 2)), RESIDUAL)
    first = load(exported(run, tmp_path / "exported"), monkeypatch, tmp_path / "modules")
    first.save_pretrained(str(tmp_path / "saved"))
    second = load(tmp_path / "saved", monkeypatch, tmp_path / "modules 2")
    given = inputs_of("lemma (pos): gloss")[1]
    assert np.array_equal(first.encode(given), second.encode(given))


def test_inputs_of_no_known_form_are_refused(
    tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = TrainedRun(tmp_path / "run", EncoderSettings(str(tiny_encoder), (1, 2)), RESIDUAL)
    exporting = load(exported(run, tmp_path / "exported"), monkeypatch, tmp_path / "modules")
    for wrong, message in (
        ({"text": "a bank", "start": 2}, "an input is one of"),
        ({"text": "a bank", "start": 2, "end": 9}, "no target word"),
        ({"lemma": "bank", "gloss": "land"}, "lacks pos"),
        ({"context": "a bank"}, "an input is one of"),
        (7, "an input is one of"),
    ):
        with pytest.raises(ValueError, match=message):
            exporting.encode([wrong])


def test_the_code_in_the_folder_imports_nothing_of_the_engine_and_little_else() -> None:
    sources = module_sources()
    assert "sense_encoder.py" in sources
    imported = set()
    for text in sources.values():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert f"{node.module}.py" in sources
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).split(".")[0])
            elif isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
    assert imported - sys.stdlib_module_names == {"torch", "safetensors", "sentence_transformers", "transformers"}


def test_every_architecture_can_be_exported() -> None:
    from engine.export import sense_encoder  # here, since Sentence Transformers takes seconds to import

    assert sense_encoder.HEADS == architecture.HEADS


@pytest.mark.parametrize("sense_text", ["gloss", "lemma: gloss", "lemma (pos): gloss"])
def test_senses_are_read_as_in_the_run(sense_text: SenseText) -> None:
    names = {"n": "noun", "v": "verb", "a": "adjective"}
    for lemma, pos, gloss in GLOSSES:
        text = gloss_format(sense_text).format(lemma=lemma, pos=names[pos], gloss=gloss)
        assert text == gloss_encoder_input(lemma, pos, gloss, sense_text).text


def test_the_encoder_is_included_unless_the_hub_has_it_under_a_name_and_commit(
    tmp_path: Path, tiny_encoder: Path
) -> None:
    run = TrainedRun(tmp_path / "run", EncoderSettings(str(tiny_encoder), (2,)), SENSE)
    folder = exported(run, tmp_path / "exported")
    assert {path.name for path in (folder / "encoder").iterdir()} >= {"model.safetensors", "tokenizer.json"}
    assert msgspec.json.decode((folder / "sense_encoder.json").read_bytes())["encoder"] is None

    snapshot = tmp_path / "models--someone--model" / "snapshots" / ("0123456789" * 4)
    assert hub_reference("someone/model", snapshot) == {"model": "someone/model", "revision": "0123456789" * 4}
    assert hub_reference("minilm", snapshot) is None
    assert hub_reference(str(tiny_encoder), tiny_encoder) is None


def test_a_run_without_an_evaluation_is_exported_and_its_card_says_so(tmp_path: Path, tiny_encoder: Path) -> None:
    run = TrainedRun(tmp_path / "run", EncoderSettings(str(tiny_encoder), (2,)), SENSE)
    RunFolder(run.folder.root).metrics.unlink()
    assert "This run was not evaluated" in (exported(run, tmp_path / "exported") / "README.md").read_text()
