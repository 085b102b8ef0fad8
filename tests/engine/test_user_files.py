"""Runs on files of the user's own, in place of the built bundles, the built evaluation, or both."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from engine import cli
from engine.contract import metrics as metrics_file
from engine.contract.bad_input import BadInput
from engine.contract.events import Stage
from engine.contract.experiment_reader import read_experiment
from engine.contract.input_files import INPUTS, encode_input_list, remote_name
from engine.contract.run_folder import RunFolder
from engine.contract.settings import Settings, decode_spec
from engine.data.dataset_files import load, load_confirm, read_manifest
from engine.data.near_copies import near_copies
from engine.data.records import NO_ITEMS, Dataset
from engine.pipeline import prepare as prepare_module
from engine.pipeline.prepare import prepare_dataset, reference_cache
from engine.pipeline.run import run_pipeline
from tests.engine.data.formats import sample_lines as samples
from tests.engine.user_experiment import paths_of, user_settings, write_user_experiment

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("engine runs")]


def prepared(path: Path, workspace: Path, condition: str = "A") -> tuple[Dataset, Path, Settings]:
    experiment, settings = user_settings(path, condition)
    preparing = prepare_dataset(settings, workspace, reference_cache(settings, workspace, "cpu"), paths_of(experiment))
    while True:
        try:
            next(preparing)
        except StopIteration as end:
            folder: Path = end.value
            return load(folder, settings.bundle_set), folder, settings


def test_a_run_on_own_files_alone_ends_with_metrics_and_needs_no_wordnet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WNHOME", str(tmp_path))
    experiment, settings = user_settings(write_user_experiment(tmp_path / "console"))
    folder = RunFolder(tmp_path / "run")
    events = list(run_pipeline(settings, folder, tmp_path / "workspace", "cpu", paths_of(experiment)))
    assert events[0] == Stage("data", "own files")
    metrics = metrics_file.decode(folder.metrics.read_bytes())
    assert (metrics.retrieval_items, metrics.coherence_steps, metrics.bundles) == (12, 24, 66)
    assert decode_spec(folder.spec.read_bytes()).settings == settings
    assert set(pl.read_parquet(folder.items)["lemma"]) == set(samples.LEMMAS)


def test_own_bundles_are_judged_by_the_built_evaluation_as_it_is(tmp_path: Path, workspace: Path) -> None:
    path = write_user_experiment(tmp_path / "console", user_evaluation=False)
    own, folder, _ = prepared(path, workspace)
    built, built_folder, _ = prepared(path, workspace, "B")
    assert {bundle.anchor.lemma for bundle in (*own.train, *own.dev)} == set(samples.LEMMAS)
    assert own.eval_fingerprint == built.eval_fingerprint and own.data_fingerprint != built.data_fingerprint
    assert (own.retrieval, own.coherence, own.probes, own.killers) == (
        *(built.retrieval, built.coherence),
        *(built.probes, built.killers),
    )
    glosses = {event for bundle in (*own.train, *own.dev) for event in bundle.events if event.source == "gloss"}
    assert set(own.glosses) <= glosses and bool(own.glosses) == bool(glosses) and own.dev_items == NO_ITEMS
    assert folder != built_folder and read_manifest(folder).wordnet_fingerprint


def test_own_bundles_have_the_builds_confirm_split_and_none_of_its_texts(tmp_path: Path, workspace: Path) -> None:
    path = write_user_experiment(tmp_path / "console", user_evaluation=False)
    _, built_folder, _ = prepared(path, workspace, "B")
    confirm = load_confirm(built_folder, "v2.3")
    lines = [samples.listed(number) for number in range(12)]
    stolen = max((item.query.text for item in confirm.retrieval), key=len)
    lines[0]["anchor"].update(text=f"{stolen} {samples.LEMMAS[0]}")
    samples.write(path.with_name("listed.jsonl"), lines)
    _, folder, settings = prepared(path, workspace)
    own = load_confirm(folder, settings.bundle_set)
    assert (own.retrieval, own.coherence, own.killers) == (confirm.retrieval, confirm.coherence, confirm.killers)
    assert own.eval_fingerprint == confirm.eval_fingerprint
    texts = {event.text for bundle in (*own.train, *own.dev) for event in bundle.events}
    assert not any(stolen in text for text in texts)
    assert sum(read_manifest(folder).excluded.values()) == 1


def test_own_files_alone_have_no_confirm_split(tmp_path: Path) -> None:
    _, folder, settings = prepared(write_user_experiment(tmp_path / "console"), tmp_path / "workspace")
    with pytest.raises(BadInput, match="no confirm split"):
        load_confirm(folder, settings.bundle_set)


def test_built_bundles_leave_out_the_texts_of_the_users_evaluation(tmp_path: Path, workspace: Path) -> None:
    built, _, _ = prepared(write_user_experiment(tmp_path / "built", user_evaluation=False), workspace, "B")
    path = write_user_experiment(tmp_path / "console", user_bundles=False)
    stolen = built.train[0]
    items = [samples.retrieval(number) for number in range(12)]
    items[0]["candidates"][0].update(text=stolen.anchor.text + " Indeed.", span=None)
    samples.write(path.with_name("retrieval.jsonl"), items)
    dataset, folder, settings = prepared(path, workspace, "B")
    assert settings.needs_wordnet and dataset.edition == "v2.3" and 0 < len(dataset.train) < len(built.train)
    assert set(dataset.train) < set(built.train) and stolen not in dataset.train
    excluded = read_manifest(folder).excluded
    assert sum(excluded.values()) == len(built.train) + len(built.dev) - len(dataset.train) - len(dataset.dev)
    assert not near_copies((bundle.anchor.text for bundle in dataset.train), [items[0]["candidates"][0]["text"]])
    assert (dataset.glosses, dataset.dev_items) == (built.glosses, built.dev_items)
    assert prepared(path, workspace, "A")[0].eval_fingerprint == dataset.eval_fingerprint != built.eval_fingerprint


def test_development_files_join_a_build_and_keep_its_evaluation(tmp_path: Path, workspace: Path) -> None:
    path = write_user_experiment(tmp_path / "console", user_bundles=False, user_evaluation=False)
    built, _, _ = prepared(path, workspace, "B")
    stolen, taken = built.train[0].anchor, next(item for item in built.retrieval)
    items = [samples.retrieval(number) for number in range(12)]
    items[0]["candidates"][0].update(text=stolen.text, span=None)
    items[1].update(lemma=taken.lemma)
    items[2]["query"].update(text=f"{taken.query.text} {samples.LEMMAS[2]}", span=None)
    samples.write(path.with_name("grouped.jsonl"), items)
    sets = '[development.mine]\nretrieval = "grouped.jsonl"\ncoherence = "coherence.jsonl"\n'
    path.write_text(path.read_text() + sets)
    dataset, folder, settings = prepared(path, workspace, "B")
    assert not settings.has_user_evaluation and dataset.eval_fingerprint == built.eval_fingerprint
    assert dataset.data_fingerprint != built.data_fingerprint
    assert dataset.development[:-1] == built.development
    mine = dataset.development[-1]
    assert mine.name == "mine" and len(mine.coherence) == 10  # the slice takes ten lemmas
    assert {item.item_id for item in mine.retrieval} == {"eval0000", *(f"eval{number:04}" for number in range(3, 12))}
    left_out = set(built.train) - set(dataset.train)
    assert left_out and all(stolen.text in {event.text for event in bundle.events} for bundle in left_out)
    assert read_manifest(folder).excluded == {
        "retrieval item of mine with a lemma of the evaluation": 1,
        "retrieval item of mine with a near-copy of the evaluation": 1,
        "training bundle with a text of a development set": len(left_out),
    }


def test_a_dataset_of_own_files_is_prepared_again_only_when_a_file_changes(tmp_path: Path) -> None:
    path = write_user_experiment(tmp_path / "console")
    _, folder, _ = prepared(path, tmp_path / "workspace")
    before = folder.stat().st_mtime_ns
    assert prepared(path, tmp_path / "workspace")[1] == folder and folder.stat().st_mtime_ns == before
    samples.write(path.with_name("coherence.jsonl"), map(samples.coherence, range(11)))
    assert prepared(path, tmp_path / "workspace")[1] != folder


def test_a_wrong_file_is_refused_before_wordnet_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_user_experiment(tmp_path / "console", user_bundles=False)
    samples.write(
        path.with_name("killers.jsonl"), [*map(samples.killer, range(3)), {**samples.killer(3), "margin": "low"}]
    )

    def never(*_: object) -> None:
        raise AssertionError("built before the files were read")

    monkeypatch.setattr(prepare_module, "read_wordnet", never)
    with pytest.raises(
        BadInput,
        match=r"^killers.jsonl:4: evaluation.killers: 1 of 4 .*; the first: margin: must be a number, not text$",
    ):
        prepared(path, tmp_path / "workspace", "B")


def test_the_command_line_reads_and_checks_uploaded_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_user_experiment(tmp_path / "console")
    experiment = read_experiment(path)
    job, inputs = tmp_path / "job", tmp_path / "inputs"
    job.mkdir()
    inputs.mkdir()
    shutil.copy(path, job)
    (job / INPUTS).write_bytes(encode_input_list(experiment.files))
    for file in experiment.files.values():
        shutil.copy(file.path, inputs / remote_name(file.sha256))
    options = ["--experiment", str(job / path.name), "--profile", "tiny", "--inputs", str(inputs)]
    assert cli.main(["check", *options]) == 0
    run = ["run", *options, "--condition", "A", "--seed", "42", "--device", "cpu", "--workspace", str(tmp_path / "ws")]
    assert cli.main([*run, "--output", str(tmp_path / "run")]) == 0
    assert decode_spec((tmp_path / "run" / "spec.json").read_bytes()).settings == user_settings(path)[1]
    evaluate = ["evaluate", str(tmp_path / "run"), "--device", "cpu", "--workspace", str(tmp_path / "ws")]
    evaluate += ["--output", str(tmp_path / "evaluation")]
    assert cli.main(evaluate) == 2
    assert "--experiment: the experiment names no file with the content that " in capsys.readouterr().err
    assert cli.main([*evaluate, "--experiment", str(job / path.name), "--inputs", str(inputs)]) == 0
    items = [(tmp_path / name / "items.parquet").read_bytes() for name in ("run", "evaluation")]
    assert items[0] == items[1]
    capsys.readouterr()

    samples.write(path.with_name("retrieval.jsonl"), [samples.retrieval(0), b"{}"])
    assert cli.main(["check", "--experiment", str(path), "--profile", "tiny"]) == 2
    assert (
        "retrieval.jsonl:2: evaluation.retrieval: 1 of 2 records quarantined (50%, at most 20%)"
        in capsys.readouterr().err
    )
    output = tmp_path / "other"
    refused = ["run", "--experiment", str(path), *run[3:], "--output", str(output)]
    refused = [option for option in refused if option not in ("--inputs", str(inputs))]
    assert cli.main(refused) == 2 and not output.exists()
    assert capsys.readouterr().err.count("\n") == 1
