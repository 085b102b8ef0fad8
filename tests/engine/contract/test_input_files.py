"""Files of the user's own: named, hashed, uploaded to a host under their hashes, and found by them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.contract.bad_input import BadInput
from engine.contract.experiment_reader import read_experiment
from engine.contract.input_files import INPUTS, encode_input_list, read_input_list, remote_name
from engine.contract.settings import RunId, resolve
from tests.engine.user_experiment import EVALUATION, user_settings, write_user_experiment


@pytest.fixture
def experiment_file(tmp_path: Path) -> Path:
    return write_user_experiment(tmp_path / "here")


def upload(experiment_file: Path, host: Path) -> tuple[Path, Path]:
    """The experiment as a host has it: its file and listing in a job's folder, the files under their hashes elsewhere."""
    files = read_experiment(experiment_file).files
    job, folder = host / "job", host / "inputs"
    job.mkdir(parents=True)
    folder.mkdir()
    (job / "experiment.toml").write_bytes(experiment_file.read_bytes())
    (job / INPUTS).write_bytes(encode_input_list(files))
    for file in files.values():
        (folder / remote_name(file.sha256)).write_bytes(file.path.read_bytes())
    return job / "experiment.toml", folder


def test_settings_carry_the_files_by_content(experiment_file: Path) -> None:
    _, settings = user_settings(experiment_file)
    assert [file.role for file in settings.inputs] == ["bundles"] * 3 + [
        "retrieval",
        "coherence",
        "attention",
        "killers",
    ]
    assert (settings.edition, settings.bundle_set, settings.needs_wordnet, settings.has_user_evaluation) == (
        None,
        "own",
        False,
        True,
    )
    before = settings.fingerprint()
    changed = experiment_file.parent / "coherence.jsonl"
    changed.write_bytes(changed.read_bytes() + b"\n")
    assert user_settings(experiment_file)[1].fingerprint() != before


def test_development_sets_are_part_of_every_runs_settings(experiment_file: Path) -> None:
    before = user_settings(experiment_file, "B")[1]
    experiment_file.write_text(
        experiment_file.read_text() + '[development.mine]\nretrieval = "grouped.jsonl"\ncoherence = "listed.jsonl"\n'
        '[development.other]\ncoherence = "coherence.jsonl"\n'
    )
    experiment, settings = user_settings(experiment_file, "B")
    assert [(file.role, file.development, file.name) for file in settings.inputs[:3]] == [
        ("development_retrieval", "mine", "grouped.jsonl"),
        ("development_coherence", "mine", "listed.jsonl"),
        ("development_coherence", "other", "coherence.jsonl"),
    ]
    assert settings.inputs[3:] == before.inputs and settings.fingerprint() != before.fingerprint()
    assert set(experiment.files) >= {"grouped.jsonl", "listed.jsonl", "coherence.jsonl"}


def test_conditions_read_their_own_files_only(experiment_file: Path) -> None:
    _, built = user_settings(experiment_file, "B")
    assert [file.role for file in built.inputs] == ["retrieval", "coherence", "attention", "killers"]
    assert (built.edition, built.bundle_set, built.needs_wordnet) == ("v2.3", "v2.3", True)


def test_a_host_resolves_uploaded_files_to_the_same_settings(experiment_file: Path, tmp_path: Path) -> None:
    remote, folder = upload(experiment_file, tmp_path / "host")
    run = RunId("A", 42)
    expected = resolve(read_experiment(experiment_file), "tiny", run)
    assert resolve(read_experiment(remote, folder), "tiny", run).fingerprint() == expected.fingerprint()
    with pytest.raises(BadInput, match=r"experiment.toml:\d+: conditions.A.bundles: .*grouped.jsonl: no such file"):
        read_experiment(remote)


def test_an_uploaded_file_that_does_not_match_the_listing_is_refused(experiment_file: Path, tmp_path: Path) -> None:
    remote, folder = upload(experiment_file, tmp_path / "host")
    listing = remote.with_name(INPUTS)
    listed = read_input_list(listing)
    file = folder / remote_name(listed["killers.jsonl"])
    file.write_bytes(file.read_bytes() + b"\n")
    with pytest.raises(BadInput, match=r"evaluation.killers: .*its SHA-256 differs"):
        read_experiment(remote, folder)
    file.unlink()
    with pytest.raises(BadInput, match=r"evaluation.killers: .*no such file"):
        read_experiment(remote, folder)
    listing.write_bytes(b'{"grouped.jsonl": "../../etc/passwd"}')
    with pytest.raises(BadInput, match="not a list of files"):
        read_experiment(remote, folder)
    listing.write_bytes(b"{}")
    with pytest.raises(BadInput, match=r"inputs.json: grouped.jsonl: is not listed"):
        read_experiment(remote, folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("bundles = [", 'edition = "v2.2"\nbundles = [', "conditions.A.edition: a condition has either"),
        ("bundles = [", "dev = [", r"conditions.A: a condition has either"),
        ('edition = "v2.3"', 'edition = "v2.3"\ndev = ["x.jsonl"]', "conditions.B.dev: an edition has its own"),
        ("grouped.jsonl", "missing.jsonl", r"conditions.A.bundles: .*missing.jsonl: no such file"),
        ("grouped.jsonl", ".", r"conditions.A.bundles: .*is a folder"),
        ("killers.jsonl", "pipe", r"evaluation.killers: .*pipe: is not a regular file"),
        ('retrieval = "retrieval.jsonl"\n', "", "evaluation.retrieval: is missing"),
        ('killers = "', 'killer = "', "evaluation.killer: there is no such setting"),
        ("[evaluation]", "[development.mine]\n[evaluation]", "development.mine: a development set has a file of"),
        (
            "[evaluation]",
            '[development.wordnet]\nretrieval = "retrieval.jsonl"\n[evaluation]',
            "development.wordnet: this name belongs to the development lemmas",
        ),
        (
            "[evaluation]",
            '[development.mine]\nretrieval = "none.jsonl"\n[evaluation]',
            "development.mine.retrieval: .*none.jsonl: no such file",
        ),
        (EVALUATION, 'files = { "x" = {} }\n', "files: there is no such setting"),
    ],
)
def test_a_bad_file_entry_is_refused_with_line_and_field(
    experiment_file: Path, old: str, new: str, message: str
) -> None:
    os.mkfifo(experiment_file.with_name("pipe"))
    text = experiment_file.read_text()
    assert old in text
    first = "" if "files =" not in new else new
    experiment_file.write_text(first + text.replace(old, "" if first else new, 1))
    with pytest.raises(BadInput, match=rf"^{experiment_file}:\d+: {message}"):
        read_experiment(experiment_file)


def test_files_may_be_named_from_the_home_folder_and_by_variables(
    experiment_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "josé's home"
    home.mkdir()
    experiment = experiment_file.read_text()
    coherence = (experiment_file.parent / "coherence.jsonl").rename(home / "my items.jsonl")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DATA", str(home))
    for name in ("~/my items.jsonl", "$DATA/my items.jsonl", "${DATA}/my items.jsonl"):
        experiment_file.write_text(experiment.replace("coherence.jsonl", name))
        files = read_experiment(experiment_file).files
        assert files[name].path == coherence and files[name].sha256, "the name stays as it is written"
        uploaded, folder = upload(experiment_file, tmp_path / "host" / str(len(name)))
        with monkeypatch.context() as on_host:
            on_host.setenv("HOME", "/nowhere")
            on_host.delenv("DATA")
            assert read_experiment(uploaded, folder).files[name].sha256 == files[name].sha256
    experiment_file.write_text(experiment.replace("coherence.jsonl", "$NOT_SET_HERE/x.jsonl"))
    with pytest.raises(BadInput, match=r"evaluation.coherence: \$NOT_SET_HERE/x.jsonl: \$NOT_SET_HERE is not set"):
        read_experiment(experiment_file)
