"""The command line's bad input: one line that names file, line and field, exit 2, nothing left behind."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from console.cli import _COMMANDS, main, parse
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId
from engine.contract.toml_file import find_config
from tests.console.local_folder import write_run
from tests.console.tiny import write_experiment


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run and return the one line on stderr."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1, err
    return err.removeprefix("qllm-console: error: ").rstrip()


def test_an_unknown_condition(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "run", "--condition", "D") == "--condition: no condition 'D' in profile full; known: A, B, C"


def test_an_unknown_seed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "abort", "--seed", "7").startswith("--seed: no seed 7 in profile full; known: 42, 123")


def test_a_wrong_setting_is_named_before_anything_is_added(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = ("--experiment", str(write_experiment(place)))
    assert refused(capsys, "run", *file, "--set", "training.epoch=3") == (
        "--set: training.epoch: no such setting; did you mean training.epochs?"
    )
    assert refused(capsys, "run", *file, "--seed", "x") == (
        "--seed: x is no seed; seeds are whole numbers and ranges, such as 42, 700-705"
    )
    assert refused(capsys, "run", *file, "--set", "epochs=3", "--read-only").startswith("--read-only: nothing is added")
    assert list(place.glob("*.derived.toml")) == []


def test_a_dry_run_prints_runs_settings_and_what_would_be_added_and_adds_nothing(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_experiment(place)
    chosen = ("--experiment", str(file), "--condition", "A", "--set", "training.epochs=3", "--seed", "42,7")
    with pytest.raises(SystemExit) as end:
        main(["run", *chosen, "--dry-run"])
    out, err = capsys.readouterr()
    assert end.value.code == 0 and "A.2 is new, from A: training.epochs 3 (A: 2)" in err and "2 runs; nothing" in err
    with pytest.raises(SystemExit):
        main(["run", *chosen, "--dry-run", "--json"])
    printed = json.loads(capsys.readouterr().out)
    hashes = [one["settings_hash"] for one in printed["runs"]]
    assert [line.split()[:2] for line in out.splitlines()[2:]] == [
        ["A.2/42", hashes[0][:12]], ["A.2/7", hashes[1][:12]],
    ]  # fmt: skip
    assert printed["new_seeds"] == [7] and '[conditions."A.2".training]\nepochs = 3' in printed["added_toml"]
    assert list(place.glob("*.derived.toml")) == []


def test_an_unknown_profile_host_and_file(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "results", "--profile", "x").startswith("--profile: no profile 'x'; known: full")
    assert "--host: no host 'x'; known: local" in refused(capsys, "status", "--host", "x")
    assert refused(capsys, "results", "--experiment", "x.toml") == "x.toml: no such file"


def test_abort_wants_to_be_told_what(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "say what to abort" in refused(capsys, "abort")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("statu", "COMMAND: 'statu' is not one of: run, status, watch, "),
        ("abort --seed x", "--seed: 'x' is not a whole number; see qllm-console abort --help"),
        ("run --profile", "--profile: needs a value; "),
        ("restore", "missing: RUN; see qllm-console restore --help"),
        ("results --csv --latex", "--latex: cannot be given together with --csv; "),
        ("results --exit-code=3", "--exit-code: takes no value, but got '3'; "),
        ("items --by luck", "--by: 'luck' is not one of: majority, margin; "),
        ("run --foo", "unknown argument: --foo; "),
        ("status --timeout nan", "--timeout: 'nan' is not a number of seconds above 0; "),
        ("status --timeout 0", "--timeout: '0' is not a number of seconds above 0; "),
        ("status --timeout inf", "--timeout: 'inf' is not a number of seconds above 0; "),
        ("run --\x1b[2Jx", "unknown argument: --x; "),
    ],
)
def test_wrong_usage_is_one_line_in_words(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: str, expected: str
) -> None:
    assert refused(capsys, *arguments.split()).startswith(expected)


def test_without_a_command_only_the_shared_options_are_parsed() -> None:
    options = parse(["--profile", "demo", "--read-only"])
    assert (options.command, options.profile, options.read_only, options.host) == (None, "demo", True, "local")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert all(f"\n    {name} " in text for name in _COMMANDS)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[gates] ", "[gates", "not valid TOML"),
        ("epochs = 2", 'epochs = "five"', "training.epochs: must be a whole number, not text"),
        ("epochs = 2", "epochs = 0", "training.epochs: must be a whole number of at least 1"),
        ("epochs = 2", "epocs = 2", "training.epocs: there is no such setting"),
        ('edition = "v2.3"', 'edition = "v9"', "conditions.B.edition: 'v9' is not one of: "),
        ('curriculum = "uniform"', 'curriculum = "x"', "conditions.A.curriculum: no curriculum 'x'"),
        ("retrieval_top1 = 0.30", "retrieval_top1 = 30", "gates.retrieval_top1: must be a number of at most 1"),
        ("seeds = [42, 123, 456]", "seeds = []", "seeds: must not be empty"),
        ("seeds = [42, 123, 456]", "seeds = [42, -1, 456]", "seeds: must be a whole number of at least 0"),
        ("seeds = [42, 123, 456]", "seeds = [42, 123, 42]", "seeds: 42 is named 2 times"),
        ("seeds = [42, 123]\n", "seeds = [42, 42]\n", "profiles.tiny.seeds: 42 is named 2 times"),
        ('conditions = ["A", "B"]\n', 'conditions = ["B", "B"]\n', "profiles.tiny.conditions: 'B' is named 2 times"),
        ('name = "tiny"', 'name = "../evil"', "name: must be up to 64 letters"),
    ],
)
def test_a_malformed_experiment_names_file_line_and_field(
    place: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, expected: str
) -> None:
    path = write_experiment(place)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    line = next(number for number, row in enumerate(path.read_text().splitlines(), start=1) if new.strip() in row)
    assert refused(capsys, "results", "--experiment", str(path)).startswith(f"{path}:{line}: {expected}")


def test_an_experiment_that_is_not_text(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = place / "experiment.toml"
    path.write_bytes(b"\xff\xfe\x00")
    assert refused(capsys, "results", "--experiment", str(path)).startswith(f"{path}: is not UTF-8 text (byte 0)")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("results --experiment folder", "folder: is a folder, not a file"),
        ("results --experiment file/x", "file/x: cannot be read: Not a directory"),
        ("results --experiment empty", "empty: name: is missing"),
        ("status --hosts folder", "folder: is a folder, not a file"),
        ("status --hosts empty", "empty: hosts: is missing"),
        (
            "status --hosts hosts.toml --host a",
            "hosts.toml:3: hosts.a.launcher: 'x' is not one of: embedded, slurm, ssh",
        ),
        ("results --runs file", "--runs: {place}/file is a file, not a folder"),
        ("logs --runs file", "--runs: {place}/file is a file, not a folder"),
        ("report --html folder", "--html: {place}/folder is a folder, not a file"),
        ("report --html none/x.html", "--html: there is no folder {place}/none"),
        ("report --html pipe", "--html: {place}/pipe is a device, which would be replaced"),
        ("curves --svg folder", "--svg: {place}/folder is a folder, not a file"),
        ("curves --smoothing nan", "--smoothing: 'nan' is not a number from 0 to 0.99"),
        ("run --set training.epochs=nan", "--set: training.epochs: nan is not a whole number from 1 to 10,000"),
        ("sync push file", "FOLDER: {place}/file is not a folder"),
        ("sync push", "FOLDER: name the folder to push; . is the whole of {place}"),
        ("sync push --delete --yes", "FOLDER: name the folder to push; . is the whole of {place}"),
        ("sync push --dry-run --to data", "FOLDER: name the folder to push; . is the whole of {place}"),
    ],
)
def test_garbage_is_one_line_in_words_and_nothing_is_written(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: str, expected: str
) -> None:
    (place / "folder").mkdir()
    (place / "file").write_bytes(b"x")
    (place / "empty").touch()
    (place / "hosts.toml").write_text('[hosts.a]\ntitle = "a"\nlauncher = "x"\n')
    os.mkfifo(place / "pipe")
    before = sorted(place.rglob("*"))
    assert refused(capsys, *arguments.split()).startswith(expected.format(place=place))
    assert sorted(place.rglob("*")) == before and (place / "pipe").is_fifo()


@pytest.mark.parametrize("arguments", [("push", ""), ("push", "x", "--to", ""), ("pull", "--from", " "), ("pull", "")])
def test_a_sync_takes_no_empty_name_of_a_folder(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert refused(capsys, "sync", *arguments).partition(";")[0].endswith(": is empty")
    assert list(place.iterdir()) == []


def test_without_a_terminal_the_console_says_what_does_without(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "needs a terminal" in refused(capsys)


@pytest.mark.parametrize("elsewhere", ["stdin", "stdout", "stderr"])
def test_with_a_stream_that_is_no_terminal_it_does_not_draw_into_it(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, elsewhere: str
) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(getattr(sys, name), "isatty", lambda: True, raising=False)
    monkeypatch.setattr(getattr(sys, elsewhere), "isatty", lambda: False, raising=False)
    assert "needs a terminal" in refused(capsys)


def test_options_may_stand_before_or_after_the_command(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--profile", "demo", "results"], ["results", "--profile", "demo"]):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 0 and capsys.readouterr().out.startswith("INCOMPLETE  Nothing to decide yet")


def test_bad_input_leaves_nothing_behind(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, "run", "--condition", "D")
    assert list(place.iterdir()) == []


def test_view_names_what_is_wrong_with_its_folder_or_speed_and_needs_a_terminal(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "empty").mkdir()
    (place / "file").write_text("")
    for name, message in (("missing", "no such folder"), ("empty", "holds no run"), ("file", "is a file")):
        assert refused(capsys, "view", name).startswith(f"{place / name}: DIR: {message}")
    for speed in ("0", "fast", "1e9", "nan"):
        assert refused(capsys, "view", "empty", "--replay", "--speed", speed).startswith("--speed: ")
    write_run(place / "runs", read_experiment(find_config("scaling.toml")), "demo", RunId("A", 42))
    assert refused(capsys, "view", "runs").startswith("the console needs a terminal")
