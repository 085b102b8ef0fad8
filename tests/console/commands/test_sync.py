"""``qllm-console sync`` as a user types it, over the embedded host."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from console import cli, exit_codes
from console.commands.context import Context
from console.commands.sync import _verify, sync
from console.hosts.agent.workspace import seal
from console.hosts.pull.verify import VerifyResult
from engine.contract.bad_input import BadInput
from tests.console.commands.json_checker import checked
from tests.console.hosts.folder_pair import tree, write
from tests.console.tiny import PROFILE, write_experiment

pytestmark = pytest.mark.server


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write(tmp_path / "here", {"a": b"1", "sub/b": b"2", "model.pt": b"left out"})
    return tmp_path


def run(place: Path, *arguments: str) -> int:
    """What the command exits with."""
    options = cli.parser().parse_args(["sync", *arguments], Namespace(**cli.DEFAULTS))
    options.experiment = write_experiment(place / "experiment")
    options.profile, options.runs = PROFILE, place / "runs"
    return sync(Context(options))


def workspace(place: Path) -> Path:
    return place / "runs" / ".local-host"


def test_a_push_says_full_sync_with_its_files_and_bytes(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "push", str(place / "here")) == exit_codes.DONE
    assert capsys.readouterr().out.startswith("full sync: 2 files, 2 bytes (2 files transferred, 2 bytes, ")
    assert tree(workspace(place) / "project") == {"a": b"1", "sub/b": b"2"}


def test_a_push_that_leaves_something_behind_says_so_and_fails(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "here" / "link").symlink_to("a")
    assert run(place, "push", str(place / "here"), "--json") == exit_codes.FAILED
    said = checked(capsys.readouterr().out)
    assert said["full"] is False and said["files"] == 2
    assert said["refused"] == [{"path": "link", "reason": "it is a symlink"}]


def test_deletions_need_a_confirmation_which_yes_gives(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(workspace(place) / "data", {"old": b"x"})
    push = ("push", str(place / "here"), "--to", "data", "--delete")
    assert run(place, *push, "--max-delete", "0", "--yes") == exit_codes.FAILED
    assert "1 of 1 files would be deleted, --max-delete allows 0: old" in capsys.readouterr().err
    assert (workspace(place) / "data" / "old").exists()
    assert run(place, *push, "--yes") == exit_codes.DONE
    assert tree(workspace(place) / "data") == {"a": b"1", "sub/b": b"2"}


def test_a_pull_copies_a_folder_of_the_host(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(workspace(place) / "data", {"x/y": b"theirs", "z.tmp": b""})
    arguments = ("pull", str(place / "back"), "--from", "data", "--exclude", "*.tmp")
    assert run(place, *arguments, "--dry-run") == exit_codes.DONE
    assert not (place / "back").exists() and "dry run" in capsys.readouterr().out
    assert run(place, *arguments) == exit_codes.DONE
    assert tree(place / "back") == {"x/y": b"theirs"}


def test_without_an_ended_run_the_sync_is_full(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "pull") == exit_codes.DONE
    assert capsys.readouterr().out == "full sync: 0 of 0 ended runs synced, 0 files, 0 bytes\n"


def ended_run(place: Path) -> Path:
    """A sealed run on the host; returns its folder there."""
    run, key = workspace(place) / "runs" / "tiny-tiny" / "A_seed42", "a" * 32
    write(run, {"items.parquet": b"right"})
    (run / "state.json").write_text(json.dumps({"key": key, "state": "finished", "ended_at": 1.0}))
    seal(run, key)
    return run


def test_an_ended_run_is_synced_and_the_verdict_has_its_numbers(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on_host = ended_run(place)
    assert run(place, "pull", "--json") == exit_codes.DONE
    size = sum((on_host / name).stat().st_size for name in ("items.parquet", "state.json"))
    expected = {"full": True, "runs": 1, "files": 2, "bytes": size, "not_synced": {}}
    assert expected.items() <= checked(capsys.readouterr().out).items()
    assert tree(place / "runs" / "tiny-tiny" / "A_seed42") == tree(on_host)


def test_rehash_verifies_local_runs_and_pulls_again_those_that_differ(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on_host, here = ended_run(place), place / "runs" / "tiny-tiny" / "A_seed42"
    assert run(place, "pull") == exit_codes.DONE
    (here / "items.parquet").write_bytes(b"wrong")
    assert run(place, "pull") == exit_codes.DONE, "what came once is trusted"
    assert run(place, "pull", "--rehash") == exit_codes.DONE
    said = capsys.readouterr().err
    assert "verified 1 of 2 local files" in said
    assert "A/42: items.parquet: its SHA-256 differs; pulling it again" in said
    assert tree(here) == tree(on_host)


def test_a_damaged_run_is_named_and_fails(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (ended_run(place) / "items.parquet").write_bytes(b"other")
    assert run(place, "pull") == exit_codes.FAILED
    out = capsys.readouterr().out
    assert out.startswith("NOT in full sync: 0 of 1 ended runs synced, 0 files, 0 bytes\n")
    assert "  A/42: items.parquet is not what its manifest says" in out


@pytest.mark.timeout(30)
def test_a_runs_folder_that_cannot_be_written_fails_with_the_reason(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended_run(place)
    (place / "runs" / "tiny-tiny").write_bytes(b"not a folder")
    assert run(place, "pull") == exit_codes.FAILED
    out = capsys.readouterr().out
    assert out.startswith("NOT in full sync: 0 of 1 ended runs synced, 0 files, 0 bytes\n")
    assert f"  A/42: {place / 'runs' / 'tiny-tiny'}: File exists" in out


def test_wrong_input_is_bad_input(place: Path) -> None:
    for arguments in (
        ("push", str(place / "nowhere")),
        ("push", str(place / "here"), "--read-only"),
        ("push", str(place / "here"), "--delete", "--max-delete", "few"),
        ("push", "~nobody-is-called-so"),
    ):
        with pytest.raises(BadInput):
            run(place, *arguments)


@pytest.mark.parametrize("more", [("there",), ("--dry-run",), ("--exclude", "x"), ("--no-excludes",)])
def test_pulling_runs_refuses_options_about_a_folder(place: Path, more: tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match="needs --from"):
        run(place, "pull", *more)


async def test_verifying_beside_a_console_that_writes_the_runs_folder_is_refused_only_if_a_file_differs() -> None:
    """A run that the other console has yet to pull is waited for, as without ``--rehash``."""

    class Reader:
        async def verify_synced(self) -> AsyncIterator[VerifyResult]:
            yield VerifyResult(1, files=9, files_total=9)

        def pull_again(self) -> None:
            raise BadInput("another console writes this runs folder")

    await _verify(Reader())  # type: ignore[arg-type]
