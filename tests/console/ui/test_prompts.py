"""Questions to the operator: asked one after another, consent only by its word, secrets never shown or kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from console.hosts.ssh.prompts import OperatorUnavailable, Prompter, Question
from console.ui.app import ConsoleApp
from console.ui.dialogs import AnswerInput, ConfirmDialog, HelpScreen, PromptDialog
from engine.contract.settings import RunId
from tests.console.ui.driving import SMALL, console, notices, screen, until, until_shown
from tests.console.ui.fake_session import FakeSession
from tests.console.ui.scenes import training, view_of

TRUST = Question(
    "box.example:22 is not known yet",
    ("Its ssh-ed25519 key has the fingerprint", f"SHA256:{'k' * 43}"),
    "Trust it?",
    confirm_word="trust",
)
PASSWORD = Question("Password for ann@box.example", (), "Password:", secret=True)
CODE = Question("ann@box.example asks", ("[bold red]Welcome[/] [link=http://a]here",), "Code [/]:")
TYPED = "S3cret xyzzy"
Asking = asyncio.Task[str | None]


def ask(pilot: Pilot[None], question: Question) -> Asking:
    """Ask as the link does: from a task of its own."""
    assert isinstance(pilot.app, ConsoleApp)
    return asyncio.get_running_loop().create_task(pilot.app.prompter.ask(question))


@asynccontextmanager
async def asked(
    question: Question, session: FakeSession | None = None, size: tuple[int, int] = SMALL
) -> AsyncIterator[tuple[Pilot[None], Asking]]:
    """A console that shows ``question``."""
    async with console(session or FakeSession(), size) as pilot:
        asking = ask(pilot, question)
        await until(pilot, lambda: prompted(pilot))
        yield pilot, asking
        asking.cancel()


def prompted(pilot: Pilot[None]) -> bool:
    return isinstance(pilot.app.screen, PromptDialog)


async def type_in(pilot: Pilot[None], text: str) -> None:
    """As from a keyboard, key by key, and Enter."""
    await pilot.press(*text, "enter")


async def test_a_host_key_is_trusted_only_by_the_confirmation_word() -> None:
    async with asked(TRUST) as (pilot, asking):
        await until_shown(pilot, TRUST.title, *TRUST.lines, "Trust it?", "trust and Enter accept", "Esc refuses")
        for wrong in ("", "yes", "Trust", "trus", "trustt"):
            await type_in(pilot, wrong)
            await until_shown(pilot, "That was not the word trust.")
            await until(pilot, lambda: not pilot.app.screen.query_one(AnswerInput).value)
            assert not asking.done()
        await type_in(pilot, "trust")
        assert await asking == "trust"
        await until(pilot, lambda: not prompted(pilot))


@pytest.mark.parametrize("question", [TRUST, PASSWORD, CODE])
async def test_escape_refuses(question: Question) -> None:
    async with asked(question) as (pilot, asking):
        await pilot.press("t", "r", "escape")
        assert await asking is None
        await until(pilot, lambda: not prompted(pilot))


async def test_a_secret_is_masked_cannot_be_copied_and_is_not_kept(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    async with asked(PASSWORD) as (pilot, asking):
        field = pilot.app.screen.query_one(AnswerInput)
        await pilot.press(*TYPED)
        await until(pilot, lambda: field.value == TYPED)
        await until_shown(pilot, "•" * len(TYPED))
        await pilot.press("ctrl+shift+a", "super+c", "ctrl+x")
        await pilot.pause()
        assert pilot.app.clipboard == ""
        assert field.value == TYPED
        assert "S3cret" not in screen(pilot)
        await pilot.press("enter")
        assert await asking == TYPED
        assert field.value == ""
        await until(pilot, lambda: not prompted(pilot))
        assert "S3cret" not in screen(pilot) + caplog.text + "".join(notices(pilot))


async def test_what_is_no_secret_is_shown_as_typed() -> None:
    async with asked(CODE) as (pilot, asking):
        await pilot.press(*"12 34")
        await until_shown(pilot, "12 34")
        await pilot.press("enter")
        assert await asking == "12 34"


async def test_text_of_the_server_is_shown_and_never_obeyed() -> None:
    async with asked(CODE) as (pilot, _):
        await until_shown(pilot, *CODE.lines, "Code [/]:", CODE.title)


async def test_a_long_text_of_a_server_leaves_the_input_and_the_keys_visible() -> None:
    flood = Question("box asks", tuple(f"line {number} " + "x" * 100 for number in range(1000)), "Code:")
    async with asked(flood) as (pilot, asking):
        await until_shown(pilot, "box asks", "line 0 ", "Code:", "Enter answers", "Esc refuses")
        await pilot.press("pagedown")
        await until(pilot, lambda: "line 0 " not in screen(pilot) and "Enter answers" in screen(pilot))
        await pilot.press(*["up"] * 3)
        await until_shown(pilot, "line 0 ")
        await type_in(pilot, "7")
        assert await asking == "7"


async def test_several_are_asked_one_after_another() -> None:
    async with asked(PASSWORD) as (pilot, first):
        second, third = ask(pilot, CODE), ask(pilot, TRUST)
        await until_shown(pilot, PASSWORD.title)
        await type_in(pilot, "one")
        assert await first == "one"
        await until_shown(pilot, CODE.title)
        assert not second.done() and not third.done()
        await type_in(pilot, "two")
        assert await second == "two"
        await until_shown(pilot, TRUST.title)
        await pilot.press("escape")
        assert await third is None
        await until(pilot, lambda: not prompted(pilot))


async def test_a_question_waits_for_the_dialogue_that_is_open() -> None:
    session = FakeSession()
    session.show(view_of(RunId("A", 42), "running", training(5)))
    async with console(session) as pilot:
        for key, kind in (("x", ConfirmDialog), ("question_mark", HelpScreen)):
            await pilot.press(key)
            await until(pilot, lambda kind=kind: isinstance(pilot.app.screen, kind))  # type: ignore[misc]
            asking = ask(pilot, PASSWORD)
            for _ in range(5):
                await pilot.pause()
            assert isinstance(pilot.app.screen, kind)
            await pilot.press("escape")
            await until(pilot, lambda: prompted(pilot))
            await type_in(pilot, "pass")
            assert await asking == "pass"
            await until(pilot, lambda: not prompted(pilot))
    assert not session.aborted


async def test_what_is_typed_after_the_host_hung_up_is_taken_for_no_other_key() -> None:
    session = FakeSession()
    async with asked(PASSWORD, session) as (pilot, asking):
        await pilot.press("S")
        asking.cancel()
        await until_shown(pilot, "The host no longer waits for the answer.")
        await pilot.press("a", "q", "enter")
        await pilot.pause()
        assert prompted(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: not prompted(pilot))
        await pilot.press("a")
        await until(pilot, lambda: session.launched)
    assert len(session.launched) == 1


async def test_a_question_taken_back_before_its_turn_is_never_asked() -> None:
    async with asked(PASSWORD) as (pilot, first):
        second, third = ask(pilot, CODE), ask(pilot, TRUST)
        await pilot.pause()
        second.cancel()
        await type_in(pilot, "one")
        assert await first == "one"
        await until_shown(pilot, TRUST.title)
        third.cancel()


async def test_a_question_is_taken_back_while_the_console_closes_and_its_widgets_go() -> None:
    async with asked(PASSWORD) as (pilot, first):
        dialog = pilot.app.screen
        assert isinstance(dialog, PromptDialog)
        await dialog.query_one("#prompt-keys").remove()
        first.cancel()
        dialog.withdraw()
        await pilot.pause()
        assert pilot.app._exception is None


async def test_nobody_is_asked_once_the_console_has_closed() -> None:
    async with console(FakeSession()) as pilot:
        pass
    with pytest.raises(OperatorUnavailable):
        await ask(pilot, PASSWORD)


async def test_the_core_is_opened_with_the_prompter_and_can_ask_before_its_link_is_up() -> None:
    session = FakeSession()
    session.show(link="connecting")
    answers: list[str | None] = []

    def opened(prompter: Prompter) -> FakeSession:
        async def run() -> None:
            answers.append(await prompter.ask(PASSWORD))
            session.show(link="up")

        session.run = run  # type: ignore[method-assign]
        return session

    app = ConsoleApp(opened, session.experiment, "demo", "box", False)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until_shown(pilot, PASSWORD.title)
        await type_in(pilot, "open sesame")
        await until_shown(pilot, "● up")
    assert answers == ["open sesame"]


@pytest.mark.parametrize("size", [(30, 10), (1, 1), (300, 90)])
async def test_no_size_breaks_a_question(size: tuple[int, int]) -> None:
    async with asked(TRUST, size=size) as (pilot, asking):
        await pilot.resize_terminal(80, 24)
        await until_shown(pilot, "Trust it?")
        await type_in(pilot, "trust")
        assert await asking == "trust"
