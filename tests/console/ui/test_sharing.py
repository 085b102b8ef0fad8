"""Copying and exporting as a user does: what is offered in each view, the clipboard, files whole or not at all."""

from __future__ import annotations

import shlex
from base64 import b64encode
from pathlib import Path

import pytest
from textual.widgets import Input

from console.cli import parse
from console.ui.app import ConsoleApp
from console.ui.exports import proposed_name, write_new
from console.ui.sharing import CopyDialog, ExportDialog
from console.ui.sharing_commands import wrapped_clipboard
from engine.contract.settings import RunId
from tests.console.ui.driving import SIZES, console, notices, until, until_shown
from tests.console.ui.fake_session import FakeSession
from tests.console.ui.test_views import SHOWN_ONCE_COMPLETE, busy_session

COMMANDS = {
    "1": "qllm-console preflight --profile demo",
    "2": "qllm-console run --condition A --seed 42 --profile demo",
    "3": "qllm-console logs A/42 --follow --profile demo",
    "4": "qllm-console results --profile demo",
    "5": "qllm-console items --profile demo",
}
ROWS = {
    "1": "login: ok. ann at",
    "2": "A/42  finished  loss 0.5",
    "3": "A/42  finished  loss",
    "4": "Coherence fails",
    "5": "spring  They sat",
}


@SIZES
@pytest.mark.parametrize("view", COMMANDS)
async def test_every_view_offers_its_row_and_its_command(view: str, size: tuple[int, int]) -> None:
    async with console(busy_session(), size) as pilot:
        await pilot.press(view)
        await until_shown(pilot, *SHOWN_ONCE_COMPLETE[view])
        await pilot.press("c")
        await until(pilot, lambda: isinstance(pilot.app.screen, CopyDialog))
        await until_shown(pilot, "Enter copies", ROWS[view][: size[0] // 3], COMMANDS[view])
        await pilot.press("up", *["down"] * 5, "enter")
        await until(pilot, lambda: notices(pilot))
        assert pilot.app.clipboard == COMMANDS[view]
        assert notices(pilot)[-1].startswith(f"Copied: {COMMANDS[view][:50]}")
        assert parse(shlex.split(pilot.app.clipboard)[1:]).command == COMMANDS[view].split()[1]


async def test_what_is_copied_is_a_line_a_run_or_a_command_with_every_word_quoted() -> None:
    session = FakeSession()
    async with console(session, cli_options=("--runs", "/data/my runs; rm")) as pilot:
        app = pilot.app
        assert isinstance(app, ConsoleApp)
        session.show(name="gpu")
        await until(pilot, lambda: app.main.snapshot is not None and app.main.snapshot.host.name == "gpu")
        await pilot.press("c", "down", "enter")
        await until(pilot, lambda: app.clipboard == "A/42")
        words = shlex.split(app.command_of_view())
        options = ["--runs", "/data/my runs; rm", "--host", "gpu", "--profile", "demo"]
        assert words == ["qllm-console", "run", "--condition", "A", "--seed", "42", *options]
        await pilot.press("c", "escape")
        await until(pilot, lambda: not isinstance(app.screen, CopyDialog))
        assert app.clipboard == "A/42"


def test_the_clipboard_is_reached_through_tmux_and_screen() -> None:
    assert wrapped_clipboard("é", {}) == "", "Textual writes the plain sequence"
    (tmux,) = {wrapped_clipboard("é", {"TMUX": "x"}), wrapped_clipboard("é", {"TERM": "tmux-256color"})}
    assert tmux == f"\x1bPtmux;\x1b\x1b]52;c;{b64encode('é'.encode()).decode()}\x07\x1b\\"
    pieces = wrapped_clipboard("x" * 3000, {"STY": "1.tty"}).split("\x1b\\")[:-1]
    assert all(piece.startswith("\x1bP") and len(piece) < 768 for piece in pieces)
    assert (
        "".join(piece.removeprefix("\x1bP") for piece in pieces) == f"\x1b]52;c;{b64encode(b'x' * 3000).decode()}\x07"
    )


@pytest.mark.parametrize(
    ("view", "choice", "name", "begins"),
    [
        ("1", 0, "scaling-demo-preflight.csv", b"check,status,found,advice\nlogin,ok,"),
        ("2", 0, "scaling-demo-runs.csv", b"run,state,stage,"),
        ("2", 1, "scaling-demo-runs.md", b"| run"),
        ("2", 2, "scaling-demo-runs-screen.svg", b"<svg"),
        ("3", 0, "scaling-demo-loss.svg", b"<?xml"),
        ("3", 1, "scaling-demo-loss.png", b"\x89PNG"),
        ("3", 2, "scaling-demo-loss.csv", b"run,step,training loss\n"),
        ("4", 0, "scaling-demo-results.csv", b"section,"),
        ("5", 0, "scaling-demo-items.csv", b"kind,item,lemma,"),
    ],
)
async def test_tables_and_the_screen_are_written_to_a_file_in_this_folder(
    view: str, choice: int, name: str, begins: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    session = busy_session()
    async with console(session) as pilot:
        await pilot.press(view)
        await until_shown(pilot, *SHOWN_ONCE_COMPLETE[view])
        await pilot.press("ctrl+e")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExportDialog) and pilot.app.screen.query(Input))
        await pilot.press(*["down"] * choice)
        field = pilot.app.screen.query_one(Input)
        await until(pilot, lambda: field.value.endswith(Path(name).suffix))
        assert field.value == proposed_name(session.snapshot.folder, name.removeprefix("scaling-demo-"))
        await pilot.press("enter")
        await until(pilot, lambda: any(text.startswith("Wrote ") for text in notices(pilot)))
        assert [path.name for path in tmp_path.iterdir()] == [field.value]
        assert (tmp_path / field.value).read_bytes().startswith(begins)


async def test_an_existing_file_is_replaced_only_after_a_second_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text("mine")
    (tmp_path / "folder").mkdir()
    async with console(busy_session()) as pilot:
        await until_shown(pilot, "✓ finished")
        await pilot.press("ctrl+e")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExportDialog) and pilot.app.screen.query(Input))
        field = pilot.app.screen.query_one(Input)
        for typed, problem in (
            ("", "Name a file."),
            ("folder", "That is a folder"),
            ("none/x.csv", "There is no folder none."),
            ("~nobody-here/x.csv", "There is no such user."),
            ("x" * 300, "It cannot be written: File name too long."),
            ("mine.csv", "It exists: Enter again replaces it."),
        ):
            field.value = typed
            await pilot.pause()
            await pilot.press("enter")
            await until_shown(pilot, problem)
        assert (tmp_path / "mine.csv").read_text() == "mine"
        await pilot.press("enter")
        await until(pilot, lambda: any(text.startswith("Wrote ") for text in notices(pilot)))
        assert (tmp_path / "mine.csv").read_text().startswith("run,state")


def test_a_new_file_is_whole_or_absent_and_never_replaces_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "mine", b"other")
    assert (tmp_path / "mine").read_text() == "mine"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("console.ui.exports.write_durably", full)
    with pytest.raises(OSError, match="No space"):
        write_new(tmp_path / "new", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


async def test_a_click_selects_what_is_copied_and_a_second_copies_it() -> None:
    async with console(busy_session()) as pilot:
        await until_shown(pilot, "✓ finished")
        await pilot.press("c")
        await until_shown(pilot, "Enter copies", "folder   A_seed42")
        await pilot.click("#copy-list", offset=(4, 2))
        await until_shown(pilot, "▸ folder")
        await pilot.click("#copy-list", offset=(4, 1), times=2)
        await until(pilot, lambda: pilot.app.clipboard == RunId("A", 42).label)
