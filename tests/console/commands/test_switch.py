"""What can be switched to: hosts, profiles, experiment files beside the present one and those opened before."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from console.cli import DEFAULTS
from console.commands.context import Context
from console.commands.switch import ContextSwitcher
from engine.contract.bad_input import BadInput
from engine.contract.toml_file import find_config
from tests.console.tiny import PROFILE, write_experiment


def switcher(file: Path, **options: bool) -> ContextSwitcher:
    return ContextSwitcher(Context(Namespace(**DEFAULTS | {"experiment": file, "profile": PROFILE} | options)))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return write_experiment(tmp_path / "one")


def test_hosts_and_profiles_are_those_of_the_files(file: Path) -> None:
    found = switcher(file)
    assert found.present == ("local", PROFILE, file)
    assert [name for name, _ in found.hosts()] == ["local", "ramp"]
    assert [name for name, _ in found.profiles(file)] == ["full", "smoke", "demo", PROFILE]


def test_files_are_the_present_one_those_opened_before_and_experiments_beside_it(file: Path, tmp_path: Path) -> None:
    beside = file.with_name("beside.toml")
    beside.write_text(file.read_text())
    file.with_name("hosts.toml").write_text(find_config("hosts.toml").read_text())
    file.with_name("experiment.derived.toml").write_text("# [profiles.x] [conditions.x]")
    assert switcher(file).files() == (file, beside)
    elsewhere = [write_experiment(tmp_path / name) for name in ("two", "three")]
    for one in elsewhere:
        switcher(one).remember()
    elsewhere[0].unlink()  # what is gone is not offered
    assert switcher(file).files() == (file, elsewhere[1], beside)


def test_what_cannot_be_remembered_is_not(file: Path, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file in place of the folder")
    found = switcher(file)
    found.remember()
    assert found.files() == (file,)


def test_read_only_it_remembers_nothing(file: Path, tmp_path: Path) -> None:
    found = switcher(file, read_only=True)
    found.note_opened("ramp", "smoke", file)
    assert found.present == ("ramp", "smoke", file) and not (tmp_path / "state").exists()


def test_opening_is_as_if_the_options_had_named_it(file: Path) -> None:
    found = switcher(file)
    opened = found.open("ramp", "smoke", file)
    assert (opened.host_title, opened.profile, opened.experiment.name) == ("RAMP", "smoke", "tiny")
    with pytest.raises(BadInput, match="no host 'x'"):
        found.open("x", "smoke", file)
    found.note_opened("ramp", "smoke", file)
    assert found.present == ("ramp", "smoke", file)
