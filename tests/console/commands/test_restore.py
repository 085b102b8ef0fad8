"""``qllm-console restore``: what a restart set aside comes back, on the host and in the local copy."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from console.hosts.pull import run_sync
from engine.contract.bad_input import BadInput
from tests.console.commands.json_checker import checked
from tests.console.commands.quick_engine import FOLDER, command, run_folders, use_job
from tests.console.hosts.folder_pair import tree

pytestmark = pytest.mark.server
A42 = ("--condition", "A", "--seed", "42")
JOB = "import time; open('metrics.json', 'w').write('{}'); open('items.parquet', 'w').write(str(time.time_ns()))"


def local(folder: Path) -> Path:
    return folder / "runs" / FOLDER / "A_seed42"


@pytest.fixture
def restarted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[Path, dict[str, bytes], dict[str, bytes]]:
    """A run that finished and was restarted: its folder, and the content of the first and of the second capsule."""
    use_job(monkeypatch, JOB)
    assert command("run", tmp_path, *A42)() == 0
    first = tree(local(tmp_path))
    assert command("run", tmp_path, *A42, "--restart", "--yes")() == 0
    capsys.readouterr()
    return tmp_path, first, tree(local(tmp_path))


def listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()
    assert command("restore", folder, "A/42", "--json")() == 0
    return checked(capsys.readouterr().out)


def test_a_restart_without_yes_launches_nothing_and_says_what_it_would_set_aside(
    restarted: tuple[Path, dict[str, bytes], dict[str, bytes]],
) -> None:
    folder, _, second = restarted
    with pytest.raises(BadInput, match="would set aside the results and checkpoint of A/42; nothing was launched"):
        command("run", folder, *A42, "--restart")()
    assert tree(run_folders(folder) / "A_seed42") == second


def test_what_was_set_aside_is_listed_and_restored_without_transfer(
    restarted: tuple[Path, dict[str, bytes], dict[str, bytes]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, first, second = restarted
    (before,) = listed(folder, capsys)["set_aside"]
    assert (before["state"], before["results"]) == ("finished", True)

    async def pull(*_: object, **__: object) -> None:
        raise AssertionError("the capsule is local already")

    monkeypatch.setattr(run_sync, "pull", pull)
    for label, wanted in (("A/42", first), ("A_seed42", second)):
        (before,) = listed(folder, capsys)["set_aside"]
        assert command("restore", folder, label, "--key", before["key"][:6])() == 0
        assert f"A/42: launch {before['key']} is in place again (finished)" in capsys.readouterr().out
        assert tree(run_folders(folder) / "A_seed42") == tree(local(folder)) == wanted
        assert command("restore", folder, "A/42", "--key", before["key"])() == 0, "asked again"
    assert command("run", folder, *A42)() == 0, "it counts as finished with these settings"
    assert "A/42 is finished with these settings" in capsys.readouterr().err


@pytest.mark.fault("restored run whose older local capsule is damaged or gone", "it is pulled again, and verified")
@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_local_capsule_that_cannot_be_used_is_pulled_again(
    restarted: tuple[Path, dict[str, bytes], dict[str, bytes]], capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    folder, first, _ = restarted
    (older,) = (folder / "runs" / FOLDER / ".previous").iterdir()
    if damage == "gone":
        shutil.rmtree(older)
    else:
        (older / "items.parquet").write_text("something else")
    (before,) = listed(folder, capsys)["set_aside"]
    assert command("restore", folder, "A/42", "--key", before["key"])() == 0
    assert tree(run_folders(folder) / "A_seed42") == tree(local(folder)) == first


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("A/7",), "no run 'A/7' in profile tiny; known: A/42"),
        (("A/42", "--key", "zz"), "no launch that was set aside"),
    ],
)
def test_wrong_input_is_one_line(
    restarted: tuple[Path, dict[str, bytes], dict[str, bytes]], arguments: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(BadInput, match=reason):
        command("restore", restarted[0], *arguments)()
